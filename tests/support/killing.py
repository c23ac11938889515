"""A function that commits -> the same function in a process of its own, killed at a commit point or after a while.

SIGKILL: nothing is cleaned up or flushed.
"""

import multiprocessing
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from autosing.storage import store
from support.forked import fork_server, pickled, take_environment


@dataclass(frozen=True)
class Outcome:
    """How the process ended."""

    killed: bool
    passed: tuple[str, ...]
    """Commit points in the order in which they were passed."""
    result: Any
    seconds: float


def in_process(
    work: Callable[[], Any],
    kill_at: int | None = None,
    kill_after_s: float | None = None,
    start: Literal["forkserver", "fork"] = "forkserver",
) -> Outcome:
    """Call `work` in another process. `kill_at`: the number, from 0, of the commit point at which it kills itself.

    `kill_after_s`: when it is killed from outside. `start`: "fork" forks this process itself, as for a loader's worker.
    Raises RuntimeError with the trace if `work` failed by itself.
    """
    context: Any = fork_server() if start == "forkserver" else multiprocessing.get_context(start)
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(pickled(work), writer, kill_at, dict(os.environ)))
    child.start()
    started = time.monotonic()
    writer.close()
    assert child.pid is not None
    data = _read_until(reader.fileno(), child.pid, None if kill_after_s is None else started + kill_after_s)
    reader.close()
    child.join()
    passed, _, rest = data.rpartition(b"\0")
    names = tuple(name.decode() for name in passed.split(b"\0") if name)
    if child.exitcode == -signal.SIGKILL:
        return Outcome(True, names, None, time.monotonic() - started)
    if child.exitcode:
        raise RuntimeError(rest.decode(errors="replace") or f"the process ended with status {child.exitcode}")
    return Outcome(False, names, pickle.loads(bytes.fromhex(rest.decode())), time.monotonic() - started)


def _child(work: bytes, connection: Connection, kill_at: int | None, environment: dict[str, str]) -> None:
    take_environment(environment)
    writer = connection.fileno()
    passages = 0

    def watch(name: str) -> None:
        nonlocal passages
        os.write(writer, name.encode() + b"\0")
        if passages == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        passages += 1

    code = 1
    try:
        store.watch = watch
        rest = pickle.dumps(pickle.loads(work)()).hex().encode()  # hex: it holds no zero byte
        code = 0
    except BaseException:
        rest = traceback.format_exc().encode()
    while rest:
        rest = rest[os.write(writer, rest) :]
    os._exit(code)


def _read_until(reader: int, child: int, deadline: float | None) -> bytes:
    data = b""
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if select.select([reader], [], [], left)[0]:
            piece = os.read(reader, 1 << 16)
            if not piece:
                return data
            data += piece
        else:
            os.kill(child, signal.SIGKILL)
            deadline = None
