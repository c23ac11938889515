"""A function and items -> its results, in turn or in processes."""

import multiprocessing
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from autosing.console import progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, label: str
) -> Generator[Result, None, None]:
    """The results in the order of the items, with progress under `label`. In this process where one worker is enough.
    Where the caller stops early, what has not begun is not done."""
    workers = min(workers, len(items))
    if workers <= 1:
        yield from progress(map(work, items), label, len(items))
        return
    context = multiprocessing.get_context("spawn")  # threads that the caller may have do not survive a fork
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            yield from progress(pool.map(work, items), label, len(items))
        finally:
            pool.shutdown(cancel_futures=True)
