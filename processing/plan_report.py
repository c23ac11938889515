"""A corpus and words from the command line -> the plan of a run, for people or as JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autosing.config import load_config
from autosing.console import note, summary
from autosing.storage.store import Place
from processing.pipeline import PipelineConfig, build_stages
from processing.plan import Forecast, Measure, Target, forecast, measure, on_gpus


def plan_corpus(
    corpus: Place,
    stages: Sequence[str] | None,
    config: Path | None,
    overrides: Sequence[str],
    sample: int | None,
    songs: int,
    machines: int,
    gpus: int,
    storage_mb_s: float | None,
    as_json: bool,
) -> None:
    """Measure, forecast, print. Raises InputError on bad input."""
    resolved = load_config(PipelineConfig, config, overrides)
    chosen = build_stages(resolved, stages)
    note(f"running {', '.join(stage.name for stage in chosen)} on a few partitions of {corpus}")
    known = measure(corpus, chosen, resolved, sample)
    found = forecast(known, Target(songs, machines, gpus, storage_mb_s))
    summary(f"plan of {songs} songs like those of {corpus}", found.stages, as_json, **facts(known, found, gpus))


def facts(known: Measure, found: Forecast, gpus: int) -> dict[str, Any]:
    """What is said beside the stages' table."""
    of_gpus, workers = on_gpus(known), sum(count for _, count in known.kinds)
    traffic_mb = (found.read_bytes + found.written_bytes) / 1e6
    said: dict[str, Any] = {
        "measured": f"{len(known.sampled)} of {len(known.index_bytes)} partitions, {known.sampled_songs} songs, "
        f"{known.wall_s:.0f} s on {workers} workers, on {'GPU' if of_gpus else 'CPU'}; seconds, bytes and rows",
        "extrapolated": "all figures here, by the bytes of the songs; the wall time by playing the runner's order",
        "partitions": found.partitions,
        "workers": found.workers,
        "wall_hours": found.wall_s / 3600,
        "wall_seconds": round(found.wall_s, 1),
        "of_it_start_seconds": round(found.start_s, 1),
        "worker_hours": sum(row["worker_hours"] for row in found.stages),
        "cpu_hours": sum(row["cpu_hours"] for row in found.stages),
        "gpu_hours": sum(row["gpu_hours"] or 0 for row in found.stages) if of_gpus else "not measured",
        "gb_read": found.read_bytes / 1e9,
        "gb_written": found.written_bytes / 1e9,
        "gb_stored": found.stored_bytes / 1e9,
        "storage_mb_s_needed": traffic_mb / max(found.wall_s, 1e-9),
        "workers_wait": f"{found.idle_share:.1%}",
        "binds": found.binds,
        "machines_that_help": f"{found.machines_that_help}; beyond, twice as many save less than a tenth: "
        f"{found.then_binds} binds",
    }
    if gpus and not of_gpus:
        said["note"] = (
            f"the stages were measured on a CPU, so the {gpus} GPUs are not in these figures; "
            "run 'autosing plan' where there is one"
        )
    return said
