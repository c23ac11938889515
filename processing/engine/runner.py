"""A corpus and its stages -> committed tables: jobs given to workers, deaths survived, partitions set aside.

Audio never travels: a worker reads its partition from the disk and commits the table there; only counts come back.
Who the workers are, and Ray, is processing.engine.workers's matter.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from autosing.errors import InputError
from autosing.stage import Stage
from autosing.storage.store import Place
from processing.engine.schedule import Job, Schedule
from processing.engine.worker import Done
from processing.engine.workers import Died, Event, Failed, Ready, Workers, start_workers
from processing.pipeline import PipelineConfig

_BEAT_S = 5.0
"""Progress is told at least so often."""
_PATIENCE_S = 600.0
"""How long a run waits while nobody is at work and there is work: a cluster that grows may take minutes."""
_BROKEN = 3
"""A worker that dies over so many different jobs in a row, with none done between, is broken, and not replaced."""
_LOST_NODES = 10
"""So many nodes may be lost under one partition: a cluster of borrowed machines loses them often."""


@dataclass(frozen=True)
class AtWork:
    """A job, who has it, and since when (monotonic seconds)."""

    job: Job
    worker: str
    since: float


@dataclass(frozen=True)
class SetAside:
    """A partition that a stage could not do in this run, and what could not be run for want of it."""

    job: Job
    reason: str
    deaths: int
    """How many workers ended over it."""
    not_run: tuple[str, ...]

    def __str__(self) -> str:
        after = f"; not run for want of it: {', '.join(self.not_run)}" if self.not_run else ""
        return f"{self.job.stage}, partition {self.job.partition}: {self.reason}{after}"


@dataclass
class Sums:
    """Of what was made of one stage: workers' seconds, sizes of partitions, rows read."""

    seconds: float = 0.0
    size: int = 0
    rows: int = 0


@dataclass
class RunResult:
    """What one run does and has done: each job with its outcome, and what went wrong."""

    schedule: Schedule
    done: list[tuple[Job, Done]] = field(default_factory=list)
    makers: list[str] = field(default_factory=list)
    """Who made the table, for each of `done`."""
    sums: dict[str, Sums] = field(default_factory=dict)
    """Over `done`, by stage."""
    at_work: dict[int, AtWork] = field(default_factory=dict)
    failures: list[SetAside] = field(default_factory=list)
    workers: int = 0
    kinds: list[tuple[frozenset[str], int]] = field(default_factory=list)
    """Which stages so many of the workers do: one kind, or two, with a GPU and without."""
    names: dict[int, str] = field(default_factory=dict)
    """The workers that are up."""

    @property
    def kept(self) -> int:
        """Tables that were as wanted already."""
        return self.schedule.kept

    def add(self, job: Job, done: Done, maker: str) -> None:
        """A job has ended well."""
        self.done.append((job, done))
        self.makers.append(maker)
        sums = self.sums.setdefault(job.stage, Sums())
        sums.seconds += done.seconds
        sums.size += self.schedule.bytes[job.partition]
        sums.rows += done.meta.rows_in


Tell: TypeAlias = Callable[[RunResult, Job | None, Event | None], None]
"""Called when a job ends, with what came of it; with neither when one begins, and every few seconds."""


def run(
    corpus: Place,
    stages: Sequence[Stage[Any, Any]],
    config: PipelineConfig,
    address: str = "local",
    tell: Tell = lambda result, job, event: None,
) -> RunResult:
    """Make every table that is not as wanted. `address`: inline (this process), local, auto or HOST:PORT (of Ray).

    Ray is not started where nothing is to do. Raises InputError (missing weights, inputs, columns) and leaves the
    tables committed by then; other failures of a partition are listed in the result, and the other partitions go on.
    """
    schedule = Schedule(corpus, stages)
    result = RunResult(schedule)
    if not schedule.jobs:
        return result
    _fetch_weights(stages, {job.stage for job in schedule.jobs})
    wanted = [stage for stage in stages if any(job.stage == stage.name for job in schedule.jobs)]
    with start_workers(address, corpus.absolute(), wanted, config) as workers:
        drive(workers, result, config.retries, tell)
    return result


def drive(workers: Workers, result: RunResult, retries: int, tell: Tell) -> None:
    """Give jobs to workers until none is left that can be done.

    A job whose worker died goes to another, `retries` times; the next death sets the partition aside. A worker that
    dies over one job after the other (its GPU is broken) is replaced a few times, then no more. Raises InputError where
    for minutes no worker comes up that could do what is left, or all are broken.
    """
    schedule, at_work, names = result.schedule, result.at_work, result.names
    result.workers = workers.size
    result.kinds = list(Counter(workers.can(worker) for worker in range(workers.size)).items())
    loaded: dict[int, set[str]] = {}
    deaths: Counter[Job] = Counter()
    nodes: Counter[Job] = Counter()
    died_over: dict[int, list[Job]] = {worker: [] for worker in range(workers.size)}
    """Worker -> the jobs that it died over since it last did one."""
    moved = time.monotonic()
    while at_work or schedule.waiting:
        for worker in sorted(names.keys() - at_work.keys()):
            job = _next_job(workers, schedule, worker, loaded[worker], died_over, names)
            if job is not None:
                at_work[worker] = AtWork(job, names[worker], time.monotonic())
                loaded[worker].add(job.stage)
                workers.start(worker, job)
                tell(result, None, None)
        happened = workers.wait(_BEAT_S)
        if happened is None:
            if not at_work and time.monotonic() - moved > _PATIENCE_S:
                raise _nobody(schedule, moved)
            tell(result, None, None)
            continue
        moved = time.monotonic()
        worker, event = happened
        if isinstance(event, Ready):
            names[worker], loaded[worker] = event.name, set()
            continue
        job = at_work.pop(worker).job
        if isinstance(event, Done):
            schedule.done(job)
            result.add(job, event, names[worker])
            died_over[worker].clear()
        elif isinstance(event, Died):
            del names[worker]
            if not event.with_node:
                died_over[worker].append(job)
            if not _is_broken(died_over[worker]):
                workers.replace(worker)
            elif all(map(_is_broken, died_over.values())):
                raise InputError(
                    f"every worker dies over one partition after the other; the last: {job.stage}, partition "
                    f"{job.partition}: {event.text}. What is committed is kept; mend the machine, then run the same "
                    "command again"
                )
            (nodes if event.with_node else deaths)[job] += 1
            if deaths[job] <= retries and nodes[job] <= _LOST_NODES:
                schedule.again(job)
            else:
                _set_aside(result, job, event, deaths[job] + nodes[job])
        else:
            _set_aside(result, job, event, deaths[job] + nodes[job])
        tell(result, job, event)


def _is_broken(died_over: Sequence[Job]) -> bool:
    return len(set(died_over)) >= _BROKEN


def _next_job(
    workers: Workers, schedule: Schedule, worker: int, loaded: set[str], died_over: Mapping[int, list[Job]],
    names: Mapping[int, str],
) -> Job | None:  # fmt: skip
    """A job for this worker; not one that it died over, while another worker is up that could take it."""

    def left_to_another(job: Job) -> bool:
        return job in died_over[worker] and any(
            other != worker and job not in died_over[other] and job.stage in workers.can(other) for other in names
        )

    passed_over: list[Job] = []
    while (job := schedule.next(loaded, workers.can(worker))) is not None and left_to_another(job):
        passed_over.append(job)
    for other in passed_over:
        schedule.again(other)
    return job


def _set_aside(result: RunResult, job: Job, event: Died | Failed, deaths: int) -> None:
    lost = result.schedule.failed(job)
    reason = f"set aside after {deaths} workers died over it; the last: {event.text}" if deaths else event.text
    result.failures.append(SetAside(job, reason, deaths, tuple(other.stage for other in lost)))


def _nobody(schedule: Schedule, since: float) -> InputError:
    stages = ", ".join(dict.fromkeys(job.stage for job in schedule.waiting))
    return InputError(
        f"no worker came up in {time.monotonic() - since:.0f} s that could do what is left ({stages}); what is "
        "committed is kept. Look at the cluster with 'ray status', then run the same command again"
    )


def _fetch_weights(stages: Sequence[Stage[Any, Any]], names: set[str]) -> None:
    """Before any work: what cannot be had is an error now, and workers do not fetch the same file side by side."""
    from autosing import pretrained

    wanted = {name for stage in stages if stage.name in names for name in stage.weights()}
    for name in sorted(wanted & set(pretrained.REGISTRY)):
        pretrained.fetch(name)
