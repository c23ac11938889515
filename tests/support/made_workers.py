"""Workers of a made-up clock in place of Ray's, three stages that do nothing, and corpora for them."""

import heapq
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from autosing.config import Config
from autosing.stage import Resources, Stage
from autosing.storage.tables import TableMeta
from processing.engine.schedule import Job, Schedule
from processing.engine.worker import Done
from processing.engine.workers import Died, Failed, Ready

Event = Ready | list[Done] | Failed | Died


@dataclass(frozen=True)
class Row:
    id: str


def stage(name_: str, reads_: tuple[str, ...], device: str = "cpu", share: Resources | None = None) -> Stage[Row, Row]:
    """A stage that hands its rows on."""

    class Settings(Config):
        device: str = "cpu"

    class Named(Stage[Row, Row]):
        name, version, reads, takes, gives = name_, 1, reads_, Row, Row
        resources = share or Resources()

        def apply(self, row: Row) -> Row:
            return row

    return Named(Settings(device=device))


CHAIN = [stage("one", ("index",)), stage("two", ("one",)), stage("three", ("two", "index"))]


def make_corpus(folder: Path, sizes: list[int]) -> Path:
    """Partitions whose indices differ in bytes as the sizes do."""
    for k, size in enumerate(sizes):
        (folder / str(k)).mkdir(parents=True)
        noise = bytes((i * 7919 + i * i) % 251 for i in range(size))
        table = pa.table({"id": [f"s{k}"], "audio": pa.array([noise], pa.binary())})
        pq.write_table(table, folder / str(k) / "index.parquet", compression="none", write_statistics=False)
    return folder


class MadeUp:
    """A pool whose clock is made up: a job takes as long as its partition is large."""

    def __init__(
        self,
        schedule: Schedule,
        size: int,
        can: dict[int, frozenset[str]] | None = None,
        events: dict[tuple[str, int], list[Event]] | None = None,
    ) -> None:
        """can: the stages of a worker, if not all; events: what becomes of the first tries of a (stage, partition)."""
        self.size, self.schedule, self.now_s = size, schedule, 0.0
        self.heap: list[tuple[float, int, Any]] = []
        self.log: list[tuple[float, float, int, Job]] = []
        self.together: list[tuple[Job, ...]] = []
        self._can, self._events = can or {}, events or {}
        for worker in range(size):
            heapq.heappush(self.heap, (0.0, worker, Ready(f"w{worker}")))

    def can(self, worker: int) -> frozenset[str]:
        return self._can.get(worker, frozenset(s.name for s in CHAIN))

    def start(self, worker: int, jobs: tuple[Job, ...]) -> None:
        assert {job.stage for job in jobs} <= self.can(worker) and len({job.partition for job in jobs}) == 1
        each_s, done = self.schedule.bytes[jobs[0].partition] / 1000, list[Done]()
        event: Event = done
        for i, job in enumerate(jobs):
            self.log.append((self.now_s + i * each_s, self.now_s + (i + 1) * each_s, worker, job))
            if planned := self._events.get((job.stage, job.partition), []):
                event = planned.pop(0)
            done.append(Done(TableMeta(job.stage, 1, "f", 2, 2, 2, 0, {}), each_s))
        self.together.append(jobs)
        heapq.heappush(self.heap, (self.now_s + len(jobs) * each_s, worker, event))

    def replace(self, worker: int) -> None:
        heapq.heappush(self.heap, (self.now_s + 1e-3, worker, Ready(f"w{worker}'")))

    def wait(self, seconds: float) -> tuple[int, Event] | None:
        if not self.heap:
            return None
        self.now_s, worker, event = heapq.heappop(self.heap)
        return worker, event
