"""A worker whose machine is broken costs time, never a job; what it fails is done by the others."""

import errno

import pytest

from autosing.errors import InputError
from processing.engine.runner import RunResult, drive
from processing.engine.schedule import Schedule
from processing.engine.worker import is_of_machine
from processing.engine.workers import Died
from support.made_workers import CHAIN, MadeUp, make_corpus

BROKEN = Died("its worker was stopped after a machine error (CUDA error: an illegal memory access)")


class SomeBroken(MadeUp):
    """Workers of which some fail each job at once."""

    def __init__(self, schedule, size, broken):
        super().__init__(schedule, size)
        self.broken, self.failed = broken, []

    def start(self, worker, jobs):
        (job,) = jobs
        if worker in self.broken:
            self._events[job.stage, job.partition] = [BROKEN]
            self.failed.append(job)
        super().start(worker, jobs)
        if worker in self.broken:
            at = next(i for i, (_, who, event) in enumerate(self.heap) if who == worker)
            self.heap[at] = (self.now_s + 1e-4, worker, BROKEN)
            self.heap.sort()


def test_one_broken_worker_of_four_loses_none_of_sixty_jobs(tmp_path):
    schedule = Schedule(make_corpus(tmp_path, [2000 + k for k in range(20)]), CHAIN)
    pool, result = SomeBroken(schedule, 4, {3}), RunResult(schedule)
    drive(pool, result, 2, lambda *_: None)
    assert len(result.done) == 60 and not result.failures
    assert len(set(pool.failed)) == len(pool.failed) == 3, "it is retired after three jobs, each tried once"


def test_where_all_are_broken_the_run_ends_and_says_why(tmp_path):
    schedule = Schedule(make_corpus(tmp_path, [2000] * 20), CHAIN)
    pool, result = SomeBroken(schedule, 2, {0, 1}), RunResult(schedule)
    with pytest.raises(InputError, match=r"every worker dies .*CUDA error: an illegal memory access"):
        drive(pool, result, 2, lambda *_: None)
    assert len(pool.failed) <= 12


def test_a_deadly_partition_is_set_aside_and_its_workers_are_not_called_broken(tmp_path):
    schedule = Schedule(make_corpus(tmp_path, [2000, 3000, 4000]), CHAIN)
    pool, result = MadeUp(schedule, 1, events={("one", 1): [BROKEN] * 3}), RunResult(schedule)
    drive(pool, result, 2, lambda *_: None)
    assert [failure.job.partition for failure in result.failures] == [1] and len(result.done) == 6


def test_errors_of_the_machine_are_told_from_those_of_the_code():
    of_machine = [RuntimeError("CUDA error: device-side assert triggered"), OSError(errno.EIO, "Input/output error")]
    of_machine += [MemoryError(), RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR")]
    assert all(map(is_of_machine, of_machine))
    of_code = [KeyError("x"), RuntimeError("shapes differ"), FileNotFoundError(errno.ENOENT, "no"), None]
    assert not any(map(is_of_machine, of_code))
