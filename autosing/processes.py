"""A function and items -> its results, in turn or in processes."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import TypeVar

from autosing.console import progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, label: str
) -> Generator[Result, None, None]:
    """The results in the order of the items, with progress under `label`. In this process where one worker is enough.
    Where the caller stops early, what has not begun is not done; where it is killed, the processes end at once."""
    workers = min(workers, len(items))
    if workers <= 1:
        yield from progress(map(work, items), label, len(items))
        return
    context = multiprocessing.get_context("spawn")  # threads that the caller may have do not survive a fork
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_the_caller) as pool:
        try:
            yield from progress(pool.map(work, items), label, len(items))
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_the_caller() -> None:
    """Without this a process finishes its item, minutes later, for nobody."""
    caller = multiprocessing.parent_process()
    assert caller is not None

    def watch() -> None:
        wait([caller.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
