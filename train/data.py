"""A dataset's shards -> prepared items in an order that is a function of (seed, epoch) alone -> batches.

Numbers: the samples of all epochs, one after another, are numbered n = 0, 1, 2 ... Rank r of R takes those with
n % R == r; they are its lane, l = n // R. A lane is cut into chunks that loader workers take in turn, and comes back
in order. So ranks and workers only share out one global order: nothing is dropped, nothing comes twice, and a run
resumes at a lane's position without reading what lies before it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.schemas.sample import DatasetIndex, Sample, SplitRecord
from autosing.shards import files_of, read_shard
from train.task import Task

Item = dict[str, Any]
Prepare = Callable[[Sample, np.random.Generator], Item | None]


@dataclass(frozen=True)
class Lane:
    """Which of the numbered samples a rank takes, and how workers share them."""

    rank: int = 0
    world: int = 1
    start: int = 0
    """Lane position of the first sample that is wanted."""
    chunk: int = 1

    def mine(self, n: int, worker: int, workers: int) -> bool:
        lane = n // self.world
        return (
            n % self.world == self.rank and lane >= self.start and (lane - self.start) // self.chunk % workers == worker
        )


def epoch_groups(split: SplitRecord, seed: int | None, epoch: int, window: int) -> Iterator[list[tuple[int, int]]]:
    """The (shard, row) addresses of one epoch in order, `window` shards at a time; seed None: as they lie."""
    shards = np.arange(len(split.shards))
    if seed is not None:
        shards = np.random.default_rng(seed_of("shards", seed, epoch)).permutation(shards)
    for first in range(0, len(shards), window):
        group = [(int(s), row) for s in shards[first : first + window] for row in range(split.shards[s].rows)]
        if seed is not None:
            order = np.random.default_rng(seed_of("rows", seed, epoch, first)).permutation(len(group))
            group = [group[i] for i in order]
        yield group


class SampleStream(IterableDataset[list[tuple[int, Item | None]]]):
    """Yields chunks of (lane position after it, item or None where the task has no use for the sample)."""

    def __init__(
        self,
        dataset: Path,
        split: SplitRecord,
        task: Task,
        lane: Lane,
        seed: int,
        shuffle: bool = True,
        epochs: int | None = None,
        window: int = 4,
        cache_bytes: int = 0,
    ) -> None:
        super().__init__()
        self._dataset, self._split, self._prepare, self._lane = dataset, split, task.prepare, lane
        self._files = files_of(task.members)
        self._seed, self._shuffle, self._epochs, self._window = seed, shuffle, epochs, window
        self._cache: dict[tuple[int, int], Sample] = {}
        self._cache_bytes = cache_bytes

    def __iter__(self) -> Iterator[list[tuple[int, Item | None]]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        self._room = self._cache_bytes // workers
        chunk: list[tuple[int, Item | None]] = []
        for n, epoch, sample in self._samples(worker, workers):
            lane = n // self._lane.world
            rng = np.random.default_rng(seed_of("sample", self._seed, epoch, sample.id))
            chunk.append((lane + 1, self._prepare(sample, rng)))
            if (lane + 1 - self._lane.start) % self._lane.chunk == 0:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _samples(self, worker: int, workers: int) -> Iterator[tuple[int, int, Sample]]:
        rows = self._split.rows
        epoch = self._lane.start * self._lane.world // rows
        while self._epochs is None or epoch < self._epochs:
            n = epoch * rows
            for group in epoch_groups(self._split, self._seed if self._shuffle else None, epoch, self._window):
                wanted = [(n + i, at) for i, at in enumerate(group) if self._lane.mine(n + i, worker, workers)]
                held = self._read({at for _, at in wanted})
                for number, at in wanted:
                    yield number, epoch, held.pop(at)
                n += len(group)
            epoch += 1

    def _read(self, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], Sample]:
        held = {at: self._cache[at] for at in wanted if at in self._cache}
        missing: dict[int, set[int]] = {}
        for shard, row in wanted - held.keys():
            missing.setdefault(shard, set()).add(row)
        for shard in sorted(missing):
            path = self._dataset / self._split.shards[shard].path
            for row, sample in read_shard(path, self._files, missing[shard]):
                held[shard, row] = self._keep((shard, row), sample)
        short = sorted(wanted - held.keys())
        if short:
            shard, row = short[0]
            path = self._dataset / self._split.shards[shard].path
            raise InputError(f"shard {path}: row {row} is missing, the index promises it; run 'autosing verify'")
        return held

    def _keep(self, at: tuple[int, int], sample: Sample) -> Sample:
        """Into the cache while there is room. Nothing is ever put out: an epoch comes round to all in turn."""
        if self._room <= 0:
            return sample
        decoded = sample.decoded()
        self._room -= decoded.num_bytes
        if self._room >= 0:
            self._cache[at] = decoded
        return decoded


class Batches:
    """Prepared items -> batches of equal size, for ever. `position` is the lane position after the last batch."""

    def __init__(self, stream: SampleStream, task: Task, batch_size: int, workers: int, start: int, rows: int) -> None:
        self._items = _flat(stream, workers)
        self._task, self._batch_size, self._rows = task, batch_size, rows
        self.position = start
        self.skipped = 0

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> dict[str, Any]:
        items: list[Item] = []
        useless = 0
        for position, item in self._items:
            self.position = position
            if item is None:
                self.skipped, useless = self.skipped + 1, useless + 1
                if useless > self._rows:
                    raise InputError(f"task {self._task.name}: no sample of the train split is of use to it")
                continue
            items.append(item)
            useless = 0
            if len(items) == self._batch_size:
                return self._task.collate(items)
        raise StopIteration


def _flat(stream: SampleStream, workers: int) -> Iterator[tuple[int, Item | None]]:
    loader: DataLoader[Any] = DataLoader(
        stream, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None
    )
    for chunk in loader:
        yield from chunk


def split_of(index: DatasetIndex, name: str, dataset: Path) -> SplitRecord:
    """A split that has samples. Raises InputError where it has none."""
    split = index.splits.get(name)
    if split is None or split.rows == 0:
        raise InputError(
            f"dataset {dataset}: its {name} split has no samples (splits: {', '.join(index.splits) or 'none'}); "
            "build it from more songs"
        )
    return split


def finite_batches(
    stream: SampleStream, task: Task, batch_size: int, limit: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(samples, batch) in the stream's order, the last one as small as it comes; at most `limit` batches."""
    items: list[Item] = []
    made = 0
    for _, item in _flat(stream, 0):
        if item is not None:
            items.append(item)
        if len(items) == batch_size:
            yield len(items), task.collate(items)
            items, made = [], made + 1
            if made == limit:
                return
    if items:
        yield len(items), task.collate(items)


def check_members(task: type[Task], index: DatasetIndex, dataset: Path) -> None:
    """Raises InputError where the dataset lacks a member that the task reads."""
    missing: Sequence[str] = sorted(set(task.members) - {"meta"} - set(index.members))
    if missing:
        raise InputError(
            f"dataset {dataset}: has members {', '.join(index.members)}; "
            f"task {task.name} also needs {', '.join(missing)}; "
            "build it with --members"
        )
