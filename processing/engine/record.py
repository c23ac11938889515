"""A run -> its record <corpus>/_runs/<run>.json, from its first job to its end; and back, for `status`.

A run rewrites its record every few seconds, with the jobs that are running. An old record that still says "running"
belongs to a run that was killed.
"""

import importlib.metadata
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from autosing.stage import Stage
from autosing.storage.store import Place, put_bytes
from processing.engine.runner import RunResult
from processing.pipeline import STAGES, PipelineConfig
from processing.report import status

State = Literal["running", "done", "incomplete", "stopped", "failed"]
"""incomplete: partitions were set aside; stopped: by the user; failed: on bad input or a broken machine."""
_BEAT_S = 5.0
_WRITING = 0.05
"""Maximum share of a run's time that is spent on writing its record, which grows with the run."""
_SILENT_S = 90.0
"""A run that has not written its record for so long counts as killed."""
_PACKAGES = ("autosing", "torch", "ray", "numpy", "pyarrow", "soundfile", "demucs", "openai-whisper", "torchfcpe")


class Record:
    """The record of a run that has something to do: resolved config, versions, weights, jobs with reason and worker."""

    def __init__(self, corpus: Place, stages: Sequence[Stage[Any, Any]], config: PipelineConfig) -> None:
        self._corpus, self._begun, self._started = corpus, datetime.now(UTC), time.monotonic()
        self.path = corpus / f"_runs/{self._begun:%Y%m%dT%H%M%S.%fZ}-{uuid4().hex[:6]}.json"
        self._stages = {stage.name for stage in stages}
        self._same = {
            "config": {k: v for k, v in config.dump().items() if k not in STAGES}
            | {stage.name: stage.config.dump() for stage in stages},
            "stages": {s.name: {"version": s.version, "weights": s.weights()} for s in stages},
            "packages": _versions(),
        }
        self._next_beat = 0.0

    def beat(self, result: RunResult, left_s: float | None) -> None:
        """Write the current state, unless that was done a few seconds ago."""
        now = time.monotonic()
        if now >= self._next_beat:
            at_work = [
                {
                    "stage": job.stage,
                    "partition": job.partition,
                    "worker": a.worker,
                    "seconds": round(now - a.since),
                }
                for a in result.at_work.values()
                for job in a.jobs
            ]
            left = None if left_s is None else round(left_s)
            self._write("running", result, {"seconds_left": left, "at_work": at_work})
            took_s = time.monotonic() - now
            self._next_beat = now + min(max(_BEAT_S, took_s / _WRITING), _SILENT_S / 2)

    def end(self, result: RunResult, state: State, why: str | None = None) -> None:
        """Write the run's outcome, with the counts of the corpus."""
        counts = [row for row in status(self._corpus) if row["stage"] in self._stages | {"index"}]
        self._write(state, result, {"counts": counts} | ({"why": why} if why else {}))

    def _write(self, state: State, result: RunResult, more: dict[str, Any]) -> None:
        content = {
            "state": state,
            "begun": self._begun.isoformat(timespec="seconds"),
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._started, 1),
            "workers": result.workers,
            **self._same,
            "jobs": len(result.schedule.jobs),
            "kept": result.kept,
            "made": [
                {
                    "stage": job.stage, "partition": job.partition, "why": job.why, "worker": maker, **done.took(),
                }
                for (job, done), maker in zip(result.done, result.makers, strict=True)
            ],
            "set_aside": [
                {
                    "stage": s.job.stage, "partition": s.job.partition, "reason": s.reason, "deaths": s.deaths,
                    "not_run": list(s.not_run),
                }
                for s in result.failures
            ],
            **more,
        }  # fmt: skip
        put_bytes((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(), self.path, "run")


def last_run(corpus: Place) -> dict[str, Any]:
    """{"last_run": the latest record in short, or None, "set_aside": jobs that a run set aside and no later run made}.

    The last run's state is "killed" if its record says running and has not been written for a while.
    """
    found = _records(corpus)
    given_up: dict[tuple[str, int], dict[str, Any]] = {}
    for content in found:
        for made in content["made"]:
            given_up.pop((made["stage"], made["partition"]), None)
        for job in content["set_aside"]:
            given_up[job["stage"], job["partition"]] = job
    return {"last_run": _shown(found[-1]) if found else None, "set_aside": list(given_up.values())}


def _records(corpus: Place) -> list[dict[str, Any]]:
    """Every run's record, the oldest first, each with its name."""
    folder = corpus / "_runs"
    paths = [path for path in folder.iterdir() if path.name.endswith(".json")] if folder.is_dir() else []
    paths = sorted((path for path in paths if not path.name.startswith(".")), key=lambda path: path.name)
    found = [{"run": path.stem, **json.loads(path.read_text(encoding="utf-8"))} for path in paths]
    return [content for content in found if "state" in content]


def _shown(content: dict[str, Any]) -> dict[str, Any]:
    silent_s = (datetime.now(UTC) - datetime.fromisoformat(content["written"])).total_seconds()
    killed = content["state"] == "running" and silent_s > _SILENT_S
    alive = content["state"] == "running" and not killed
    return {
        "run": content["run"], "state": "killed" if killed else content["state"], "why": content.get("why"),
        "begun": content["begun"], "written": content["written"], "seconds": content["seconds"],
        "workers": content["workers"], "jobs": content["jobs"], "made": len(content["made"]),
        "at_work": content["at_work"] if alive else [], "seconds_left": content["seconds_left"] if alive else None,
    }  # fmt: skip


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
