"""A corpus or a run -> counts for people: rows in, out and rejected, by reason."""

import importlib.metadata
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from autosing.stage import Stage
from autosing.store import Place, put_bytes
from autosing.tables import partitions, read_meta, read_rejects, table_path
from processing.pipeline import STAGES, PipelineConfig
from processing.runner import RunResult

_PACKAGES = ("autosing", "torch", "ray", "numpy", "pyarrow", "soundfile", "demucs", "openai-whisper", "torchfcpe")


def status(corpus: Place) -> list[dict[str, Any]]:
    """One row a stage, the index first: partitions done, rows in, out and rejected, reasons with their counts."""
    numbers = partitions(corpus)
    return [_count(corpus, numbers, name) for name in ("index", *STAGES)]


def for_people(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows under short names that fit a terminal, reasons as words: "no_singing 2, not_audio 1"."""
    names = {"rows_in": "in", "rows_out": "out", "made_now": "made", "worker_seconds": "seconds"}
    words = [row | {"reasons": ", ".join(f"{k} {n}" for k, n in row["reasons"].items())} for row in rows]
    return [{names.get(key, key): value for key, value in row.items()} for row in words]


def _count(corpus: Place, numbers: Sequence[int], name: str) -> dict[str, Any]:
    metas = [meta for k in numbers if (meta := read_meta(table_path(corpus, k, name))) is not None]
    reasons = Counter(row.reason for k in numbers for row in read_rejects(corpus, k, name))
    return {
        "stage": name,
        "partitions": f"{len(metas)}/{len(numbers)}",
        "rows_in": sum(meta.rows_in for meta in metas),
        "rows_out": sum(meta.rows for meta in metas),
        "rejected": sum(meta.rejected for meta in metas),
        "reasons": dict(sorted(reasons.items())),
    }


def summarize(corpus: Place, stages: Sequence[Stage[Any, Any]], result: RunResult) -> list[dict[str, Any]]:
    """The status of the stages that were run, with how many partitions were made now and the seconds they took."""
    numbers = partitions(corpus)
    rows = []
    for stage in stages:
        made = [done for job, done in result.done if job.stage == stage.name]
        seconds = round(sum(done.seconds for done in made), 1)
        rows.append({**_count(corpus, numbers, stage.name), "made_now": len(made), "worker_seconds": seconds})
    return rows


def write_run(
    corpus: Place, stages: Sequence[Stage[Any, Any]], config: PipelineConfig, result: RunResult, seconds: float
) -> Place:
    """<corpus>/_runs/<run>.json: resolved config, versions, weights, counts, why each table was made, seconds."""
    now = datetime.now(UTC)
    path = corpus / f"_runs/{now:%Y%m%dT%H%M%SZ}-{uuid4().hex[:6]}.json"
    stage_names = {stage.name for stage in stages}
    content = {
        "finished": now.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "workers": result.workers,
        "config": {k: v for k, v in config.dump().items() if k not in STAGES}
        | {stage.name: stage.config.dump() for stage in stages},
        "stages": {s.name: {"version": s.version, "weights": s.weights()} for s in stages},
        "packages": _versions(),
        "counts": [row for row in status(corpus) if row["stage"] in stage_names | {"index"}],
        "made": [
            {"stage": job.stage, "partition": job.partition, "why": job.why, "seconds": round(done.seconds, 3)}
            for job, done in result.done
        ],
        "failures": result.failures,
    }
    put_bytes((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(), path, "run")
    return path


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
