"""A few partitions of a corpus, run for real -> what a corpus of another size would take, on other machines.

What was measured and what follows from it are told apart: a sample's seconds, bytes and rows are measured; the rest is
the sample's cost a byte of song, laid on partitions like the corpus's and played through in the runner's order
(processing.simulate).
"""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from autosing.clock import MODEL
from autosing.errors import InputError
from autosing.schemas.base import arrow_schema
from autosing.stage import Stage
from autosing.storage.store import Place
from autosing.storage.tables import columns_bytes, open_table, partitions, rejects_path, table_path
from processing.engine.concurrency import computes_on_gpu
from processing.engine.runner import run
from processing.engine.schedule import Job
from processing.engine.worker import Done
from processing.pipeline import PipelineConfig
from processing.simulate import Played, StageCost, WorkerKinds, bounds, busiest, machines_that_help, play, times

_PLAYED_JOBS = 1_000_000
"""Beyond, the runs are not played through but bounded: a second of computing is a hundred thousand jobs."""


@dataclass(frozen=True)
class StageMeasure:
    """What one stage took of the sample. Seconds are of workers."""

    name: str
    reads: tuple[str, ...]
    on_gpu: bool
    seconds: float
    cpu_seconds: float
    setup_s: float
    in_models: float
    """Share of the seconds."""
    read_bytes: int
    written_bytes: int
    rows_in: int
    rows_out: int


@dataclass(frozen=True)
class Measure:
    """A sample of a corpus, run for real."""

    stages: list[StageMeasure]
    index_bytes: list[int]
    """Of each partition of the whole corpus: the size of its songs, by which costs are laid on."""
    songs: int
    """Of the whole corpus."""
    sampled: list[int]
    """The numbers of the partitions that were run."""
    sampled_bytes: int
    sampled_songs: int
    kinds: WorkerKinds
    gpus: int
    """Of this machine."""
    wall_s: float
    start_s: float
    """Of the wall time, what is not work: starting Ray and ending it, handing out jobs."""


@dataclass(frozen=True)
class Target:
    """What is asked for."""

    songs: int
    machines: int = 1
    """Each with as many workers as the one that was measured."""
    gpus: int = 0
    storage_mb_s: float | None = None
    """What the storage gives to all machines together; None: it is not looked at."""


@dataclass(frozen=True)
class Forecast:
    """What the whole would take."""

    partitions: int
    workers: int
    wall_s: float
    start_s: float
    binds: str
    idle_share: float
    stages: list[dict[str, Any]]
    read_bytes: int
    written_bytes: int
    stored_bytes: int
    """The corpus with all its tables."""
    machines_that_help: int
    then_binds: str


def measure(
    corpus: Place, stages: Sequence[Stage[Any, Any]], config: PipelineConfig, sample: int | None, address: str = "local"
) -> Measure:
    """Run the stages on some partitions, in a folder beside them that is gone afterwards.

    Of a store, the sample is brought to this machine first, which is not measured: `Target.storage_mb_s` is for that.
    sample: how many partitions; by default three a worker: one to warm up, and workers stand in each other's way
    as they would. They are chosen evenly from the smallest to the largest.
    Raises InputError as `run` does, and where one fails.
    """
    numbers = partitions(corpus)
    sizes = {k: table_path(corpus, k, "index").stat().st_size for k in numbers}
    rows = {k: _num_rows(table_path(corpus, k, "index")) for k in numbers}
    wanted = min(len(numbers), sample or 3 * (config.workers or os.cpu_count() or 1))
    ranked = sorted(numbers, key=lambda k: (sizes[k], k))
    chosen = sorted(ranked[(2 * n + 1) * len(ranked) // (2 * wanted)] for n in range(wanted))
    beside = corpus if isinstance(corpus, Path) else None
    with tempfile.TemporaryDirectory(prefix=".plan-", dir=beside) as folder:
        place = Path(folder)
        made = {stage.name for stage in stages}
        for k in chosen:
            (place / str(k)).mkdir()
            optional = {name for stage in stages for name in stage.optional}
            for table in {"index", *(name for stage in stages for name in stage.reads)} - made:
                if (held := table_path(corpus, k, table)).is_file():
                    _lend(held, place / str(k) / held.name)
                elif table not in optional:
                    raise InputError(f"{held}: not there; run 'autosing process {corpus} --stages {table}' first")
        started = time.monotonic()
        result = run(place, stages, config, address)
        wall_s = time.monotonic() - started
        if result.failures:
            first = result.failures[0]
            why = f"{first.job.stage}, partition {first.job.partition}: {first.reason}"
            raise InputError(f"{corpus}: {len(result.failures)} partitions of the sample were set aside: {why}")
        own = {k: sizes[k] for k in chosen}
        found = [_measured(stage, place, own, result.done) for stage in stages]
    shares = [size / sum(own.values()) for size in own.values()]
    costs = [StageCost(s.name, s.reads, [s.seconds * share for share in shares], s.setup_s) for s in found]
    kinds = _of_stages(result.kinds, {stage.name for stage in stages})
    start_s = max(0.0, wall_s - play(costs, kinds).wall_s)
    return Measure(
        found, [sizes[k] for k in numbers], sum(rows.values()), chosen, sum(sizes[k] for k in chosen),
        sum(rows[k] for k in chosen), kinds, _gpus(), wall_s, start_s,
    )  # fmt: skip


def forecast(known: Measure, target: Target) -> Forecast:
    """The whole, from the sample: seconds and bytes grow with the bytes of the songs."""
    mean_songs = known.songs / len(known.index_bytes)
    count = max(1, round(target.songs / mean_songs))
    sizes = list(islice(cycle(known.index_bytes), count))
    scale = target.songs * sum(known.index_bytes) / known.songs / sum(sizes)
    shares = [size * scale / known.sampled_bytes for size in sizes]
    costs = [StageCost(s.name, s.reads, [s.seconds * share for share in shares], s.setup_s) for s in known.stages]
    by_gpu = target.gpus > 0 and on_gpus(known)
    at_once = times(known.kinds, 1 / known.gpus) if by_gpu else known.kinds
    kinds = times(known.kinds, target.gpus / known.gpus if by_gpu else target.machines)
    workers = sum(count for _, count in kinds)
    whole = sum(shares)
    read = sum(s.read_bytes for s in known.stages) * whole
    written = sum(s.written_bytes for s in known.stages) * whole
    storage_s = (read + written) / 1e6 / target.storage_mb_s if target.storage_mb_s else 0.0
    limits = bounds(costs, kinds, storage_s)
    if count * len(costs) <= _PLAYED_JOBS:
        played = play(costs, kinds)
    else:
        played = Played(limits.work_s + limits.chain_s, sum(sum(cost.seconds) for cost in costs), workers)
    wall_s = known.start_s + max(played.wall_s, limits.storage_s)
    helping, then = machines_that_help(costs, at_once, storage_s)
    rows = [_row(s, whole, known) for s in known.stages]
    binds = f"stage {busiest(costs, kinds)}" if limits.binding() == "work" else limits.binding()
    stored = target.songs * sum(known.index_bytes) / known.songs + written
    return Forecast(
        count, workers, wall_s, known.start_s, binds, played.idle_share, rows, round(read), round(written),
        round(stored), helping, then,
    )  # fmt: skip


def _num_rows(table: Place) -> int:
    with open_table(table) as file:
        return int(file.metadata.num_rows)


def _lend(table: Place, target: Path) -> None:
    if isinstance(table, Path):
        target.symlink_to(table.absolute())
        return
    with table.open() as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)


def _row(stage: StageMeasure, whole: float, known: Measure) -> dict[str, Any]:
    mine = sum(count for names, count in known.kinds if stage.name in names)
    return {
        "stage": stage.name,
        "measured_on": "gpu" if stage.on_gpu else "cpu",
        "in_models": f"{stage.in_models:.0%}",
        "worker_hours": stage.seconds * whole / 3600,
        "cpu_hours": stage.cpu_seconds * whole / 3600,
        "gpu_hours": stage.seconds * whole / 3600 * max(known.gpus, 1) / mine if stage.on_gpu else None,
        "gb_read": stage.read_bytes * whole / 1e9,
        "gb_written": stage.written_bytes * whole / 1e9,
        "rows_out": round(stage.rows_out * whole),
    }


def on_gpus(known: Measure) -> bool:
    """Whether a stage was measured on a GPU."""
    return known.gpus > 0 and any(stage.on_gpu for stage in known.stages)


def _of_stages(kinds: WorkerKinds, stages: set[str]) -> WorkerKinds:
    """The kinds that do some of these stages."""
    return [(names & stages, count) for names, count in kinds if names & stages]


def _measured(
    stage: Stage[Any, Any], place: Path, sizes: Mapping[int, int], outcomes: Sequence[tuple[Job, Done]]
) -> StageMeasure:
    """A worker's first partition of a stage also warms it up: what it takes beyond the others counts as loading."""
    mine = [(sizes[job.partition], done) for job, done in outcomes if job.stage == stage.name]
    first = [(size, done) for size, done in mine if done.setup_s]
    steady = [(size, done) for size, done in mine if not done.setup_s] or mine
    share = sum(sizes.values()) / sum(size for size, _ in steady)
    seconds = share * sum(done.seconds for _, done in steady)
    warming = [max(0.0, done.seconds - seconds * size / sum(sizes.values())) for size, done in first]
    files = [path(place, k, stage.name) for k in sizes for path in (table_path, rejects_path)]
    return StageMeasure(
        name=stage.name,
        reads=stage.reads,
        on_gpu=computes_on_gpu(stage),
        seconds=seconds,
        cpu_seconds=share * sum(done.cpu_seconds for _, done in steady),
        setup_s=(sum(warming) + sum(done.setup_s for _, done in first)) / max(len(first), 1),
        in_models=share * sum(done.spent.get(MODEL, 0.0) for _, done in steady) / max(seconds, 1e-9),
        read_bytes=sum(_bytes_read(stage, place, k) for k in sizes),
        written_bytes=sum(path.stat().st_size for path in files),
        rows_in=sum(done.meta.rows_in for _, done in mine),
        rows_out=sum(done.meta.rows for _, done in mine),
    )


def _bytes_read(stage: Stage[Any, Any], corpus: Path, partition: int) -> int:
    """Of the columns that the stage takes, as they lie in Parquet; each from the first table that has it."""
    left, total = set(arrow_schema(stage.takes).names), 0
    paths = {table: table_path(corpus, partition, table) for table in stage.reads}
    for path in (path for table, path in paths.items() if table not in stage.optional or path.is_file()):
        with open_table(path) as file:
            found = left & set(file.schema_arrow.names)
            total += columns_bytes(file, found | {"id"}, compressed=True)
        left -= found
    return total


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()
