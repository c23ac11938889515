"""Stages and a cluster -> workers that take a job each: Ray actors of at most two kinds, with a GPU and without.

A worker that dies is followed by a new one, as soon as there is room for it. Jobs go only to workers that are up, so
one that finds no place (its node is gone, the others are full) holds nothing up.
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
"""Maximum start-up failures a worker, in a row over all workers, before the run ends."""
_LAST_BREATH_S = 10.0
"""How long workers that were told to end are waited for."""


@dataclass(frozen=True)
class Ready:
    """A worker came up and has no job."""

    name: str
    """HOST-PID, for people."""


@dataclass(frozen=True)
class Died:
    """A worker ended in the middle of a partition."""

    text: str
    with_node: bool = False
    """Its whole node is gone: hardly the partition's doing."""


@dataclass(frozen=True)
class Failed:
    """A stage raised something that is not about one row's data."""

    text: str


Event: TypeAlias = Ready | Done | Died | Failed


class Workers(Protocol):
    """Workers 0..size-1. Each is Ready first, and has one job at a time; one that Died is Ready again once replaced."""

    size: int

    def can(self, worker: int) -> frozenset[str]:
        """The stages that a worker may be given."""

    def start(self, worker: int, job: Job) -> None: ...

    def wait(self, seconds: float) -> tuple[int, Event] | None:
        """What happened next, and to whom. None: nothing within so many seconds."""

    def replace(self, worker: int) -> None:
        """Start a new process for a worker that Died."""


@dataclass(frozen=True)
class Pool:
    """Workers of one kind: what each takes of the cluster, what it does, and how many there are."""

    stages: frozenset[str]
    cpus: float
    gpus: float
    size: int


def make_pools(stages: Sequence[Stage[Any, Any]], held: Mapping[str, float], config: PipelineConfig) -> list[Pool]:
    """The workers that a cluster with the resources `held` (CPU, GPU) has room for; at least one of each kind.

    Raises InputError where a stage must have a GPU and there is none.
    """
    total_cpus, total_gpus = held.get("CPU", 1.0), held.get("GPU", 0.0)
    for stage in stages:
        if stage.device == "cuda" and not total_gpus:
            raise InputError(
                f"{stage.name}.device is cuda, but Ray holds no GPU; set it to cpu or auto, or add a GPU node"
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
    """The workers at an address: inline (this process), local, auto or HOST:PORT. Gone at the end, with what they
    had begun: nothing of an unfinished table is left. Raises InputError where no Ray answers."""
    if address == "inline":
        yield _Inline(corpus, stages, config.threads)
        return
    with ray_at(address) as ray:
        workers = _RayWorkers(ray, corpus, stages, config, local=address == "local")
        try:
            yield workers
        finally:
            workers.dismiss()


class _Inline:
    """One worker in this process. What a stage raises goes straight through."""

    size = 1

    def __init__(self, corpus: Place, stages: Sequence[Stage[Any, Any]], threads: int) -> None:
        self._worker, self._corpus = Worker(stages, threads), str(corpus)
        self._stages = frozenset(stage.name for stage in stages)
        self._event: Event = Ready(self._worker.name())

    def can(self, worker: int) -> frozenset[str]:
        return self._stages

    def start(self, worker: int, job: Job) -> None:
        self._event = self._worker.process(job.stage, self._corpus, job.partition)

    def wait(self, seconds: float) -> tuple[int, Event]:
        return 0, self._event

    def replace(self, worker: int) -> None:
        raise AssertionError("the process that runs the pipeline is its one worker")


@dataclass(frozen=True)
class _Seat:
    name: str
    node: str


class _Actor(Worker):
    """A worker in a process that Ray started on one of its nodes."""

    def seat(self, corpus: str, partition: int) -> _Seat:
        """Answers once the worker is up. Raises InputError where this node does not see the corpus."""
        import ray

        if not table_path(place(corpus), partition, "index").is_file():
            raise InputError(
                f"corpus {corpus}: the node of worker {self.name()} does not see it; "
                "lay it where every node of the cluster can reach it under the same name"
            )
        return _Seat(self.name(), ray.get_runtime_context().get_node_id())


class _RayWorkers:
    """One actor a worker."""

    def __init__(
        self, ray: Any, corpus: Place, stages: Sequence[Stage[Any, Any]], config: PipelineConfig, local: bool
    ) -> None:
        self._ray, self._corpus, self._local = ray, str(corpus), local
        self._first = partitions(corpus)[0]
        self._stages, self._threads = list(stages), config.threads
        self._pools = [p for p in make_pools(stages, ray.cluster_resources(), config) for _ in range(p.size)]
        self.size = len(self._pools)
        self._actors: list[Any] = [None] * self.size
        self._seats: dict[int, _Seat] = {}
        self._coming: dict[Any, int] = {}
        self._jobs: dict[Any, tuple[int, Job]] = {}
        self._start_failures = 0
        for worker in range(self.size):
            self.replace(worker)

    def replace(self, worker: int) -> None:
        pool = self._pools[worker]
        # On one machine `workers` may be more than its cores; on a cluster Ray places by what is free.
        shares = {"num_cpus": 0 if self._local else pool.cpus, "num_gpus": pool.gpus}
        actor = self._ray.remote(_Actor).options(max_restarts=0, **shares)
        self._actors[worker] = actor.remote(self._stages, self._threads, bool(pool.gpus))
        self._coming[self._actors[worker].seat.remote(self._corpus, self._first)] = worker

    def can(self, worker: int) -> frozenset[str]:
        return self._pools[worker].stages

    def start(self, worker: int, job: Job) -> None:
        self._jobs[self._actors[worker].process.remote(job.stage, self._corpus, job.partition)] = (worker, job)

    def wait(self, seconds: float) -> tuple[int, Event] | None:
        finished, _ = self._ray.wait([*self._jobs, *self._coming], num_returns=1, timeout=seconds)
        if not finished:
            return None
        if finished[0] in self._coming:
            return self._came(finished[0])
        worker, job = self._jobs.pop(finished[0])
        try:
            return worker, self._ray.get(finished[0])
        except self._ray.exceptions.RayTaskError as error:
            self._pass_on(error)
            notes = "; ".join(getattr(error.cause, "__notes__", []))
            if is_of_machine(error.cause):
                self._end(worker, job)
                return worker, Died(f"its worker was ended after an error of its machine ({notes}: {error.cause})")
            return worker, Failed(f"{notes}\n{error}")
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError) as error:
            # Out of reach is what Ray says of a node that went without a word, before it knows.
            silent = isinstance(error, self._ray.exceptions.ActorUnavailableError)
            lost = self._seats[worker].node not in self._living() or silent
            self._end(worker, job)
            return worker, Died("its node was lost" if lost else f"its worker died ({_cause(error)})", lost)

    def _end(self, worker: int, job: Job) -> None:
        """End a process that is dead, broken or out of reach, and take away what it had begun."""
        del self._seats[worker]
        self._ray.kill(self._actors[worker], no_restart=True)
        sweep_dead(place(self._corpus) / str(job.partition))

    def _came(self, reference: Any) -> tuple[int, Event] | None:
        worker = self._coming.pop(reference)
        try:
            self._seats[worker] = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            self._pass_on(error)
            raise
        except self._ray.exceptions.RayActorError as error:
            self._start_failures += 1
            if error.actor_init_failed or self._start_failures > _MAX_START_FAILURES * self.size:
                raise InputError(
                    f"no worker comes up ({_cause(error)}); every node needs this autosing installed in the same Python"
                ) from None
            self.replace(worker)
            return None
        self._start_failures = 0
        return worker, Ready(self._seats[worker].name)

    def _pass_on(self, error: Any) -> None:
        if isinstance(error.cause, InputError):
            raise InputError(str(error.cause), error.cause.reason) from None

    def _living(self) -> set[str]:
        return {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}

    def dismiss(self) -> None:
        """End the workers that are at work, and take away what they had begun."""
        if not self._jobs:
            return
        for actor in self._actors:
            self._ray.kill(actor, no_restart=True)
        self._ray.wait(list(self._jobs), num_returns=len(self._jobs), timeout=_LAST_BREATH_S)
        for _, job in self._jobs.values():
            sweep_dead(place(self._corpus) / str(job.partition), _LAST_BREATH_S)


def _cause(error: Any) -> str:
    """The line that says why, of the many that Ray gives."""
    facts = ("class_name:", "actor_id:", "pid:", "name:", "namespace:", "ip:")
    telling = [line for line in map(str.strip, str(error).splitlines()) if line and not line.startswith(facts)]
    said = telling[-1] if telling else type(error).__name__
    return said.rpartition("Worker exit detail: ")[2].partition(" Some common causes")[0]
