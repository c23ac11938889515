"""A deed that commits -> the same deed in a process of its own, killed at a commit point or after a while.

The process is forked, so that a hundred of them cost one start. SIGKILL: nothing is cleaned up, nothing is flushed.
"""

import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autosing.storage import store


@dataclass(frozen=True)
class Outcome:
    """What became of the process."""

    killed: bool
    passed: tuple[str, ...]
    """Commit points in the order in which they were passed."""
    result: Any
    seconds: float


def in_process(deed: Callable[[], Any], kill_at: int | None = None, kill_after_s: float | None = None) -> Outcome:
    """Do the deed in a fork of this process. `kill_at`: the passage, from 0, at which it kills itself.

    `kill_after_s`: when it is killed from outside. Raises RuntimeError with the trace where the deed failed by itself.
    """
    started = time.monotonic()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _child(deed, writer, kill_at)
    os.close(writer)
    data = _read_until(reader, child, None if kill_after_s is None else started + kill_after_s)
    os.close(reader)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    passed, _, rest = data.rpartition(b"\0")
    names = tuple(name.decode() for name in passed.split(b"\0") if name)
    if killed:
        return Outcome(True, names, None, time.monotonic() - started)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(rest.decode(errors="replace") or f"the process ended with status {status}")
    return Outcome(False, names, pickle.loads(bytes.fromhex(rest.decode())), time.monotonic() - started)


def _child(deed: Callable[[], Any], writer: int, kill_at: int | None) -> None:
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
        rest = pickle.dumps(deed()).hex().encode()  # hex: it holds no zero byte
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
