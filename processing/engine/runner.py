"""A corpus and its stages -> committed tables: jobs are given to workers, retried, and set aside if they keep failing.

Audio is never sent between processes: a worker reads its partition from storage and commits the table there; only
counts come back. processing.engine.workers starts the workers and knows Ray.
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
from processing.engine.workers import Died, Failed, Outcome, Ready, Workers, start_workers
from processing.pipeline import PipelineConfig

_BEAT_S = 5.0
"""Maximum time between two reports of progress."""
_PATIENCE_S = 600.0
"""How long a run waits for a worker while no job is running: a cluster that grows may take minutes."""
_BROKEN = 3
"""A worker that died on so many different jobs in a row, with none done in between, is broken and is not replaced."""
_LOST_NODES = 10
"""Maximum number of nodes lost while they process one partition: spot machines are lost often."""


@dataclass(frozen=True)
class AtWork:
    """Running jobs that share one reading of a partition, their worker, and when they were started (monotonic
    seconds)."""

    jobs: tuple[Job, ...]
    worker: str
    since: float


@dataclass(frozen=True)
class SetAside:
    """A partition that a stage could not process in this run, and the stages that could not run because of it."""

    job: Job
    reason: str
    deaths: int
    """How many workers died on it."""
    not_run: tuple[str, ...]

    def __str__(self) -> str:
        after = f"; not run because of it: {', '.join(self.not_run)}" if self.not_run else ""
        return f"{self.job.stage}, partition {self.job.partition}: {self.reason}{after}"


@dataclass
class Sums:
    """Totals over the jobs done of one stage: workers' seconds, sizes of partitions (bytes), rows read."""

    seconds: float = 0.0
    size: int = 0
    rows: int = 0


@dataclass
class RunResult:
    """The state of a run, and its result at the end: each job done, and what failed."""

    schedule: Schedule
    done: list[tuple[Job, Done]] = field(default_factory=list)
    makers: list[str] = field(default_factory=list)
    """The worker's name for each entry of `done`."""
    sums: dict[str, Sums] = field(default_factory=dict)
    """Totals over `done`, by stage."""
    at_work: dict[int, AtWork] = field(default_factory=dict)
    failures: list[SetAside] = field(default_factory=list)
    workers: int = 0
    kinds: list[tuple[frozenset[str], int]] = field(default_factory=list)
    """For each kind of workers, the stages that it runs and how many there are. One kind, or two: with GPU, without."""
    names: dict[int, str] = field(default_factory=dict)
    """The workers that are up, with their names."""

    @property
    def kept(self) -> int:
        """How many tables were up to date already."""
        return self.schedule.kept

    def add(self, job: Job, done: Done, maker: str) -> None:
        """Record a job that has succeeded."""
        self.done.append((job, done))
        self.makers.append(maker)
        sums = self.sums.setdefault(job.stage, Sums())
        sums.seconds += done.seconds
        sums.size += self.schedule.bytes[job.partition]
        sums.rows += done.meta.rows_in


Tell: TypeAlias = Callable[[RunResult, Job | None, Outcome | None], None]
"""Called when a job ends, with the job and its outcome; when a job begins and every few seconds with None for both."""


def run(
    corpus: Place,
    stages: Sequence[Stage[Any, Any]],
    config: PipelineConfig,
    address: str = "local",
    tell: Tell = lambda result, job, event: None,
) -> RunResult:
    """Make every table that is missing or out of date. `address`: inline (this process), local, auto or HOST:PORT.

    Ray is not started if there is nothing to do. Raises InputError (missing weights, inputs, columns); tables that are
    committed by then are kept. Other failures of a partition are listed in the result; the other partitions continue.
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
    """Give jobs to workers until no job is left that can run.

    A job whose worker died is retried on another worker, up to `retries` times; the next death sets the partition
    aside. Where jobs that share a reading fail, it is not known whose fault it was, so each is done again by itself. A
    worker that dies on one job after another (its GPU may be broken) is replaced a few times, then no more.
    Raises InputError if for minutes no worker comes up that could run the remaining jobs, or if all are broken.
    """
    schedule, at_work, names = result.schedule, result.at_work, result.names
    result.workers = workers.size
    result.kinds = list(Counter(workers.can(worker) for worker in range(workers.size)).items())
    loaded: dict[int, set[str]] = {}
    deaths: Counter[Job] = Counter()
    nodes: Counter[Job] = Counter()
    died_on: dict[int, list[Job]] = {worker: [] for worker in range(workers.size)}
    """Worker -> the jobs that it died on since it last finished one."""
    moved = time.monotonic()
    while at_work or schedule.waiting:
        for worker in sorted(names.keys() - at_work.keys()):
            job = _next_job(workers, schedule, worker, loaded[worker], died_on, names)
            if job is not None:
                able = sum(job.stage in workers.can(other) for other in range(workers.size))
                jobs = schedule.together(job, able, workers.can(worker))
                at_work[worker] = AtWork(jobs, names[worker], time.monotonic())
                loaded[worker].update(job.stage for job in jobs)
                workers.start(worker, jobs)
                tell(result, None, None)
        happened = workers.wait(_BEAT_S)
        if happened is None:
            if not at_work and time.monotonic() - moved > _PATIENCE_S:
                raise _no_worker(schedule, moved)
            tell(result, None, None)
            continue
        moved = time.monotonic()
        worker, event = happened
        if isinstance(event, Ready):
            names[worker], loaded[worker] = event.name, set()
            continue
        job, *others = jobs = at_work.pop(worker).jobs
        if isinstance(event, list):
            for job, done in zip(jobs, event, strict=True):
                schedule.done(job)
                result.add(job, done, names[worker])
                tell(result, job, done)
            died_on[worker].clear()
            continue
        if isinstance(event, Died):
            del names[worker]
            if not event.with_node:
                died_on[worker].append(job)
            if not _is_broken(died_on[worker]):
                workers.replace(worker)
            elif all(map(_is_broken, died_on.values())):
                raise InputError(
                    f"every worker dies on one partition after another; the last: {job.stage}, partition "
                    f"{job.partition}: {event.text}. Committed tables are kept; repair the machine, then run the same "
                    "command again"
                )
        if others:
            for job in jobs:
                schedule.again(job, alone=True)
                tell(result, job, event)
            continue
        if isinstance(event, Died):
            (nodes if event.with_node else deaths)[job] += 1
            if deaths[job] <= retries and nodes[job] <= _LOST_NODES:
                schedule.again(job, alone=True)
            else:
                _set_aside(result, job, event, deaths[job] + nodes[job])
        else:
            _set_aside(result, job, event, deaths[job] + nodes[job])
        tell(result, job, event)


def _is_broken(died_on: Sequence[Job]) -> bool:
    return len(set(died_on)) >= _BROKEN


def _next_job(
    workers: Workers, schedule: Schedule, worker: int, loaded: set[str], died_on: Mapping[int, list[Job]],
    names: Mapping[int, str],
) -> Job | None:  # fmt: skip
    """A job for this worker; not one that it died on, as long as another worker that could take it is up."""

    def left_to_another(job: Job) -> bool:
        return job in died_on[worker] and any(
            other != worker and job not in died_on[other] and job.stage in workers.can(other) for other in names
        )

    passed_over: list[Job] = []
    while (job := schedule.next(loaded, workers.can(worker))) is not None and left_to_another(job):
        passed_over.append(job)
    for other in passed_over:
        schedule.again(other)
    return job


def _set_aside(result: RunResult, job: Job, event: Died | Failed, deaths: int) -> None:
    lost = result.schedule.failed(job)
    reason = f"set aside after {deaths} workers died on it; the last: {event.text}" if deaths else event.text
    result.failures.append(SetAside(job, reason, deaths, tuple(other.stage for other in lost)))


def _no_worker(schedule: Schedule, since: float) -> InputError:
    stages = ", ".join(dict.fromkeys(job.stage for job in schedule.waiting))
    return InputError(
        f"no worker came up within {time.monotonic() - since:.0f} s for the remaining stages ({stages}); committed "
        "tables are kept. Look at the cluster with 'ray status', then run the same command again"
    )


def _fetch_weights(stages: Sequence[Stage[Any, Any]], names: set[str]) -> None:
    """Fetch them before any work: a missing file is an error now, and workers do not all fetch the same file."""
    from autosing import pretrained

    wanted = {name for stage in stages if stage.name in names for name in stage.weights()}
    for name in sorted(wanted & set(pretrained.REGISTRY)):
        pretrained.fetch(name)
