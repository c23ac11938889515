"""A function -> its results on several ranks of a process group, each in a process of its own."""

import faulthandler
import os
import pickle
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from support.forked import fork_server, pickled, take_environment

_WAIT_S = 600.0


class Ended(NamedTuple):
    result: Any
    stderr: str


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def run_ranks(work: Callable[[], Any], world: int = 2) -> list[Ended]:
    """Call `work` on every rank, with the variables that torchrun sets.

    Raises RuntimeError with a rank's trace, or with every rank's stacks where one does not end in time.
    """
    group = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    context, data = fork_server(), pickled(work)
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for rank in range(world):
            reader, writer = context.Pipe(duplex=False)
            environment = {**os.environ, **group, "RANK": str(rank)}
            passed = (data, writer, environment, _stderr(folder, rank))
            process = context.Process(target=_rank, args=passed, daemon=True)
            process.start()
            writer.close()
            started.append((process, reader))
        ended = []
        for rank, (process, reader) in enumerate(started):
            if not reader.poll(_WAIT_S):
                stacks = "\n".join(f"rank {other}:\n{_read(_stderr(folder, other))}" for other in range(world))
                raise RuntimeError(f"rank {rank} has not ended within {_WAIT_S:.0f} s\n{stacks}")
            try:
                failed, said = pickle.loads(reader.recv_bytes())
            except EOFError:
                process.join()
                raise RuntimeError(f"rank {rank} ended with status {process.exitcode}") from None
            stderr = _read(_stderr(folder, rank))
            if failed:
                raise RuntimeError(f"rank {rank}: {said}\n{stderr}")
            ended.append(Ended(said, stderr))
    return ended


def _stderr(folder: str, rank: int) -> str:
    return f"{folder}/{rank}"


def _read(path: str) -> str:
    return Path(path).read_text(errors="replace")


def _rank(work: bytes, writer: Connection, environment: dict[str, str], stderr: str) -> None:
    import torch

    take_environment(environment)
    torch.set_num_threads(1)
    with Path(stderr).open("wb") as said_to:
        os.dup2(said_to.fileno(), 2)
        faulthandler.dump_traceback_later(_WAIT_S - 10, file=said_to)
        failed, said = False, None
        try:
            said = pickle.loads(work)()
        except BaseException:
            failed, said = True, traceback.format_exc()
        sys.stderr.flush()
        writer.send_bytes(pickle.dumps((failed, said)))
    os._exit(0)
