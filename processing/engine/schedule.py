"""A corpus and its stages -> which tables must be made, why, and in what order.

A fingerprint depends on config, weights and input fingerprints alone, so all stale tables are known before any work.
Large partitions go first: the last jobs are then small, and the workers finish at about the same time. Jobs that read
the same columns of a partition are given to one worker, as long as there are partitions for the others, too.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autosing.errors import InputError
from autosing.ids import check_id
from autosing.stage import Stage
from autosing.storage.store import Place, of_each, sweep_dead
from autosing.storage.tables import (
    check_kinds,
    fingerprint,
    has_rejects,
    open_table,
    partitions,
    read_meta,
    table_path,
)
from processing.engine.worker import shares_reading
from processing.pipeline import missing_input, own_details, why_stale


@dataclass(frozen=True)
class Job:
    """One stage on one partition, and why it must run."""

    stage: str
    partition: int
    why: str


class Schedule:
    """Hands out jobs whose inputs are committed. Stages have no barrier: partition 3 is cut while 4 is separated.

    The cost of a call grows with the logarithm of the number of jobs, so a corpus may have a million of them.
    """

    def __init__(self, corpus: Place, stages: Sequence[Stage[Any, Any]]) -> None:
        """Raises InputError: no corpus, invalid ids, an input that neither exists nor will be made."""
        self.partitions = partitions(corpus)
        self._reads = {stage.name: stage.reads for stage in stages}
        self._alike = {
            one.name: [other.name for other in stages if other is not one and shares_reading(one, other)]
            for one in stages
        }
        own = {stage.name: own_details(stage) for stage in stages}  # once, because it hashes files of weights

        def look(partition: int) -> tuple[int, list[str], list[Job]]:
            sweep_dead(corpus / str(partition))
            ids = _ids_of(table_path(corpus, partition, "index"))
            return self.size_of(corpus, partition), ids, _stale(corpus, partition, stages, own)

        self.bytes: dict[int, int] = {}
        self._waiting: dict[tuple[str, int], Job] = {}
        seen: dict[str, int] = {}
        for partition, (size, ids, jobs) in zip(self.partitions, of_each(self.partitions, look, corpus), strict=True):
            _check_ids(table_path(corpus, partition, "index"), ids, seen, partition)
            self.bytes[partition] = size
            self._waiting |= {(job.stage, job.partition): job for job in jobs}
        self.jobs = list(self._waiting.values())
        self.kept = len(self.partitions) * len(stages) - len(self.jobs)
        self._inputs_due = {
            (stage, k): sum((table, k) in self._waiting for table in self._reads[stage]) for stage, k in self._waiting
        }
        """For each job, the number of its inputs that must still be made."""
        self._ready = {stage: _Largest(self._waiting) for stage in self._reads}
        self._left = {stage: _Largest(self._waiting) for stage in self._reads}
        self.bytes_left = dict.fromkeys(self._reads, 0)
        """Stage -> total size of the partitions whose jobs are not yet handed out."""
        self._num_left: Counter[str] = Counter()
        """Stage -> the number of these jobs."""
        self._alone: set[Job] = set()
        """Jobs that failed; they share no reading."""
        for job in self.jobs:
            self._put(job)

    def size_of(self, corpus: Place, partition: int) -> int:
        """The size of its index, which stands for the cost of making its tables."""
        return table_path(corpus, partition, "index").stat().st_size

    @property
    def waiting(self) -> Collection[Job]:
        """The jobs that are not yet handed out, ready or not."""
        return self._waiting.values()

    def largest_left(self, stage: str) -> int:
        """The size of the largest partition whose job of this stage is not yet handed out; 0 if there is none."""
        found = self._left[stage].find(stage)
        return 0 if found is None else self.bytes[found]

    def next(self, loaded: Container[str], can: Container[str] | None = None) -> Job | None:
        """A job whose inputs are committed, of a stage that the worker can run (all by default). None: none is ready.

        Preferred are stages whose models the worker has loaded, then the earliest stage, then the largest partition.
        """
        for stage in sorted(self._reads, key=lambda name: name not in loaded):
            partition = self._ready[stage].find(stage) if can is None or stage in can else None
            if partition is not None:
                return self._take(stage, partition)
        return None

    def together(self, job: Job, workers: int, can: Container[str] | None = None) -> tuple[Job, ...]:
        """The job, just handed out, and the ready ones that are to share its reading of the partition. `workers`: how
        many can run its stage. Jobs that failed before share none, and where fewer partitions wait than there are
        workers nothing is shared, so that no worker idles."""
        if job in self._alone or self._num_left[job.stage] + 1 < workers:
            return (job,)
        beside = [
            self._take(stage, job.partition)
            for stage in self._alike[job.stage]
            if (can is None or stage in can)
            and (other := self._waiting.get((stage, job.partition))) is not None
            and other not in self._alone
            and self._inputs_due[stage, job.partition] == 0
        ]
        return (job, *beside)

    def done(self, job: Job) -> None:
        for stage, reads in self._reads.items():
            key = (stage, job.partition)
            if job.stage in reads and key in self._inputs_due:
                self._inputs_due[key] -= 1
                if self._inputs_due[key] == 0 and key in self._waiting:
                    self._ready[stage].add(self.bytes[job.partition], job.partition)

    def again(self, job: Job, alone: bool = False) -> None:
        """Put back a job that is not done. alone: it failed, and shares no reading from now on."""
        if alone:
            self._alone.add(job)
        self._waiting[job.stage, job.partition] = job
        self._put(job)

    def failed(self, job: Job) -> list[Job]:
        """Give up a job, and return the jobs that cannot run without it."""
        keys = [(stage, job.partition) for stage in self._reads if self._needs(stage, job.stage)]
        return [self._take(*key) for key in keys if key in self._waiting]

    def _take(self, stage: str, partition: int) -> Job:
        self.bytes_left[stage] -= self.bytes[partition]
        self._num_left[stage] -= 1
        return self._waiting.pop((stage, partition))

    def _put(self, job: Job) -> None:
        size = self.bytes[job.partition]
        self.bytes_left[job.stage] += size
        self._num_left[job.stage] += 1
        self._left[job.stage].add(size, job.partition)
        if self._inputs_due[job.stage, job.partition] == 0:
            self._ready[job.stage].add(size, job.partition)

    def _needs(self, stage: str, table: str) -> bool:
        return any(read == table or self._needs(read, table) for read in self._reads.get(stage, ()))


class _Largest:
    """A heap of one stage's partitions: the largest first, of equal ones the lower number. Partitions that no longer
    wait are dropped when they reach the top."""

    def __init__(self, waiting: Mapping[tuple[str, int], Job]) -> None:
        self._waiting, self._heap = waiting, list[tuple[int, int]]()

    def add(self, size: int, partition: int) -> None:
        heapq.heappush(self._heap, (-size, partition))

    def find(self, stage: str) -> int | None:
        while self._heap and (stage, self._heap[0][1]) not in self._waiting:
            heapq.heappop(self._heap)
        return self._heap[0][1] if self._heap else None


def _stale(
    corpus: Place, partition: int, stages: Sequence[Stage[Any, Any]], own: Mapping[str, dict[str, Any]]
) -> list[Job]:
    """Jobs for the stale tables of a partition. Raises InputError: an input that neither exists nor will be made."""
    jobs = []
    prints: dict[str, str] = {}
    for stage in stages:
        for table in stage.reads:
            if table not in prints:
                held = read_meta(table_path(corpus, partition, table))
                if held is not None:
                    prints[table] = held.fingerprint
                elif table not in stage.optional:
                    raise missing_input(corpus, partition, stage, table)
        wanted = {**own[stage.name], "inputs": {table: prints[table] for table in stage.reads if table in prints}}
        held = read_meta(table_path(corpus, partition, stage.name))
        why = why_stale(held, wanted, stage)
        prints[stage.name] = held.fingerprint if held is not None and why is None else fingerprint(wanted)
        if held is not None and why is None and not has_rejects(corpus, partition, stage.name, held):
            why = "its rejects are missing, or were left by another run that was killed"
        if why is not None:
            jobs.append(Job(stage.name, partition, why))
    return jobs


def _ids_of(index: Place) -> list[str]:
    with open_table(index) as file:
        schema = file.schema_arrow
        if "id" not in schema.names:
            raise InputError(f"{index}: no column id; run 'autosing import' to make a corpus")
        check_kinds(index, schema, {"id": "text"})
        ids = file.read(columns=["id"])["id"].to_pylist()
    return [row_id for row_id in ids if row_id is not None]


def _check_ids(index: Place, ids: Sequence[str], seen: dict[str, int], partition: int) -> None:
    """Ids become keys in tars and names of files, so an invalid one is refused before any work."""
    for row_id in ids:
        check_id(row_id)
        if row_id in seen:
            both = "twice in it" if seen[row_id] == partition else f"in partitions {seen[row_id]} and {partition}"
            raise InputError(f"{index}: id {row_id} is {both}; run 'autosing import'")
        seen[row_id] = partition
