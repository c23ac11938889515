"""A dataset's shards -> prepared items in an order that is a function of (seed, epoch) alone -> batches.

A batch is a chunk of a lane (train.order): a fixed number of consecutive places, without the samples that the task
cannot use. So a chunk does not depend on the chunks before it, and the worker that prepares its samples collates them.

Only addresses are shuffled (see train.order). Shards are memory-mapped, and a sample is a set of views into its shard,
decoded as far as its task asks. So of a shard only the places of its samples are in memory. Ranks and workers divide
one global order among them: no sample is dropped or repeated, and a run resumes without reading earlier samples.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from autosing.errors import InputError
from autosing.schemas.sample import DatasetIndex, Sample, SplitRecord
from autosing.storage.shards import Shard, announce, files_of
from autosing.storage.store import Place
from train.order import Draws, Lane, Order
from train.task import Task

KEPT_ROWS, KEPT_SHARDS = 1 << 16, 256
"""Maximum rows, and number, of the shards that stay open, besides those of the current window: the place of a row costs
about 900 bytes."""
MAPPED_BYTES = 1 << 30
"""Maximum bytes of open shards whose pages stay mapped, or those of a window. They lie in the system's page cache."""
FEW_READERS = 8
"""With at most so many readers (ranks x workers) the system is told to fetch whole shards, as most of them is read."""


class Chunk(NamedTuple):
    """One lane chunk, collated."""

    end: int
    """The lane place after its last sample."""
    useful: int
    """Samples in the batch."""
    skipped: int
    """Samples that the task cannot use."""
    batch: dict[str, Any] | None
    """None if the task can use no sample."""


class SampleStream(IterableDataset[Chunk | InputError]):
    """Yields its lane's chunks in order, each as one batch.

    An InputError is yielded, not raised: from a worker's process it would come back as a page of traceback.
    """

    def __init__(
        self,
        dataset: Place,
        split: SplitRecord,
        task: Task,
        lane: Lane,
        seed: int,
        shuffle: bool = True,
        epochs: int | None = None,
        window: int = 4,
        bucket: int = 0,
        cache_bytes: int = 0,
    ) -> None:
        super().__init__()
        self.lane, self.rows = lane, split.rows
        self._dataset, self._split, self.task = dataset, split, task
        self._files, self._length_file = files_of(task.members), task.length_file
        self._seed, self._epochs = seed, epochs
        self._order = Order(split, seed if shuffle else None, window, bucket if task.length_file else 0)
        self._shards: dict[int, Shard] = {}
        self._cache: dict[tuple[int, int], Sample] = {}
        self._cached_bytes: dict[tuple[int, int], int] = {}
        self._cache_bytes = cache_bytes

    def __iter__(self) -> Iterator[Chunk | InputError]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        self._room = self._cache_bytes // workers
        self._few, self._soon = workers * self.lane.world <= FEW_READERS, False
        try:
            yield from self._chunks(worker, workers)
        except InputError as error:
            yield error
        finally:
            self._shards.clear()

    def _chunks(self, worker: int, workers: int) -> Iterator[Chunk]:
        draws, lane = Draws(), 0
        items: list[dict[str, Any] | None] = []
        prepare, seed, size_of_chunk = self.task.prepare, self._seed, self.lane.chunk
        epoch = self.lane.start.next // self.rows
        while self._epochs is None or epoch < self._epochs:
            for first, size, shards in self._order.windows(epoch):
                at_K, lane_K = self.lane.mine(first, size, worker, workers)
                if not len(at_K):
                    continue
                self._switch_to(shards.tolist())
                address_N2 = self._order.addresses(epoch, first, shards, self._sizes)
                for shard, row, lane in zip(*address_N2[at_K].T.tolist(), (lane_K + 1).tolist(), strict=True):
                    sample = self._sample(shard, row)
                    items.append(prepare(sample, draws.of(seed, epoch, sample.id)))
                    if sample.keeps:
                        self._keep((shard, row), sample)
                    if lane % size_of_chunk == 0:
                        yield self._collated(lane, items)
                        items = []
            epoch += 1
        if items:
            yield self._collated(lane, items)

    def _collated(self, end: int, items: Sequence[dict[str, Any] | None]) -> Chunk:
        useful = [item for item in items if item is not None]
        batch = self.task.collate(useful) if useful else None
        return Chunk(end, len(useful), len(items) - len(useful), batch)

    def _sample(self, number: int, row: int) -> Sample:
        if not self._cache_bytes:
            return self._shard(number).sample(row)
        held = self._cache.get((number, row))
        if held is not None:
            return held
        sample = self._shard(number).sample(row)
        return sample.keeping() if self._room > 0 else sample

    def _shard(self, number: int) -> Shard:
        shard = self._shards.get(number)
        if shard is None:
            record = self._split.shards[number]
            shard = Shard(self._dataset / record.path, self._files, record.rows, self._soon, record.offsets)
            self._soon = self._few and shard.share > 0.5
            self._shards[number] = shard
        return shard

    def _sizes(self, number: int) -> list[int]:
        return self._shard(number).sizes(self._length_file)

    def _switch_to(self, needed: list[int]) -> None:
        """Close the shards used longest ago, or release their pages, until the limits hold; fetch those needed now."""
        used = [k for k in self._shards if k not in needed] + [k for k in needed if k in self._shards]
        self._shards = {k: self._shards[k] for k in used}
        rows = sum(len(shard) for shard in self._shards.values())
        mapped = sum(shard.num_bytes for shard in self._shards.values())
        for number in [k for k in used if k not in needed]:
            if mapped > MAPPED_BYTES:
                self._shards[number].rest()
            mapped -= self._shards[number].num_bytes
            if rows > KEPT_ROWS or len(self._shards) > KEPT_SHARDS:
                rows -= len(self._shards.pop(number))
        for number in needed if self._soon else ():
            if number in self._shards:
                self._shards[number].fetch()
            else:
                announce(self._dataset / self._split.shards[number].path)

    def _keep(self, at: tuple[int, int], sample: Sample) -> None:
        """Cache a sample if it fits. Cached samples stay, since each epoch reads them again, unless they outgrow it."""
        size = sample.num_bytes
        self._room -= size - self._cached_bytes.get(at, 0)
        if self._room >= 0:
            self._cache[at], self._cached_bytes[at] = sample, size
        else:
            self._cache.pop(at, None)


class Batches:
    """The stream's batches, without end; the last chunk of an epoch is filled from the next one.

    A batch lacks the samples that the task cannot use; a chunk without a usable sample is skipped. `pin`: give batches
    in pinned memory, from which copies to a CUDA device do not wait (only with workers; the loader's thread pins them).
    `taken`: samples of this rank's lane in the batches so far, counted from `start`, with those that were skipped.
    """

    def __init__(self, stream: SampleStream, workers: int, pin: bool = False) -> None:
        self._chunks = _chunks(stream, workers, pin)
        self._name, self._rows = stream.task.name, stream.rows
        self.start = stream.lane.start
        self.taken = self.skipped = 0

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> dict[str, Any]:
        useless = 0
        for chunk in self._chunks:
            self.taken, self.skipped = chunk.end, self.skipped + chunk.skipped
            if chunk.batch is not None:
                return chunk.batch
            useless += chunk.skipped
            if useless > self._rows:
                raise InputError(f"task {self._name}: it can use no sample of the train split")
        raise StopIteration


def _chunks(stream: SampleStream, workers: int, pin: bool = False) -> Iterator[Chunk]:
    chunks = (
        DataLoader(stream, batch_size=None, num_workers=workers, prefetch_factor=4, pin_memory=pin, collate_fn=_as_is)
        if workers
        else stream
    )
    for chunk in chunks:
        if isinstance(chunk, InputError):
            raise chunk
        yield chunk


def _as_is(chunk: Any) -> Any:
    """Replaces torch's own conversion, which would search every batch for arrays."""
    return chunk


def split_of(index: DatasetIndex, name: str, dataset: Place) -> SplitRecord:
    """A split that has samples. Raises InputError if it has none."""
    split = index.splits.get(name)
    if split is None or split.rows == 0:
        raise InputError(
            f"dataset {dataset}: its {name} split has no samples (splits: {', '.join(index.splits) or 'none'}); "
            "build it from more songs"
        )
    return split


def finite_batches(stream: SampleStream, limit: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """(samples, batch) in the stream's order; at most `limit` batches."""
    filled = ((chunk.useful, chunk.batch) for chunk in _chunks(stream, 0) if chunk.batch is not None)
    return islice(filled, limit)


def check_members(task: type[Task], index: DatasetIndex, dataset: Place) -> None:
    """Raises InputError if the dataset lacks a member that the task reads."""
    missing: Sequence[str] = sorted(set(task.members) - {"meta"} - set(index.members))
    if missing:
        raise InputError(
            f"dataset {dataset}: has members {', '.join(index.members)}; "
            f"task {task.name} also needs {', '.join(missing)}; "
            "build it with --members"
        )
