"""What partitions take in each stage, and so many workers -> how long the whole takes, played in the runner's order.

Workers are of kinds (with a GPU, without), and each kind has stages of its own. A worker takes a job whose inputs are
committed, rather of a stage that it has loaded, then of the earliest stage, then the largest partition. Storage and
network are not played; `Bounds` says how fast they would have to be.
"""

import bisect
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

WorkerKinds = Sequence[tuple[frozenset[str], int]]
"""Kinds of workers: the stages that they do, which no other kind does, and how many they are."""


@dataclass(frozen=True)
class StageCost:
    """What a stage takes of a worker."""

    name: str
    reads: tuple[str, ...]
    seconds: Sequence[float]
    """For each partition."""
    setup_s: float = 0.0
    """Loading its models, once a worker."""


@dataclass(frozen=True)
class Played:
    """One run as it would go."""

    wall_s: float
    """From the first job to the last commit."""
    busy_s: float
    """Of all workers together, loading included."""
    workers: int

    @property
    def idle_share(self) -> float:
        """Of the workers' time, what they wait: for inputs, and at the end for the last of them."""
        whole = self.wall_s * self.workers
        return 1 - self.busy_s / whole if whole else 0.0


def play(stages: Sequence[StageCost], kinds: WorkerKinds) -> Played:
    """List scheduling of every stage on every partition. A million jobs take some ten seconds."""
    assert all(count > 0 for _, count in kinds) and {s.name for s in stages} == set().union(*(n for n, _ in kinds)), (
        kinds
    )
    needs = [[k for k, other in enumerate(stages) if other.name in stage.reads] for stage in stages]
    feeds = [[k for k, inner in enumerate(needs) if j in inner] for j in range(len(stages))]
    count = len(stages[0].seconds) if stages else 0
    missing = [[len(inner)] * count for inner in needs]
    size = [sum(stage.seconds[i] for stage in stages) for i in range(count)]
    ready: list[list[tuple[float, int]]] = [[] for _ in stages]
    for k, inner in enumerate(needs):
        if not inner:
            ready[k] = [(-size[i], i) for i in range(count)]
            heapq.heapify(ready[k])
    own = [[k for k, stage in enumerate(stages) if stage.name in names] for names, _ in kinds]
    kind_of = [kind for kind, (_, count) in enumerate(kinds) for _ in range(count)]
    idle = [[worker for worker, its in enumerate(kind_of) if its == kind] for kind in range(len(kinds))]
    loaded: list[set[int]] = [set() for _ in kind_of]
    running: list[tuple[float, int, int, int]] = []
    now = busy = 0.0
    while True:
        for free, can in zip(idle, own, strict=True):
            while free and (choices := [k for k in can if ready[k]]):
                worker = free.pop(0)
                choice = min((k not in loaded[worker], k) for k in choices)[1]
                _, partition = heapq.heappop(ready[choice])
                took = stages[choice].seconds[partition]
                if choice not in loaded[worker]:
                    loaded[worker].add(choice)
                    took += stages[choice].setup_s
                busy += took
                heapq.heappush(running, (now + took, worker, choice, partition))
        if not running:
            return Played(now, busy, len(kind_of))
        now, worker, stage, partition = heapq.heappop(running)
        bisect.insort(idle[kind_of[worker]], worker)
        for k in feeds[stage]:
            missing[k][partition] -= 1
            if missing[k][partition] == 0:
                heapq.heappush(ready[k], (-size[partition], partition))


@dataclass(frozen=True)
class Bounds:
    """What no number of workers, or no storage, can go below. Seconds."""

    work_s: float
    """All jobs of the kind of workers that has most to do, shared out evenly."""
    chain_s: float
    """The largest partition through the stages that wait for one another, its models loaded."""
    storage_s: float
    """All that is read and written, at the storage's rate."""

    def binding(self) -> str:
        """Which of them is the longest."""
        names = {"work": self.work_s, "the longest partition": self.chain_s, "storage": self.storage_s}
        return max(names, key=lambda name: names[name])

    @property
    def wall_s(self) -> float:
        return max(self.work_s, self.chain_s, self.storage_s)


def bounds(stages: Sequence[StageCost], kinds: WorkerKinds, storage_s: float = 0.0) -> Bounds:
    """storage_s: all bytes at the storage's rate."""
    longest = max((_chain(stages, i) for i in range(len(stages[0].seconds))), default=0.0)
    return Bounds(max(_work_s(stages, *kind) for kind in kinds), longest, storage_s)


def busiest(stages: Sequence[StageCost], kinds: WorkerKinds) -> str:
    """The stage that takes most of the workers that have most to do."""
    names, _ = max(kinds, key=lambda kind: _work_s(stages, *kind))
    return max((stage for stage in stages if stage.name in names), key=lambda stage: sum(stage.seconds)).name


def times(kinds: WorkerKinds, factor: float) -> WorkerKinds:
    """So many times as many of each kind, at least one."""
    return [(names, max(1, round(count * factor))) for names, count in kinds]


def _work_s(stages: Sequence[StageCost], names: frozenset[str], count: int) -> float:
    mine = [stage for stage in stages if stage.name in names]
    return sum(sum(stage.seconds) + stage.setup_s * min(count, len(stage.seconds)) for stage in mine) / count


def _chain(stages: Sequence[StageCost], partition: int) -> float:
    ends: dict[str, float] = {}
    for stage in stages:
        begin = max((ends.get(table, 0.0) for table in stage.reads), default=0.0)
        ends[stage.name] = begin + stage.seconds[partition] + stage.setup_s
    return max(ends.values(), default=0.0)


def machines_that_help(stages: Sequence[StageCost], at_once: WorkerKinds, storage_s: float = 0.0) -> tuple[int, str]:
    """(machines of `at_once` workers from which twice as many would save less than a tenth, what then binds)."""
    machines, here = 1, bounds(stages, at_once, storage_s)
    while True:
        more = times(at_once, 2 * machines)
        twice = replace(here, work_s=max(_work_s(stages, *kind) for kind in more))
        if twice.wall_s > 0.9 * here.wall_s:
            return machines, twice.binding()
        machines, here = 2 * machines, twice
