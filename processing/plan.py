"""A few partitions of a corpus, really run -> a forecast for a corpus of another size, on other machines.

Seconds, bytes and rows of the sample are measured. The forecast takes the sample's cost per byte of song, applies it
to partitions of the corpus's sizes, and simulates a run over them in the runner's order (processing.simulate).
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
from autosing.config import load_config
from autosing.console import note, summary
from autosing.errors import InputError
from autosing.schemas.base import arrow_schema
from autosing.stage import Stage
from autosing.storage.store import Place
from autosing.storage.tables import columns_bytes, open_table, partitions, rejects_path, table_path
from processing.engine.concurrency import computes_on_gpu
from processing.engine.runner import run
from processing.engine.schedule import Job
from processing.engine.worker import Done
from processing.pipeline import PipelineConfig, build_stages
from processing.simulate import (
    StageCost,
    WorkerKinds,
    binding,
    bounds,
    busiest,
    machines_that_help,
    simulate_run,
    times,
)

_SUMMED = ("worker_hours", "cpu_hours", "gpu_hours", "gb_read", "gb_written")
_MAX_SIMULATED_JOBS = 1_000_000
"""With more jobs the run is bounded instead of simulated: simulating a hundred thousand jobs takes a second."""


@dataclass(frozen=True)
class StageMeasure:
    """What one stage took for the sample. Seconds are summed over workers; `in_models` is the share spent in models."""

    name: str
    reads: tuple[str, ...]
    on_gpu: bool
    seconds: float
    cpu_seconds: float
    setup_s: float
    in_models: float
    read_bytes: int
    written_bytes: int
    rows_in: int
    rows_out: int


@dataclass(frozen=True)
class Measure:
    """A sample of a corpus, run on this machine with its `gpus`.

    `index_bytes` (the size of each partition's songs, to which costs are proportional) and `songs` describe the whole
    corpus. `start_s` is the part of the wall time that is not work: starting and stopping Ray, handing out jobs.
    """

    stages: list[StageMeasure]
    index_bytes: list[int]
    songs: int
    sampled: list[int]
    sampled_bytes: int
    sampled_songs: int
    kinds: WorkerKinds
    gpus: int
    wall_s: float
    start_s: float

    @property
    def on_gpus(self) -> bool:
        """Whether a stage was measured on a GPU."""
        return self.gpus > 0 and any(stage.on_gpu for stage in self.stages)


@dataclass(frozen=True)
class Target:
    """What to forecast. Each machine has as many workers as the measured one; `storage_mb_s` is the throughput of the
    storage, shared by all machines (None: not considered)."""

    songs: int
    machines: int = 1
    gpus: int = 0
    storage_mb_s: float | None = None


def plan_corpus(
    corpus: Place, stages: Sequence[str] | None, config: Path | None, overrides: Sequence[str], sample: int | None,
    target: Target, as_json: bool,
) -> None:  # fmt: skip
    """Measure, forecast, print. Raises InputError on bad input."""
    resolved = load_config(PipelineConfig, config, overrides)
    chosen = build_stages(resolved, stages)
    note(f"running {', '.join(stage.name for stage in chosen)} on a few partitions of {corpus}")
    known = measure(corpus, chosen, resolved, sample)
    rows, facts = forecast(known, target)
    summary(f"plan of {target.songs} songs like those of {corpus}", rows, as_json, **facts)


def measure(
    corpus: Place, stages: Sequence[Stage[Any, Any]], config: PipelineConfig, sample: int | None, address: str = "local"
) -> Measure:
    """Run the stages on a few partitions, in a temporary folder beside them.

    If the corpus lies on a store, the sample is first copied to this machine; the copying is not measured, because
    `Target.storage_mb_s` accounts for it. sample: number of partitions; by default three for each worker, so that the
    first warms it up and the others run while all workers compete for the machine, as in a real run. They are spread
    evenly from the smallest to the largest. Raises InputError as `run` does, and if a partition fails.
    """
    import torch

    indices = {k: table_path(corpus, k, "index") for k in partitions(corpus)}
    sizes, rows = {k: path.stat().st_size for k, path in indices.items()}, dict[int, int]()
    for k, path in indices.items():
        with open_table(path) as file:
            rows[k] = file.metadata.num_rows
    wanted = min(len(sizes), sample or 3 * (config.workers or os.cpu_count() or 1))
    ranked = sorted(sizes, key=lambda k: (sizes[k], k))
    chosen = sorted(ranked[(2 * n + 1) * len(ranked) // (2 * wanted)] for n in range(wanted))
    own = {k: sizes[k] for k in chosen}
    names = {stage.name for stage in stages}
    beside = corpus if isinstance(corpus, Path) else None
    with tempfile.TemporaryDirectory(prefix=".plan-", dir=beside) as folder:
        for k in chosen:
            _link_inputs(corpus, Path(folder), k, stages)
        started = time.monotonic()
        result = run(Path(folder), stages, config, address)
        wall_s = time.monotonic() - started
        if result.failures:
            first = result.failures[0]
            why = f"{first.job.stage}, partition {first.job.partition}: {first.reason}"
            raise InputError(f"{corpus}: {len(result.failures)} partitions of the sample were set aside: {why}")
        found = [_measured(stage, Path(folder), own, result.done) for stage in stages]
    total = sum(own.values())
    kinds = [(its & names, count) for its, count in result.kinds if its & names]
    start_s = max(0.0, wall_s - simulate_run(_costs(found, [size / total for size in own.values()]), kinds).wall_s)
    return Measure(
        found, list(sizes.values()), sum(rows.values()), chosen, total, sum(rows[k] for k in chosen), kinds,
        torch.cuda.device_count(), wall_s, start_s,
    )  # fmt: skip


def forecast(known: Measure, target: Target) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(a row for each stage, facts of the whole run): seconds and bytes in proportion to the bytes of the songs."""
    song_bytes = target.songs * sum(known.index_bytes) / known.songs
    count = max(1, round(target.songs * len(known.index_bytes) / known.songs))
    sizes = list(islice(cycle(known.index_bytes), count))
    whole = song_bytes / known.sampled_bytes
    costs = _costs(known.stages, [size / sum(sizes) * whole for size in sizes])
    by_gpu = target.gpus > 0 and known.on_gpus
    at_once = times(known.kinds, 1 / known.gpus) if by_gpu else known.kinds
    kinds = times(known.kinds, target.gpus / known.gpus if by_gpu else target.machines)
    workers, measuring = (sum(count for _, count in its) for its in (kinds, known.kinds))
    rows = [_row(stage, whole, known) for stage in known.stages]
    totals = {key: sum(row[key] or 0 for row in rows) for key in _SUMMED}
    traffic_mb = 1000 * (totals["gb_read"] + totals["gb_written"])
    limits = bounds(costs, kinds, traffic_mb / target.storage_mb_s if target.storage_mb_s else 0.0)
    if count * len(costs) <= _MAX_SIMULATED_JOBS:
        wall_s, _, idle_share = simulate_run(costs, kinds)
    else:
        wall_s = limits["work"] + limits["the longest partition"]
        idle_share = 1 - sum(sum(cost.seconds) for cost in costs) / (wall_s * workers)
    wall_s = known.start_s + max(wall_s, limits["storage"])
    machines, then_binds = machines_that_help(costs, at_once, limits["storage"])
    facts: dict[str, Any] = {
        "measured": f"{len(known.sampled)} of {len(known.index_bytes)} partitions, {known.sampled_songs} songs, "
        f"{known.wall_s:.0f} s on {measuring} workers, on {'GPU' if known.on_gpus else 'CPU'}; seconds, bytes and rows",
        "extrapolated": "all figures here, by the bytes of the songs; the wall time by simulating the runner's order",
        "partitions": count, "workers": workers, "wall_hours": wall_s / 3600, "wall_seconds": round(wall_s, 1),
        "of_it_start_seconds": round(known.start_s, 1), **totals, "gb_stored": song_bytes / 1e9 + totals["gb_written"],
        "storage_mb_s_needed": traffic_mb / max(wall_s, 1e-9), "workers_wait": f"{idle_share:.1%}",
        "binds": f"stage {busiest(costs, kinds)}" if binding(limits) == "work" else binding(limits),
        "machines_that_help": f"{machines}; twice as many would save less than a tenth: {then_binds} binds",
    }  # fmt: skip
    if not known.on_gpus:
        facts["gpu_hours"] = "not measured"
    if target.gpus and not known.on_gpus:
        facts["note"] = (
            f"the stages were measured on a CPU, so the {target.gpus} GPUs are not in these figures; "
            "run 'autosing plan' where there is one"
        )
    return rows, facts


def _row(stage: StageMeasure, whole: float, known: Measure) -> dict[str, Any]:
    mine = sum(count for names, count in known.kinds if stage.name in names)
    hours = stage.seconds * whole / 3600
    return {
        "stage": stage.name, "measured_on": "gpu" if stage.on_gpu else "cpu", "in_models": f"{stage.in_models:.0%}",
        "worker_hours": hours, "cpu_hours": stage.cpu_seconds * whole / 3600,
        "gpu_hours": hours * max(known.gpus, 1) / mine if stage.on_gpu else None,
        "gb_read": stage.read_bytes * whole / 1e9, "gb_written": stage.written_bytes * whole / 1e9,
        "rows_out": round(stage.rows_out * whole),
    }  # fmt: skip


def _costs(stages: Sequence[StageMeasure], shares: Sequence[float]) -> list[StageCost]:
    """The stages' costs for partitions whose sizes are given as shares of the sample's size."""
    return [StageCost(s.name, s.reads, [s.seconds * share for share in shares], s.setup_s) for s in stages]


def _link_inputs(corpus: Place, sample: Path, partition: int, stages: Sequence[Stage[Any, Any]]) -> None:
    """Provide the tables that the stages read but do not make: links to files, copies of a store's objects."""
    (sample / str(partition)).mkdir()
    optional = {name for stage in stages for name in stage.optional}
    made = {stage.name for stage in stages}
    for table in {"index", *(name for stage in stages for name in stage.reads)} - made:
        held, target = table_path(corpus, partition, table), table_path(sample, partition, table)
        if not held.is_file():
            if table in optional:
                continue
            raise InputError(f"{held}: not there; run 'autosing process {corpus} --stages {table}' first")
        if isinstance(held, Path):
            target.symlink_to(held.absolute())
            continue
        with held.open() as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)


def _measured(
    stage: Stage[Any, Any], sample: Path, sizes: Mapping[int, int], outcomes: Sequence[tuple[Job, Done]]
) -> StageMeasure:
    """A worker's first partition of a stage also warms it up: time beyond the pace of the others counts as loading."""
    mine = [(sizes[job.partition], done) for job, done in outcomes if job.stage == stage.name]
    first = [(size, done) for size, done in mine if done.setup_s]
    steady = [(size, done) for size, done in mine if not done.setup_s] or mine
    share = sum(sizes.values()) / sum(size for size, _ in steady)
    seconds = share * sum(done.seconds for _, done in steady)
    warming = [max(0.0, done.seconds - seconds * size / sum(sizes.values())) + done.setup_s for size, done in first]
    return StageMeasure(
        stage.name, stage.reads, computes_on_gpu(stage), seconds, share * sum(done.cpu_seconds for _, done in steady),
        setup_s=sum(warming) / max(len(first), 1),
        in_models=share * sum(done.spent.get(MODEL, 0.0) for _, done in steady) / max(seconds, 1e-9),
        read_bytes=sum(_bytes_read(stage, sample, k) for k in sizes),
        written_bytes=sum(of(sample, k, stage.name).stat().st_size for k in sizes for of in (table_path, rejects_path)),
        rows_in=sum(done.meta.rows_in for _, done in mine), rows_out=sum(done.meta.rows for _, done in mine),
    )  # fmt: skip


def _bytes_read(stage: Stage[Any, Any], corpus: Path, partition: int) -> int:
    """Compressed bytes of the columns that the stage takes; each column from the first table that has it."""
    left, total = set(arrow_schema(stage.takes).names), 0
    for table in stage.reads:
        path = table_path(corpus, partition, table)
        if table in stage.optional and not path.is_file():
            continue
        with open_table(path) as file:
            found = left & set(file.schema_arrow.names)
            total += columns_bytes(file, found | {"id"}, compressed=True)
        left -= found
    return total
