"""A corpus and words from the command line -> a run with its progress, its record and its summary."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autosing.config import load_config
from autosing.console import note, summary
from autosing.stage import Stage
from autosing.store import Place
from processing.pipeline import PipelineConfig, build_stages
from processing.report import for_people, summarize, write_run
from processing.runner import RunResult, run
from processing.schedule import Job
from processing.worker import Done


def process_corpus(
    corpus: Place,
    stages: Sequence[str] | None = None,
    config: Path | None = None,
    overrides: Sequence[str] = (),
    address: str = "local",
    as_json: bool = False,
) -> bool:
    """Run the chosen stages and print the summary. True where every partition is as wanted at the end.

    Raises InputError on bad input, before any work where it can be known.
    """
    resolved = load_config(PipelineConfig, config, overrides)
    chosen = build_stages(resolved, stages)
    started = time.monotonic()
    told = _Progress()
    try:
        result = run(corpus, chosen, resolved, address, told.done)
    except KeyboardInterrupt:
        note("stopped; what is committed is kept, and the same command goes on from there")
        raise
    seconds = time.monotonic() - started
    facts: dict[str, Any] = {"seconds": round(seconds, 1), "workers": result.workers, "kept": result.kept}
    if result.done or result.failures:
        facts["run"] = str(write_run(corpus, chosen, resolved, result, seconds))
    for failure in result.failures:
        note(f"failed: {failure}")
    rows = summarize(corpus, chosen, result)
    facts["next"] = _next_run(chosen, result)
    summary(f"process {corpus}", rows if as_json else for_people(rows), as_json, **facts)
    return not result.failures


class _Progress:
    """One line a committed partition; why, when a stage first runs for that reason."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def done(self, job: Job, done: Done, made: int, total: int) -> None:
        if (job.stage, job.why) not in self._said:
            self._said.add((job.stage, job.why))
            note(f"{job.stage}: {job.why}")
        meta = done.meta
        note(
            f"[{made}/{total}] {job.stage} partition {job.partition}: {meta.rows_in} in, {meta.rows} out, "
            f"{meta.rejected} rejected, {done.seconds:.1f} s"
        )


def _next_run(stages: Sequence[Stage[Any, Any]], result: RunResult) -> str:
    if result.failures:
        return f"a second run tries the {len(result.failures)} failed partitions again and keeps the others"
    return f"a second run keeps all {len(result.done) + result.kept} tables of {len(stages)} stages"
