"""Encoded bytes -> facts, decoded in a separate process: a file that crashes or hangs the decoder is an InputError.

The process is reused for many files, with limits on memory and CPU time, and replaced when it dies. It reads the audio
from where it is stored, so a file costs one message and no copy.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from autosing.audio.encoded import Descriptor, Encoded, FileBytes
from autosing.audio.io import Inspected, inspect
from autosing.audio.tags import FoundTags, read_tags
from autosing.errors import InputError

_PROGRAM = "from autosing.audio.guard import serve; serve()"
_MESSAGE_BYTES = 1 << 17
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
"""When numpy is loaded, BLAS starts a thread for each core and reserves about 41 MB of address space for each: on 24
cores that alone would reach `Limits.memory_mb`."""
_PATIENCE = 20
"""A file counts as hanging after so many times the allowed CPU time on the wall clock: the machine may be busy."""


@dataclass(frozen=True)
class Limits:
    """What the decoding of one file may take."""

    seconds: float = 30
    seconds_per_mb: float = 60
    """CPU time. Opus of 6 kbit/s, the slowest of all, takes up to 10 s per megabyte."""
    memory_mb: int = 1024
    """Address space. It does not grow with the file or its samples, which are processed block by block."""

    def cpu_s(self, num_bytes: int) -> int:
        return int(self.seconds + self.seconds_per_mb * num_bytes / 1e6) + 1


LIMITS = Limits()
"""The default limits."""


class Guard:
    """One decoding process. Not for use by two threads at once.

    Raises InputError as `decode` does, and decoder_crash, decoder_hang, decoder_memory; RuntimeError if the process
    cannot be started or is killed from outside; OSError if the audio is in a file that cannot be read.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or LIMITS
        self._process: subprocess.Popen[bytes] | None = None

    def inspect(self, audio: Encoded, name: str = "audio") -> Inspected:
        return Inspected(**self._ask("inspect", audio, name))

    def tags(self, audio: Encoded) -> FoundTags:
        """Without texts for data that is not audio, or that crashes or hangs the decoder; the latter is a remark."""
        try:
            said = self._ask("tags", audio, "its tags")
        except InputError as error:
            return FoundTags({}, [("tags_not_readable", str(error))])
        return FoundTags(said["texts"], [(reason, found) for reason, found in said["remarks"]])

    def close(self) -> None:
        if self._process is not None:
            self._socket.close()  # the process ends when its socket is closed
            if self._owner == os.getpid():  # not in a fork of the process that started it
                self._process.kill()
                self._process.wait()
            self._process = None

    def __del__(self) -> None:
        self.close()

    def _ask(self, task: str, audio: Encoded, name: str, again: bool = True) -> dict[str, Any]:
        if self._process is None:
            self._start()
        assert self._process is not None
        cpu_s = self._limits.cpu_s(len(audio))
        if isinstance(audio, bytes):
            audio = FileBytes(_memory(audio), 0, len(audio))
        limits = {"cpu_s": cpu_s, "memory": self._limits.memory_mb << 20}
        wanted = {"task": task, "name": name, "start": audio.start, "length": len(audio), **limits}
        try:
            self._socket.settimeout(_PATIENCE * cpu_s)
            socket.send_fds(self._socket, [json.dumps(wanted).encode()], [audio.file.fileno()])
            answer = self._socket.recv(_MESSAGE_BYTES)
        except TimeoutError:
            self.close()
            raise InputError(f"{name}: the decoder did not end in {_PATIENCE * cpu_s} s", "decoder_hang") from None
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        if not answer:
            died = self._process.wait()
            self.close()
            if died != -signal.SIGXCPU and again:  # the file may not be the cause
                return self._ask(task, audio, name, again=False)
            _refuse(died, name, cpu_s)
        said: dict[str, Any] = json.loads(answer)
        if "errno" in said:
            raise OSError(said["errno"], said["message"])
        if "reason" in said:
            raise InputError(said["message"], said["reason"])
        return said

    def _start(self) -> None:
        self._owner = os.getpid()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd="/",  # libsndfile looks into the working folder for files of its own
                env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
            )
        if not self._socket.recv(_MESSAGE_BYTES):
            raise RuntimeError(f"the decoding process did not start (exit code {self._process.wait()})")


_idle: list[Guard] = []
"""Guards that no thread uses at the moment. A forked process must not use those of its parent."""
os.register_at_fork(after_in_child=_idle.clear)


@contextmanager
def idle_guard() -> Iterator[Guard]:
    """A guard that no other thread uses; there are as many as threads that have decoded at the same time."""
    try:
        guard = _idle.pop()
    except IndexError:
        guard = Guard()
    try:
        yield guard
    finally:
        _idle.append(guard)


def inspect_apart(audio: Encoded, name: str = "audio") -> Inspected:
    """`inspect` for untrusted bytes, in a decoding process."""
    with idle_guard() as guard:
        return guard.inspect(audio, name)


def tags_apart(audio: Encoded) -> FoundTags:
    """`read_tags` for untrusted bytes, in a decoding process."""
    with idle_guard() as guard:
        return guard.tags(audio)


def serve() -> None:
    """The main loop of the process: answers messages on its standard input, a socket, until that is closed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=0) as channel:
        channel.send(b"{}")
        os.dup2(1, 2)  # from here on stderr would only get messages of decoders about files
        while True:
            message, handles, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 1)
            if not message:
                return
            wanted = json.loads(message)
            try:
                answer = _answer(wanted, Descriptor(handles[0]))
            except InputError as error:
                answer = {"reason": error.reason, "message": str(error)}
            except MemoryError:
                said = f"{wanted['name']}: takes more memory to decode than is allowed"
                answer = {"reason": "decoder_memory", "message": said}
            except OSError as error:
                answer = {"errno": error.errno, "message": f"{wanted['name']}: {error.strerror}"}
            channel.send(json.dumps(answer, ensure_ascii=False).encode(errors="surrogatepass"))


def _answer(wanted: dict[str, Any], file: Descriptor) -> dict[str, Any]:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(spent.ru_utime + spent.ru_stime) + 1 + wanted["cpu_s"])
    _limit(resource.RLIMIT_AS, wanted["memory"])
    audio = FileBytes(file, wanted["start"], wanted["length"])
    if wanted["task"] == "tags":
        return read_tags(audio)._asdict()
    return vars(inspect(audio, wanted["name"]))


def _limit(which: int, soft: int) -> None:
    hard = resource.getrlimit(which)[1]
    resource.setrlimit(which, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _refuse(died: int, name: str, cpu_s: int) -> NoReturn:
    if died == -signal.SIGKILL:
        raise RuntimeError(f"{name}: the process that decodes it was killed twice, from outside or for want of memory")
    if died == -signal.SIGXCPU:
        raise InputError(f"{name}: the decoder did not end in {cpu_s} s of CPU time", "decoder_hang")
    how = f"by signal {signal.Signals(-died).name}" if died < 0 else f"with exit code {died}"
    raise InputError(
        f"{name}: the decoder ended {how} on it, twice; save it again with another program", "decoder_crash"
    )


def _memory(content: bytes = b"") -> Descriptor:
    """Memory with a file descriptor, which another process can open."""
    memory = Descriptor(os.memfd_create("autosing-audio"))
    with open(memory.fileno(), "wb", closefd=False) as file:
        file.write(content)
    return memory
