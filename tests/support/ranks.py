"""A function -> its results on several ranks of a process group, each in a process of its own."""

import os
import pickle
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
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
    """Call `work` on every rank, with the variables that torchrun sets. Raises RuntimeError with a rank's trace."""
    group = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    context, data = fork_server(), pickled(work)
    started = []
    for rank in range(world):
        reader, writer = context.Pipe(duplex=False)
        environment = {**os.environ, **group, "RANK": str(rank)}
        process = context.Process(target=_rank, args=(data, writer, environment), daemon=True)
        process.start()
        writer.close()
        started.append((process, reader))
    ended = []
    for rank, (process, reader) in enumerate(started):
        try:
            assert reader.poll(_WAIT_S), f"rank {rank} has not ended within {_WAIT_S:.0f} s"
            failed, said, stderr = pickle.loads(reader.recv_bytes())
        except EOFError:
            process.join()
            raise RuntimeError(f"rank {rank} ended with status {process.exitcode}") from None
        if failed:
            raise RuntimeError(f"rank {rank}: {said}\n{stderr}")
        ended.append(Ended(said, stderr))
    return ended


def _rank(work: bytes, writer: Connection, environment: dict[str, str]) -> None:
    import torch

    take_environment(environment)
    torch.set_num_threads(1)
    with tempfile.TemporaryFile() as stderr:
        os.dup2(stderr.fileno(), 2)
        failed, said = False, None
        try:
            said = pickle.loads(work)()
        except BaseException:
            failed, said = True, traceback.format_exc()
        sys.stderr.flush()
        stderr.seek(0)
        writer.send_bytes(pickle.dumps((failed, said, stderr.read().decode(errors="replace"))))
    os._exit(0)
