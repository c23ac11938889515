"""How a worker's time is spent: decoding, models, encoding, tables. A second counts once, for the innermost block."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

MODEL = "model"


@dataclass
class Ledger:
    """wall_s and cpu_s by kind of work. Threads may share a ledger; cpu_s is the sum over the threads that use it."""

    wall_s: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    model_lock: threading.RLock = field(default_factory=threading.RLock)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, wall_s: float, cpu_s: float) -> None:
        with self._lock:
            self.wall_s[kind] = self.wall_s.get(kind, 0.0) + wall_s
            self.cpu_s[kind] = self.cpu_s.get(kind, 0.0) + cpu_s


_ledger: ContextVar[Ledger | None] = ContextVar("ledger", default=None)
_inside: ContextVar[list[float] | None] = ContextVar("inside", default=None)


@contextmanager
def timed(ledger: Ledger | None = None) -> Iterator[Ledger]:
    """Every `spent` inside adds to the ledger (a new one by default); threads must be started in a copy of this
    context."""
    ledger = ledger or Ledger()
    token = _ledger.set(ledger)
    try:
        yield ledger
    finally:
        _ledger.reset(token)


@contextmanager
def spent(kind: str) -> Iterator[None]:
    """Add the seconds of a block, less those of blocks inside it. Costs microseconds."""
    ledger = _ledger.get()
    if ledger is None:
        yield
        return
    outer, mine = _inside.get(), [0.0, 0.0]
    token = _inside.set(mine)
    wall, cpu = time.perf_counter(), time.thread_time()
    try:
        yield
    finally:
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        _inside.reset(token)
        ledger.add(kind, wall - mine[0], cpu - mine[1])
        if outer is not None:
            outer[0] += wall
            outer[1] += cpu


@contextmanager
def in_model() -> Iterator[None]:
    """`spent` on a model, which only one thread of a worker uses at a time; others decode and encode meanwhile."""
    ledger = _ledger.get()
    if ledger is None:
        yield
        return
    with spent("wait"):
        ledger.model_lock.acquire()
    try:
        with spent(MODEL):
            yield
    finally:
        ledger.model_lock.release()
