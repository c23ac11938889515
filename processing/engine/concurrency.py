"""Rows -> what each stage makes of them, in order: one row after another, or several concurrently, so that a GPU need
not wait for decoders.

Concurrent rows run in threads. Only one thread at a time uses models (autosing.clock.in_model), so while one row is in
the model, others are decoded and encoded. The results are the same.
"""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import lru_cache
from types import TracebackType
from typing import Any, TypeAlias

from autosing.clock import Ledger, spent, timed
from autosing.device import device_of
from autosing.errors import InputError
from autosing.stage import Rejected, Stage

Ledgers: TypeAlias = Sequence[tuple[Stage[Any, Any], Ledger]]
"""Stages, each with the account of its time."""
OWN = "own"
"""The kind of time that is a stage's own arithmetic."""
_ON_A_GPU = 3
"""Concurrent rows: one is decoded, one is in the model, one is encoded. On a CPU, model and decoder share the cores, so
more than one row gains nothing."""


def apply_all(stages: Ledgers, rows: Iterator[tuple[str, Any]], partition: int) -> Iterator[list[Any]]:
    """For each (id, record or Rejected), in order, the result of each stage.

    An InputError out of `apply` rejects its row by the error's `reason`; any other exception carries a note that names
    partition and row.
    """
    count = max(rows_in_hand(stage) for stage, _ in stages)
    if count == 1:
        for row_id, row in rows:
            yield _apply_each(stages, partition, row_id, row)
        return
    pool = _pool(count, _threads())
    waiting: deque[Future[Any]] = deque()
    try:
        for row_id, row in rows:
            waiting.append(pool.submit(copy_context().run, _apply_each, stages, partition, row_id, row))
            if len(waiting) == count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)  # no row may still be running when its partition's table is closed


@lru_cache
def _pool(count: int, threads: int) -> ThreadPoolExecutor:
    """One pool for the life of the process."""
    return ThreadPoolExecutor(count, "apply", _compute_with, (threads,))


def rows_in_hand(stage: Stage[Any, Any]) -> int:
    """The stage's own setting; by default several if its models run on a GPU."""
    return stage.rows_in_hand or (_ON_A_GPU if computes_on_gpu(stage) else 1)


def computes_on_gpu(stage: Stage[Any, Any]) -> bool:
    """Whether the stage's models run on a GPU on this machine."""
    return device_of(stage.device) == "cuda"


def _threads() -> int:
    return int(sys.modules["torch"].get_num_threads()) if "torch" in sys.modules else 1


def _compute_with(threads: int) -> None:
    """torch counts threads per calling thread; another count changes the order of sums and the results' last bits."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _apply_each(stages: Ledgers, partition: int, row_id: str, row: Any) -> list[Any]:
    results = []
    for stage, ledger in stages:
        with timed(ledger), spent(OWN):
            results.append(_apply(stage, partition, row_id, row))
    return results


def _apply(stage: Stage[Any, Any], partition: int, row_id: str, row: Any) -> Any:
    if isinstance(row, Rejected):
        return row
    with _Naming(f"stage {stage.name}, partition {partition}, row {row_id}"):
        try:
            return stage.apply(row)
        except InputError as error:
            return Rejected(row_id, error.reason, str(error))


class _Naming:
    """Adds a note on where it happened to any exception that passes through. Catches nothing."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            error.add_note(self._where)
