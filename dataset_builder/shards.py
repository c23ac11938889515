"""Samples in any order -> tars in one seeded order, with bounded memory.

The order is a permutation of the clips, known before the first byte is read. Samples are first spilled into buckets of
consecutive ranks; then each bucket is read into memory, sorted and written. So the order does not depend on the memory,
and equal clips give equal shards, however they were partitioned.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from autosing.ids import seed_of
from autosing.schemas.sample import ShardRecord
from autosing.storage.offsets import offsets_path
from autosing.storage.shards import ShardFile
from dataset_builder.commit import Edition

OPEN_FILES = 64
"""Maximum number of open spill files of one split; a process may often open no more than 1024 files in total."""


def order_of(ids: Iterable[str], split: str, seed: int) -> dict[str, int]:
    """Clip id -> rank in its split: a function of the ids and the seed alone."""
    ordered = sorted(ids)
    ranks = np.random.default_rng(seed_of("order", seed, split)).permutation(len(ordered))
    return {id: int(rank) for id, rank in zip(ordered, ranks, strict=True)}


class Shuffler:
    """Takes the samples of one split in any order; `finish` writes them by rank."""

    def __init__(self, ranks: Mapping[str, int], folder: Path, buckets: int) -> None:
        self._ranks, self._folder = ranks, folder
        self._buckets = max(1, min(buckets, len(ranks)))
        folder.mkdir(parents=True, exist_ok=True)
        self._open: OrderedDict[int, BinaryIO] = OrderedDict()
        self._sizes = [0] * self._buckets
        self._held: list[list[tuple[int, str, dict[str, tuple[int, int]]]]] = [[] for _ in range(self._buckets)]

    def add(self, id: str, files: Mapping[str, bytes]) -> None:
        """Spill one sample: its bytes to its bucket, their offsets to memory (about 100 bytes a member)."""
        rank = self._ranks[id]
        bucket = rank * self._buckets // len(self._ranks)
        spill, offsets = self._spill(bucket), {}
        for name, data in files.items():
            offsets[name] = (self._sizes[bucket], len(data))
            spill.write(data)
            self._sizes[bucket] += len(data)
        self._held[bucket].append((rank, id, offsets))

    def finish(self, edition: Edition, split: str, max_bytes: int, max_rows: int) -> list[ShardRecord]:
        """Put <split>/NNNNNN.tar and their offsets files, and delete the spill files."""
        writer = _Roller(edition, split, max_bytes, max_rows)
        while self._open:
            self._open.popitem()[1].close()
        for bucket, held in enumerate(self._held):
            data = self._path(bucket).read_bytes() if held else b""
            for _, id, offsets in sorted(held):
                writer.add(id, {name: data[start : start + size] for name, (start, size) in offsets.items()})
            self._path(bucket).unlink(missing_ok=True)
        self._folder.rmdir()
        return writer.close()

    def _spill(self, bucket: int) -> BinaryIO:
        """The bucket's file, open for appending. If too many are open, the one used least recently is closed."""
        file = self._open.get(bucket)
        if file is None:
            if len(self._open) == OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            file = self._open[bucket] = self._path(bucket).open("ab")
        self._open.move_to_end(bucket)
        return file

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket}.spill"


class _Roller:
    """Starts the next tar when one is full. A sample is never divided, so a tar may be one sample larger than asked."""

    def __init__(self, edition: Edition, split: str, max_bytes: int, max_rows: int) -> None:
        self._edition, self._split, self._max_bytes, self._max_rows = edition, split, max_bytes, max_rows
        self._records: list[ShardRecord] = []
        self._open: ShardFile | None = None

    def add(self, id: str, files: Mapping[str, bytes]) -> None:
        if self._open is None:
            self._open = ShardFile(self._edition.scratch / "shard")
        self._open.add(id, files)
        if self._open.bytes >= self._max_bytes or self._open.rows >= self._max_rows:
            self._end()

    def close(self) -> list[ShardRecord]:
        self._end()
        return self._records

    def _end(self) -> None:
        if self._open is not None:
            closed = self._open.close()
            name = f"{self._split}/{len(self._records):06d}.tar"
            shard = self._edition.scratch / "shard"
            self._edition.put(offsets_path(shard), offsets_path(Path(name)).as_posix(), "offsets")
            path = self._edition.put(shard, name, "shard")
            self._records.append(closed.model_copy(update={"path": path}))
            self._open = None


def num_buckets(num_bytes: int, memory_bytes: int) -> int:
    """So many that an average bucket takes about a third of the memory, because some buckets are larger."""
    return 1 + 3 * num_bytes // memory_bytes
