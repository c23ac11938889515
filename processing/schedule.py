"""A corpus and its stages -> which tables are to be made, why, and in what order they may be.

A fingerprint follows from config, weights and input fingerprints alone, so all that is stale is known before any work.
Large partitions go first: what is begun last is then small, and the workers end together.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from autosing.errors import InputError
from autosing.ids import check_id
from autosing.stage import Stage
from autosing.store import Place, sweep_dead
from autosing.tables import (
    check_kinds,
    fingerprint,
    has_rejects,
    open_table,
    partitions,
    read_meta,
    table_path,
)
from processing.pipeline import missing_input, own_details, why_stale


@dataclass(frozen=True)
class Job:
    """One stage on one partition, and why it must run."""

    stage: str
    partition: int
    why: str


class Schedule:
    """Hands out jobs whose inputs are committed. There is no barrier: partition 3 may be cut while 4 is separated."""

    def __init__(self, corpus: Place, stages: Sequence[Stage[Any, Any]]) -> None:
        """Raises InputError: no corpus, ids that are not valid, an input that is neither there nor to be made."""
        self.partitions = partitions(corpus)
        self.bytes = {k: table_path(corpus, k, "index").stat().st_size for k in self.partitions}
        """Partition -> the size of its index: what its tables cost to make, to compare by."""
        self._reads = {stage.name: stage.reads for stage in stages}
        self._waiting: dict[tuple[str, int], Job] = {}
        self._open: set[tuple[str, int]] = set()
        own = {stage.name: own_details(stage) for stage in stages}  # once: weights are files to be hashed
        seen: dict[str, int] = {}
        for partition in self.partitions:
            _check_ids(table_path(corpus, partition, "index"), seen, partition)
            sweep_dead(corpus / str(partition))
            self._plan(corpus, partition, stages, own)
        self.jobs = list(self._waiting.values())
        self.kept = len(self.partitions) * len(stages) - len(self.jobs)

    def _plan(
        self, corpus: Place, partition: int, stages: Sequence[Stage[Any, Any]], own: dict[str, dict[str, Any]]
    ) -> None:
        prints: dict[str, str] = {}
        for stage in stages:
            for table in stage.reads:
                if table not in prints:
                    held = read_meta(table_path(corpus, partition, table))
                    if held is None:
                        raise missing_input(corpus, partition, stage, table)
                    prints[table] = held.fingerprint
            wanted = {**own[stage.name], "inputs": {table: prints[table] for table in stage.reads}}
            prints[stage.name] = fingerprint(wanted)
            held = read_meta(table_path(corpus, partition, stage.name))
            why = why_stale(held, wanted)
            if held is not None and why is None and not has_rejects(corpus, partition, stage.name, held):
                why = "its rejects are missing, or of another run that was killed"
            if why is not None:
                self._waiting[stage.name, partition] = Job(stage.name, partition, why)
                self._open.add((stage.name, partition))

    @property
    def waiting(self) -> list[Job]:
        """The jobs that nobody has yet, ready or not."""
        return list(self._waiting.values())

    def next(self, loaded: Container[str], can: Container[str] | None = None) -> Job | None:
        """A job whose inputs are there, of a stage that the worker can do (all by default). None: none is ready.

        Rather one of a stage that the worker has loaded, then the earliest stage, then the largest partition.
        """
        ready = [job for job in self._waiting.values() if (can is None or job.stage in can) and self._is_ready(job)]
        if not ready:
            return None
        order = list(self._reads)
        job = min(
            ready, key=lambda j: (j.stage not in loaded, order.index(j.stage), -self.bytes[j.partition], j.partition)
        )
        del self._waiting[job.stage, job.partition]
        return job

    def done(self, job: Job) -> None:
        self._open.discard((job.stage, job.partition))

    def again(self, job: Job) -> None:
        """Put a job back: its worker died."""
        self._waiting[job.stage, job.partition] = job

    def failed(self, job: Job) -> list[Job]:
        """Give up a job, and return the jobs that now cannot run."""
        lost = [j for j in self._waiting.values() if j.partition == job.partition and self._needs(j.stage, job.stage)]
        for other in lost:
            del self._waiting[other.stage, other.partition]
        return lost

    def _is_ready(self, job: Job) -> bool:
        return not any((table, job.partition) in self._open for table in self._reads[job.stage])

    def _needs(self, stage: str, table: str) -> bool:
        return any(read == table or self._needs(read, table) for read in self._reads.get(stage, ()))


def _check_ids(index: Place, seen: dict[str, int], partition: int) -> None:
    """Ids become keys of tars and names of files, so no work starts on one that cannot."""
    with open_table(index) as file:
        schema = file.schema_arrow
        if "id" not in schema.names:
            raise InputError(f"{index}: no column id; run 'autosing import' to make a corpus")
        check_kinds(index, schema, {"id": "text"})
        ids = file.read(columns=["id"])["id"].to_pylist()
    for row_id in ids:
        if row_id is None:
            continue
        check_id(row_id)
        if row_id in seen:
            both = "twice in it" if seen[row_id] == partition else f"in partitions {seen[row_id]} and {partition}"
            raise InputError(f"{index}: id {row_id} stands {both}; run 'autosing import'")
        seen[row_id] = partition
