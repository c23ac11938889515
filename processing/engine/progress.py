"""A run in progress -> lines for people: what was made, how fast, the time left. On a terminal also a bar."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from autosing.console import duration, has_bar, note
from processing.engine.runner import RunResult
from processing.engine.schedule import Job
from processing.engine.worker import Done
from processing.engine.workers import Died, Outcome

_SAY_S = 30.0
"""Maximum time between two lines where there is no terminal."""


def seconds_left(result: RunResult, now: float) -> float | None:
    """Estimated from the seconds per byte of partition in each stage so far, and the number of workers that are up.

    A stage that has made nothing yet counts as the mean of the others. None: no stage has made anything yet.
    """
    if not result.sums or not result.names:
        return None
    pace = {stage: sums.seconds / sums.size for stage, sums in result.sums.items()}
    mean, schedule = sum(pace.values()) / len(pace), result.schedule

    def cost_s(stage: str, size: int) -> float:
        return pace.get(stage, mean) * size

    at_work_s = [
        max(0.0, sum(cost_s(job.stage, schedule.bytes[job.partition]) for job in a.jobs) - (now - a.since))
        for a in result.at_work.values()
    ]
    waiting_s = sum(cost_s(stage, size) for stage, size in schedule.bytes_left.items())
    longest_s = [cost_s(stage, schedule.largest_left(stage)) for stage in schedule.bytes_left]
    return max((sum(at_work_s) + waiting_s) / len(result.names), *at_work_s, *longest_s)


def left(seconds: float | None) -> str:
    """For example: about 40 s left. Below one second no number is given, as running jobs may take longer than usual."""
    if seconds is None:
        return "time left not known yet"
    return f"about {duration(seconds)} left" if seconds >= 1 else "finishing"


class Progress:
    """Called by the runner at each change (see processing.engine.runner.Tell). The bar ends with the context."""

    def __init__(self) -> None:
        self._why: set[tuple[str, str]] = set()
        self._began = self._said = time.monotonic()
        self._end = ExitStack()
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        if has_bar():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = self._end.enter_context(Bar(*columns, console=Console(stderr=True), transient=True))
            self._bar.add_task("workers are starting")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.close()
        self._bar = None

    def __call__(self, result: RunResult, job: Job | None, event: Outcome | None) -> None:
        now = time.monotonic()
        if self._bar is not None:
            words = f"{self.pace(result, now)} | {at_work(result, now)}"
            self._bar.update(self._bar.task_ids[0], completed=len(result.done), total=_jobs(result), description=words)
        if job is not None and event is not None:
            self._tell(result, job, event, now)
        elif self._bar is None and now - self._said > _SAY_S:
            self._say(f"[{len(result.done)}/{_jobs(result)}] running: {at_work(result, now)}; {self.pace(result, now)}")

    def pace(self, result: RunResult, now: float) -> str:
        """For example: 2.3 rows/s, about 4 min left."""
        rows = sum(sums.rows for sums in result.sums.values())
        return f"{rows / max(now - self._began, 1e-9):.2g} rows/s, {left(seconds_left(result, now))}"

    def _tell(self, result: RunResult, job: Job, event: Outcome, now: float) -> None:
        if isinstance(event, Died) and not any(failure.job == job for failure in result.failures):
            self._say(f"{job.stage} partition {job.partition}: {event.text}; another worker will retry it")
        if not isinstance(event, Done):
            return
        if (job.stage, job.why) not in self._why:
            self._why.add((job.stage, job.why))
            self._say(f"{job.stage}: {job.why}")
        meta = event.meta
        pace = f"; {self.pace(result, now)}" if len(result.done) < _jobs(result) else ""
        self._say(
            f"[{len(result.done)}/{_jobs(result)}] {job.stage} partition {job.partition}: {meta.rows_in} in, "
            f"{meta.rows} out, {meta.rejected} rejected, {event.seconds:.1f} s{pace}"
        )

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        if self._bar is None:
            note(text)
        else:
            self._bar.console.print(text, markup=False, highlight=False)


def at_work(result: RunResult, now: float) -> str:
    """The running jobs, for example: separate 3 (41 s), pitch+singer 0 (2 s)."""
    if not result.names:
        return "workers are starting"
    running = [
        f"{'+'.join(job.stage for job in a.jobs)} {a.jobs[0].partition} ({now - a.since:.0f} s)"
        for a in result.at_work.values()
    ]
    return ", ".join(running) or "-"


def words_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """The result of processing.engine.record.last_run as text for people; empty entries are left out."""
    words = {}
    if facts["last_run"]:
        run = facts["last_run"]
        words["last_run"] = f"{run['run']}: {run['state']}, {run['made']} of {run['jobs']} tables made in "
        words["last_run"] += duration(run["seconds"]) + (f" ({run['why']})" if run["why"] else "")
        if run["seconds_left"] is not None:
            words["last_run"] += f", {left(run['seconds_left'])}"
        words["at_work"] = ", ".join(
            f"{a['stage']} partition {a['partition']} ({duration(a['seconds'])}, {a['worker']})" for a in run["at_work"]
        )
    words["set_aside"] = "".join(
        f"\n  {s['stage']} partition {s['partition']}: {s['reason'].splitlines()[0]}" for s in facts["set_aside"]
    )
    return {key: said for key, said in words.items() if said}


def _jobs(result: RunResult) -> int:
    return len(result.schedule.jobs)
