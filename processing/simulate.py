"""Seconds of each partition in each stage, and a number of workers -> how long the whole run takes, by simulation.

There are kinds of workers (with a GPU, without), and each kind has stages of its own. As in the runner, a worker takes
a job whose inputs are committed: preferably of a stage that it has loaded, then of the earliest stage, then the largest
partition. Storage and network are not simulated; `bounds` says how long they would take.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

WorkerKinds = Sequence[tuple[frozenset[str], int]]
"""Kinds of workers: the stages that only this kind runs, and its number of workers."""


@dataclass(frozen=True)
class StageCost:
    """What a stage costs a worker: seconds for each partition, and once for loading its models."""

    name: str
    reads: tuple[str, ...]
    seconds: Sequence[float]
    setup_s: float = 0.0


class SimulatedRun(NamedTuple):
    """Wall time from the first job to the last commit; busy seconds of all workers together, loading included; and the
    share of the workers' time spent waiting for inputs or, at the end, for the last worker."""

    wall_s: float
    busy_s: float
    idle_share: float


def simulate_run(stages: Sequence[StageCost], kinds: WorkerKinds) -> SimulatedRun:
    """List scheduling of every stage on every partition. A million jobs take some ten seconds."""
    done_by_kinds = set[str]().union(*(names for names, _ in kinds))
    assert all(count > 0 for _, count in kinds) and {s.name for s in stages} == done_by_kinds, kinds
    needs = [{k for k, other in enumerate(stages) if other.name in stage.reads} for stage in stages]
    size = [sum(seconds) for seconds in zip(*(stage.seconds for stage in stages), strict=True)]
    missing = [[len(inner)] * len(size) for inner in needs]
    largest = sorted((-seconds, partition) for partition, seconds in enumerate(size))
    ready = [[] if inner else largest.copy() for inner in needs]
    own = [[k for k, stage in enumerate(stages) if stage.name in names] for names, _ in kinds]
    kind_of = [kind for kind, (_, count) in enumerate(kinds) for _ in range(count)]
    idle = [[worker for worker, its in enumerate(kind_of) if its == kind] for kind in range(len(kinds))]
    loaded: list[set[int]] = [set() for _ in kind_of]
    running: list[tuple[float, int, int, int]] = []
    now = busy = 0.0
    while True:
        for free, can in zip(idle, own, strict=True):
            while free and (choices := [k for k in can if ready[k]]):
                worker = heappop(free)
                stage = min((k not in loaded[worker], k) for k in choices)[1]
                partition = heappop(ready[stage])[1]
                took = stages[stage].seconds[partition] + (stage not in loaded[worker]) * stages[stage].setup_s
                loaded[worker].add(stage)
                busy += took
                heappush(running, (now + took, worker, stage, partition))
        if not running:
            return SimulatedRun(now, busy, 1 - busy / (now * len(kind_of)) if now else 0.0)
        now, worker, stage, partition = heappop(running)
        heappush(idle[kind_of[worker]], worker)
        for k, inner in enumerate(needs):
            missing[k][partition] -= stage in inner
            if stage in inner and missing[k][partition] == 0:
                heappush(ready[k], (-size[partition], partition))


def bounds(stages: Sequence[StageCost], kinds: WorkerKinds, storage_s: float = 0.0) -> dict[str, float]:
    """What may limit the run -> the lower bound that it sets, in seconds.

    work: all jobs of the busiest kind of workers, shared evenly. the longest partition: its chain of stages that wait
    for one another, models loaded. storage: everything that is read and written.
    """
    ends: dict[str, np.ndarray] = {}
    for stage in stages:
        seconds = np.asarray(stage.seconds) + stage.setup_s
        ends[stage.name] = seconds + np.max([ends.get(table, 0 * seconds) for table in stage.reads], axis=0)
    longest_s = max(float(end.max()) for end in ends.values())
    return {"work": max(_work_s(stages, *kind) for kind in kinds), "the longest partition": longest_s,
            "storage": storage_s}  # fmt: skip


def binding(limits: Mapping[str, float]) -> str:
    """The name of the largest bound."""
    return max(limits, key=lambda name: limits[name])


def busiest(stages: Sequence[StageCost], kinds: WorkerKinds) -> str:
    """The stage that takes most time of the busiest kind of workers."""
    names, _ = max(kinds, key=lambda kind: _work_s(stages, *kind))
    return max((stage for stage in stages if stage.name in names), key=lambda stage: sum(stage.seconds)).name


def times(kinds: WorkerKinds, factor: float) -> WorkerKinds:
    """Each kind with `factor` times as many workers, at least one."""
    return [(names, max(1, round(count * factor))) for names, count in kinds]


def machines_that_help(stages: Sequence[StageCost], at_once: WorkerKinds, storage_s: float = 0.0) -> tuple[int, str]:
    """(number of machines, each with `at_once` workers, beyond which doubling saves less than a tenth; what binds)."""
    machines, here = 1, bounds(stages, at_once, storage_s)
    while True:
        more = times(at_once, 2 * machines)
        twice = here | {"work": max(_work_s(stages, *kind) for kind in more)}
        if max(twice.values()) > 0.9 * max(here.values()):
            return machines, binding(twice)
        machines, here = 2 * machines, twice


def _work_s(stages: Sequence[StageCost], names: frozenset[str], count: int) -> float:
    mine = [stage for stage in stages if stage.name in names]
    return sum(sum(stage.seconds) + stage.setup_s * min(count, len(stage.seconds)) for stage in mine) / count
