"""A corpus and its stages -> committed tables: here, or by one Ray actor a worker. The one file that knows Ray.

Audio never travels through Ray: a worker reads its partition from the disk and commits the table there; only counts
come back.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from autosing.errors import InputError
from autosing.stage import Stage
from autosing.store import Place
from processing.pipeline import PipelineConfig
from processing.schedule import Job, Schedule
from processing.worker import Done, Worker

_OBJECT_STORE_BYTES = 100 << 20
Tell = Callable[[Job, Done, int, int], None]
"""Called at each commit with the job, what came of it, how many jobs are done and how many there are."""


@dataclass
class RunResult:
    """What one run did: each job with its outcome, and what went wrong."""

    done: list[tuple[Job, Done]] = field(default_factory=list)
    kept: int = 0
    """Tables that were as wanted already."""
    workers: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Died:
    """A worker ended in the middle of a partition."""

    text: str


@dataclass(frozen=True)
class Failed:
    """A stage raised something that is not about one row's data."""

    text: str


class Crew(Protocol):
    """Workers 0..size-1, each with one job at a time."""

    size: int

    def start(self, worker: int, job: Job) -> None: ...

    def wait(self) -> tuple[int, Done | Died | Failed]: ...


def run(
    corpus: Place,
    stages: Sequence[Stage[Any, Any]],
    config: PipelineConfig,
    address: str = "local",
    tell: Tell = lambda job, done, made, total: None,
) -> RunResult:
    """Make every table that is not as wanted. `address`: inline (this process), local, auto or HOST (a Ray cluster).

    Ray is not started where nothing is to do. Raises InputError (missing weights, inputs, columns) and leaves the
    tables committed by then; other failures of a partition are listed in the result, and the other partitions go on.
    """
    schedule = Schedule(corpus, stages)
    result = RunResult(kept=schedule.kept)
    if not schedule.jobs:
        return result
    _fetch_weights(stages, {job.stage for job in schedule.jobs})
    with _crew(address, corpus.absolute(), stages, config) as crew:
        result.workers = crew.size
        _drive(crew, schedule, config.retries, result, tell)
    return result


def _drive(crew: Crew, schedule: Schedule, retries: int, result: RunResult, tell: Tell) -> None:
    at_work: dict[int, Job] = {}
    loaded: list[set[str]] = [set() for _ in range(crew.size)]
    deaths: dict[Job, int] = {}
    while True:
        for worker in range(crew.size):
            if worker not in at_work and (job := schedule.next(loaded[worker])) is not None:
                at_work[worker] = job
                loaded[worker].add(job.stage)
                crew.start(worker, job)
        if not at_work:
            return
        worker, outcome = crew.wait()
        job = at_work.pop(worker)
        if isinstance(outcome, Done):
            schedule.done(job)
            result.done.append((job, outcome))
            tell(job, outcome, len(result.done), len(schedule.jobs))
            continue
        if isinstance(outcome, Died):
            loaded[worker] = set()
            deaths[job] = deaths.get(job, 0) + 1
            if deaths[job] <= retries:
                schedule.again(job)
                continue
        lost = schedule.failed(job)
        after = f"; not run for want of it: {', '.join(j.stage for j in lost)}" if lost else ""
        result.failures.append(f"{job.stage}, partition {job.partition}: {outcome.text}{after}")


def _fetch_weights(stages: Sequence[Stage[Any, Any]], names: set[str]) -> None:
    """Before any work: what cannot be had is an error now, and workers do not fetch the same file side by side."""
    from autosing import pretrained

    wanted = {name for stage in stages if stage.name in names for name in stage.weights()}
    for name in sorted(wanted & set(pretrained.REGISTRY)):
        pretrained.fetch(name)


class _Inline:
    """One worker in this process. What a stage raises goes straight through."""

    size = 1

    def __init__(self, corpus: Place, stages: Sequence[Stage[Any, Any]], threads: int) -> None:
        self._worker, self._corpus = Worker(stages, threads), str(corpus)

    def start(self, worker: int, job: Job) -> None:
        self._done = self._worker.process(job.stage, self._corpus, job.partition)

    def wait(self) -> tuple[int, Done | Died | Failed]:
        return 0, self._done


class _RayCrew:
    """One actor a worker; an actor that died is followed by a new one."""

    def __init__(self, corpus: Place, stages: Sequence[Stage[Any, Any]], config: PipelineConfig, local: bool) -> None:
        import ray

        cpus, gpus = max(s.resources.cpus for s in stages), max(s.resources.gpus for s in stages)
        self.size = config.workers or _default_workers(ray.cluster_resources(), cpus, gpus)
        self._corpus, self._ray = str(corpus), ray
        actor = ray.remote(Worker).options(num_cpus=0 if local else cpus, num_gpus=gpus, max_restarts=0)
        self._hire = lambda: actor.remote(list(stages), config.threads)
        self._actors = [self._hire() for _ in range(self.size)]
        self._pending: dict[Any, int] = {}

    def start(self, worker: int, job: Job) -> None:
        reference = self._actors[worker].process.remote(job.stage, self._corpus, job.partition)
        self._pending[reference] = worker

    def wait(self) -> tuple[int, Done | Died | Failed]:
        finished, _ = self._ray.wait(list(self._pending), num_returns=1)
        worker = self._pending.pop(finished[0])
        try:
            return worker, self._ray.get(finished[0])
        except self._ray.exceptions.RayActorError as error:
            self._actors[worker] = self._hire()
            return worker, Died(f"the worker died ({str(error).splitlines()[0]})")
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise InputError(str(error.cause), error.cause.reason) from None
            notes = "; ".join(getattr(error.cause, "__notes__", []))
            return worker, Failed(f"{notes}\n{error}")


def _knock(address: str) -> None:
    """Ray itself waits for minutes where nobody listens. Raises OSError or ValueError (no port)."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        raise ValueError("need HOST:PORT, for example head:6379")
    socket.create_connection((host, int(port)), timeout=10).close()


def _default_workers(held: dict[str, float], cpus: float, gpus: float) -> int:
    """As many as the cores allow, and the GPUs where workers take a share of one."""
    shares = [held.get("CPU", 1) / cpus] + ([held.get("GPU", 0) / gpus] if gpus else [])
    return max(1, int(min(shares)))


@contextmanager
def _crew(address: str, corpus: Place, stages: Sequence[Stage[Any, Any]], config: PipelineConfig) -> Iterator[Crew]:
    if address == "inline":
        yield _Inline(corpus, stages, config.threads)
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local = address == "local"
    if local:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    import ray

    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if local:
        ray.init("local", include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, **quiet)
    else:
        try:
            if address != "auto":
                _knock(address)
            ray.init(address, **quiet)
        except (ConnectionError, OSError, ValueError) as error:
            raise InputError(f"--address {address}: no Ray answers there ({error}); use --address local") from None
    try:
        yield _RayCrew(corpus, stages, config, local)
    finally:
        ray.shutdown()  # ends the Ray that was started here; of another's cluster it only takes leave
