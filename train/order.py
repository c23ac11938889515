"""(seed, epoch) -> the order of the samples; and which of them are done, whatever the number of ranks and workers.

The samples of all epochs, one after another, are numbered n = 0, 1, 2 ... Those that are left after a position are
counted m = 0, 1, 2 ... and divided among the ranks: rank r of R takes those with m % R == r. They are its lane, where
their places are l = m // R. A lane is cut into chunks that loader workers take in turn, and comes back in order.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosing.ids import seed_of
from autosing.schemas.sample import SplitRecord

Sizes = Callable[[int], Sequence[int]]
"""Shard -> how long each of its rows is, in any unit."""


@dataclass(frozen=True)
class Position:
    """Which numbers are done: all below `next`, and, if ranks have advanced unequally, some `ahead` of it."""

    next: int = 0
    ahead: tuple[int, ...] = ()
    """Ascending, each above `next`."""

    def left(self, m: int) -> int:
        """The m-th number that is not done."""
        return self.next + m + bisect_right([n - self.next - k for k, n in enumerate(self.ahead)], m)

    def places(self, first: int, size: int) -> np.ndarray:
        """For the numbers first .. first + size: the count m of each, -1 if it is done."""
        numbers = np.arange(first, first + size)
        ahead = np.asarray(self.ahead, np.int64)
        places = numbers - self.next - np.searchsorted(ahead, numbers)
        places[(numbers < self.next) | np.isin(numbers, ahead)] = -1
        return places

    def after(self, taken: Sequence[int]) -> "Position":
        """The position after rank r of len(taken) has taken the first taken[r] samples of its lane."""
        world = len(taken)
        first = min(rank + took * world for rank, took in enumerate(taken))
        beyond = {
            m for rank, took in enumerate(taken) for m in range(rank, rank + took * world, world)[first // world :]
        }
        following = self.left(first)
        ahead = {self.left(m) for m in beyond if m > first} | {n for n in self.ahead if n > following}
        return Position(following, tuple(sorted(ahead)))

    def state_dict(self) -> dict[str, Any]:
        return {"next": self.next, "ahead": list(self.ahead)}

    @classmethod
    def of_state(cls, held: dict[str, Any]) -> "Position":
        return cls(held["next"], tuple(held["ahead"]))


@dataclass(frozen=True)
class Lane:
    """Which of the numbered samples a rank takes, and how its workers divide them."""

    rank: int = 0
    world: int = 1
    start: Position = Position()
    chunk: int = 1

    def mine(self, first: int, size: int, worker: int, workers: int) -> tuple[np.ndarray, np.ndarray]:
        """Of the numbers first .. first + size: (those of this worker, counted from `first`; their lane places)."""
        places = self.start.places(first, size)
        lane = places // self.world
        mine = (places >= 0) & (places % self.world == self.rank) & (lane // self.chunk % workers == worker)
        (at,) = np.nonzero(mine)
        return at, lane[at]


@dataclass(frozen=True)
class Order:
    """One epoch after another, `window` shards at a time: shuffled together, read together.

    `seed` None: in stored order. `bucket`: so many consecutive samples are of similar length (0: lengths are ignored),
    so that batches of them need little padding; which samples come together still changes with each epoch.
    """

    split: SplitRecord
    seed: int | None
    window: int
    bucket: int = 0

    def windows(self, epoch: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """(number of its first sample, samples, its shards) for each window of the epoch."""
        shards = np.arange(len(self.split.shards))
        if self.seed is not None:
            shards = np.random.default_rng(seed_of("shards", self.seed, epoch)).permutation(shards)
        first = epoch * self.split.rows
        for start in range(0, len(shards), self.window):
            group = shards[start : start + self.window]
            size = sum(self.split.shards[shard].rows for shard in group)
            yield first, size, group
            first += size

    def addresses(self, epoch: int, first: int, shards: np.ndarray, sizes: Sizes) -> np.ndarray:
        """[samples of the window, 2]: the (shard, row) of each, in order."""
        rows = [self.split.shards[shard].rows for shard in shards]
        address_N2 = np.stack([np.repeat(shards, rows), np.concatenate([np.arange(n) for n in rows])], axis=1)
        if self.seed is None:
            return address_N2
        rng = np.random.default_rng(seed_of("rows", self.seed, epoch, first))
        order_N = rng.permutation(len(address_N2))
        if self.bucket:
            size_N = np.concatenate([np.asarray(sizes(int(shard)), np.int64) for shard in shards])
            by_size_N = order_N[np.argsort(size_N[order_N], kind="stable")]
            # Edges at random places, or else the same lengths would share a bucket in every epoch.
            edges = np.arange(rng.integers(1, self.bucket + 1), len(by_size_N), self.bucket)
            buckets = [bucket for bucket in np.split(by_size_N, edges) if len(bucket)]
            order_N = np.concatenate([rng.permutation(buckets[k]) for k in rng.permutation(len(buckets))])
        return address_N2[order_N]


class Draws:
    """(seed, epoch, sample) -> a generator, seeded for each sample. The object is reused: making one costs 10 us."""

    def __init__(self) -> None:
        self._bits = np.random.PCG64()
        self._generator = np.random.Generator(self._bits)
        self._state = self._bits.state

    def of(self, seed: int, epoch: int, id: str) -> np.random.Generator:
        digest = hashlib.sha256(f"sample\x1f{seed}\x1f{epoch}\x1f{id}".encode()).digest()
        inner = self._state["state"]
        inner["state"] = int.from_bytes(digest[:16], "little")
        inner["inc"] = int.from_bytes(digest[16:], "little") | 1
        self._bits.state = self._state
        return self._generator
