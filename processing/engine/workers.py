"""Stages and a cluster -> workers that run one job at a time: Ray actors of at most two kinds, with a GPU and without.

A worker that dies is replaced as soon as the cluster has room. Jobs go only to workers that are up, so a worker that
cannot be placed (its node is gone, the others are full) delays nothing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from autosing.cluster import ray_at
from autosing.errors import InputError
from autosing.stage import Stage
from autosing.storage.store import Place, place, sweep_dead
from autosing.storage.tables import partitions, table_path
from processing.engine.schedule import Job
from processing.engine.worker import Done, Worker, is_of_machine
from processing.pipeline import PipelineConfig

_MAX_START_FAILURES = 3
"""Maximum start-up failures per worker, in a row over all workers, before the run ends."""
_STOP_WAIT_S = 10.0
"""How long to wait for workers to end."""


@dataclass(frozen=True)
class Ready:
    """A worker has started and has no job."""

    name: str
    """HOST-PID, for people."""


@dataclass(frozen=True)
class Died:
    """A worker ended in the middle of a partition."""

    text: str
    with_node: bool = False
    """Its whole node is gone: that is hardly caused by the partition."""


@dataclass(frozen=True)
class Failed:
    """A stage raised an error that is not about the data of one row."""

    text: str


Outcome: TypeAlias = Done | Died | Failed
"""Of one job."""
Event: TypeAlias = Ready | list[Done] | Died | Failed
"""A list has a report for each of the jobs that were started together; the others are of all of them."""
Jobs: TypeAlias = tuple[Job, ...]
"""Of one partition: they share a reading of it."""


class Workers(Protocol):
    """Workers 0..size-1. Each is Ready first and has one partition at a time; after Died and `replace` it is Ready
    again."""

    size: int

    def can(self, worker: int) -> frozenset[str]:
        """The stages that a worker may be given."""

    def start(self, worker: int, jobs: Jobs) -> None: ...

    def wait(self, seconds: float) -> tuple[int, Event] | None:
        """The next event and its worker. None: nothing happened within so many seconds."""

    def replace(self, worker: int) -> None:
        """Start a new process for a worker that Died."""


@dataclass(frozen=True)
class Pool:
    """Workers of one kind: what each reserves of the cluster, the stages it runs, and how many there are."""

    stages: frozenset[str]
    cpus: float
    gpus: float
    size: int


def make_pools(stages: Sequence[Stage[Any, Any]], held: Mapping[str, float], config: PipelineConfig) -> list[Pool]:
    """The workers that a cluster with the resources `held` (CPU, GPU) has room for; at least one of each kind.

    Raises InputError if a stage needs a GPU and there is none.
    """
    total_cpus, total_gpus = held.get("CPU", 1.0), held.get("GPU", 0.0)
    for stage in stages:
        if stage.device == "cuda" and not total_gpus:
            raise InputError(
                f"{stage.name}.device is cuda, but Ray has no GPU; set it to cpu or auto, or add a GPU node"
            )
    on_gpu = [s for s in stages if total_gpus and (s.resources.gpus or s.device in ("auto", "cuda"))]
    others = [stage for stage in stages if stage not in on_gpu]
    most = config.workers or math.inf
    pools = []
    if on_gpu:
        gpus = max(stage.resources.gpus or config.gpu_share for stage in on_gpu)
        cpus = max(stage.resources.cpus for stage in on_gpu)
        room = int(total_gpus) * int(1 / gpus) if gpus <= 1 else int(total_gpus / gpus)
        pools.append(_pool(on_gpu, cpus, gpus, min(room, total_cpus / cpus, most)))
        total_cpus -= pools[0].size * cpus
    if others:
        cpus = max(stage.resources.cpus for stage in others)
        pools.append(_pool(others, cpus, 0, min(total_cpus / cpus, most)))
    return pools


def _pool(stages: Sequence[Stage[Any, Any]], cpus: float, gpus: float, room: float) -> Pool:
    return Pool(frozenset(stage.name for stage in stages), cpus, gpus, max(1, int(room)))


@contextmanager
def start_workers(
    address: str, corpus: Place, stages: Sequence[Stage[Any, Any]], config: PipelineConfig
) -> Iterator[Workers]:
    """The workers at an address: inline (this process), local, auto or HOST:PORT. They are stopped at the end, and
    their unfinished tables are removed. Raises InputError if no Ray answers."""
    if address == "inline":
        yield _Inline(corpus, stages, config.threads)
        return
    with ray_at(address) as ray:
        workers = _RayWorkers(ray, corpus, stages, config, local=address == "local")
        try:
            yield workers
        finally:
            workers.stop()


class _Inline:
    """One worker in this process. Errors of a stage are not caught."""

    size = 1

    def __init__(self, corpus: Place, stages: Sequence[Stage[Any, Any]], threads: int) -> None:
        self._worker, self._corpus = Worker(stages, threads), str(corpus)
        self._stages = frozenset(stage.name for stage in stages)
        self._event: Event = Ready(self._worker.name())

    def can(self, worker: int) -> frozenset[str]:
        return self._stages

    def start(self, worker: int, jobs: Jobs) -> None:
        self._event = self._worker.process([job.stage for job in jobs], self._corpus, jobs[0].partition)

    def wait(self, seconds: float) -> tuple[int, Event]:
        return 0, self._event

    def replace(self, worker: int) -> None:
        raise AssertionError("the inline worker cannot be replaced: it is this process")


@dataclass(frozen=True)
class _Location:
    name: str
    node: str


class _Actor(Worker):
    """A worker in a process that Ray started on one of its nodes."""

    def locate(self, corpus: str, partition: int) -> _Location:
        """Returns once the worker is up. Raises InputError if its node cannot read the corpus."""
        import ray

        if not table_path(place(corpus), partition, "index").is_file():
            raise InputError(
                f"corpus {corpus}: the node of worker {self.name()} cannot read it; "
                "put it where every node of the cluster can reach it under the same path"
            )
        return _Location(self.name(), ray.get_runtime_context().get_node_id())


class _RayWorkers:
    """One Ray actor for each worker."""

    def __init__(
        self, ray: Any, corpus: Place, stages: Sequence[Stage[Any, Any]], config: PipelineConfig, local: bool
    ) -> None:
        self._ray, self._corpus, self._local = ray, str(corpus), local
        self._first = partitions(corpus)[0]
        self._stages, self._threads = list(stages), config.threads
        self._pools = [p for p in make_pools(stages, ray.cluster_resources(), config) for _ in range(p.size)]
        self.size = len(self._pools)
        self._actors: list[Any] = [None] * self.size
        self._locations: dict[int, _Location] = {}
        self._starting: dict[Any, int] = {}
        self._jobs: dict[Any, tuple[int, int]] = {}
        """What runs -> its worker and partition."""
        self._start_failures = 0
        for worker in range(self.size):
            self.replace(worker)

    def replace(self, worker: int) -> None:
        pool = self._pools[worker]
        # On one machine `workers` may exceed the cores; on a cluster Ray places workers by the cores that are free.
        shares = {"num_cpus": 0 if self._local else pool.cpus, "num_gpus": pool.gpus}
        actor = self._ray.remote(_Actor).options(max_restarts=0, **shares)
        self._actors[worker] = actor.remote(self._stages, self._threads, bool(pool.gpus))
        self._starting[self._actors[worker].locate.remote(self._corpus, self._first)] = worker

    def can(self, worker: int) -> frozenset[str]:
        return self._pools[worker].stages

    def start(self, worker: int, jobs: Jobs) -> None:
        names, partition = [job.stage for job in jobs], jobs[0].partition
        self._jobs[self._actors[worker].process.remote(names, self._corpus, partition)] = (worker, partition)

    def wait(self, seconds: float) -> tuple[int, Event] | None:
        finished, _ = self._ray.wait([*self._jobs, *self._starting], num_returns=1, timeout=seconds)
        if not finished:
            return None
        if finished[0] in self._starting:
            return self._started(finished[0])
        worker, partition = self._jobs.pop(finished[0])
        try:
            return worker, self._ray.get(finished[0])
        except self._ray.exceptions.RayTaskError as error:
            self._raise_input_error(error)
            notes = "; ".join(getattr(error.cause, "__notes__", []))
            if is_of_machine(error.cause):
                self._end(worker, partition)
                return worker, Died(f"its worker was stopped after a machine error ({notes}: {error.cause})")
            return worker, Failed(f"{notes}\n{error}")
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError) as error:
            # Ray calls an actor unavailable at first when its node vanishes, before it knows that the node is gone.
            silent = isinstance(error, self._ray.exceptions.ActorUnavailableError)
            lost = self._locations[worker].node not in self._alive_nodes() or silent
            self._end(worker, partition)
            return worker, Died("its node was lost" if lost else f"its worker died ({_cause(error)})", lost)

    def _end(self, worker: int, partition: int) -> None:
        """End a process that is dead, broken or unreachable, and remove its unfinished tables."""
        del self._locations[worker]
        self._ray.kill(self._actors[worker], no_restart=True)
        sweep_dead(place(self._corpus) / str(partition))

    def _started(self, reference: Any) -> tuple[int, Event] | None:
        worker = self._starting.pop(reference)
        try:
            self._locations[worker] = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            self._raise_input_error(error)
            raise
        except self._ray.exceptions.RayActorError as error:
            self._start_failures += 1
            if error.actor_init_failed or self._start_failures > _MAX_START_FAILURES * self.size:
                raise InputError(
                    f"no worker starts ({_cause(error)}); every node needs this autosing installed in the same Python"
                ) from None
            self.replace(worker)
            return None
        self._start_failures = 0
        return worker, Ready(self._locations[worker].name)

    def _raise_input_error(self, error: Any) -> None:
        """If that is the cause: the user needs its message, not Ray's trace."""
        if isinstance(error.cause, InputError):
            raise InputError(str(error.cause), error.cause.reason) from None

    def _alive_nodes(self) -> set[str]:
        return {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}

    def stop(self) -> None:
        """End the workers that are running jobs, and remove their unfinished tables."""
        if not self._jobs:
            return
        for actor in self._actors:
            self._ray.kill(actor, no_restart=True)
        self._ray.wait(list(self._jobs), num_returns=len(self._jobs), timeout=_STOP_WAIT_S)
        for _, partition in self._jobs.values():
            sweep_dead(place(self._corpus) / str(partition), _STOP_WAIT_S)


def _cause(error: Any) -> str:
    """The one line of Ray's long message that says why."""
    facts = ("class_name:", "actor_id:", "pid:", "name:", "namespace:", "ip:")
    telling = [line for line in map(str.strip, str(error).splitlines()) if line and not line.startswith(facts)]
    said = telling[-1] if telling else type(error).__name__
    return said.rpartition("Worker exit detail: ")[2].partition(" Some common causes")[0]
