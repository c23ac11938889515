"""A corpus and arguments of the command line -> a run with its progress, its record and its summary."""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from autosing.config import load_config
from autosing.console import note, summary
from autosing.errors import InputError
from autosing.stage import Stage
from autosing.storage.store import Place
from processing.engine.progress import Progress, seconds_left
from processing.engine.record import Record
from processing.engine.runner import RunResult, run
from processing.engine.schedule import Job
from processing.engine.workers import Outcome
from processing.pipeline import PipelineConfig, build_stages
from processing.report import for_people, next_command, summarize


def process_corpus(
    corpus: Place,
    stages: Sequence[str] | None = None,
    config: Path | None = None,
    overrides: Sequence[str] = (),
    address: str = "local",
    as_json: bool = False,
) -> bool:
    """Run the chosen stages and print the summary. Returns True if every partition is up to date at the end.

    Raises InputError on bad input, before any work where possible.
    """
    resolved = load_config(PipelineConfig, config, overrides)
    chosen = build_stages(resolved, stages)
    started = time.monotonic()
    watch = _Watch(corpus, chosen, resolved)
    with _terminable(), watch:
        result = run(corpus, chosen, resolved, address, watch)
    facts: dict[str, Any] = {
        "seconds": round(time.monotonic() - started, 1), "workers": result.workers, "kept": result.kept,
    }  # fmt: skip
    if watch.record is not None:
        facts["run"] = str(watch.record.path)
    for failure in result.failures:
        note(f"failed: {failure}")
    rows = summarize(corpus, chosen, result)
    facts["next"] = next_command(corpus, rows, resolved.run)
    summary(f"process {corpus}", rows if as_json else for_people(rows), as_json, **facts)
    return not result.failures


class _Watch:
    """Shows progress and writes the run's record, from the first job to the end, however the run ends."""

    def __init__(self, corpus: Place, stages: Sequence[Stage[Any, Any]], config: PipelineConfig) -> None:
        self._new = lambda: Record(corpus, stages, config)
        self._progress = Progress()
        self._result: RunResult | None = None
        self.record: Record | None = None

    def __enter__(self) -> None:
        self._progress.__enter__()

    def __call__(self, result: RunResult, job: Job | None, event: Outcome | None) -> None:
        if self.record is None:
            self.record, self._result = self._new(), result
        self._progress(result, job, event)
        self.record.beat(result, seconds_left(result, time.monotonic()))

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        self._progress.__exit__(kind, error, trace)
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        if self.record is not None and self._result is not None:
            if error is None:
                self.record.end(self._result, "incomplete" if self._result.failures else "done")
            elif stopped:
                self.record.end(self._result, "stopped")
            else:
                self.record.end(self._result, "failed", str(error) if isinstance(error, InputError) else repr(error))
        if stopped:
            made = len(self._result.done) if self._result else 0
            note(f"stopped; the tables made so far ({made} in this run) are kept; run the same command to continue")


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM (from a batch system, for example) ends a run as cleanly as Ctrl-C, with exit code 143."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    received = []

    def end(*_: object) -> NoReturn:
        received.append(signal.SIGTERM)
        raise SystemExit

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except SystemExit:
        if received:  # Ray passes the exception on, but not its code
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
