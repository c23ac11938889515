"""An `s3://bucket/prefix?endpoint_override=...` address -> an object or folder with the methods of pathlib.Path.

Only the methods that autosing uses are here, so code that takes a `Path` takes a `Remote` as well. Every request is
idempotent, as an object is always written whole: a request without an answer is sent again. The query is pyarrow's
(region, scheme, endpoint_override ...); credentials come from the environment (AWS_ACCESS_KEY_ID ...) or the machine's
role, never from the address, which is written to logs.
"""

import io
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from autosing.errors import InputError
from autosing.storage.ranges import RangeFile

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

T = TypeVar("T")
SCHEME = "s3"
_TRIES = 8
"""Tries of each request, beside the three of the client itself; the pauses between them sum to 13 s."""
READ_BYTES = 1 << 20
"""Smallest read from the store."""


@dataclass(frozen=True)
class Remote:
    """An object or a prefix. `key` is bucket/prefix/name, without a slash at its end."""

    key: str
    query: str = ""

    @classmethod
    def parse(cls, address: str) -> "Remote":
        """Raises InputError for an address without a bucket, with credentials, or with an unknown query."""
        parts = urlsplit(address)
        if parts.username or parts.password:
            raise InputError(
                f"{SCHEME}://{parts.hostname}...: holds credentials, which would be logged; give them in the "
                "environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
            )
        key = f"{parts.netloc}{parts.path}".strip("/")
        if not parts.netloc or "//" in key:
            raise InputError(f"{address}: not an address of a store; need {SCHEME}://BUCKET/PREFIX")
        made = cls(key, parts.query)
        made._system()
        return made

    def __str__(self) -> str:
        return f"{SCHEME}://{self.key}" + (f"?{self.query}" if self.query else "")

    def __truediv__(self, name: str) -> "Remote":
        return Remote(f"{self.key}/{name}", self.query)

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return Path(self.name).stem

    @property
    def parent(self) -> "Remote":
        return Remote(self.key.rpartition("/")[0], self.query)

    def absolute(self) -> "Remote":
        return self

    def resolve(self) -> "Remote":
        return self

    def exists(self) -> bool:
        return self._info().type.name != "NotFound"

    def is_file(self) -> bool:
        return self._info().type.name == "File"

    def is_dir(self) -> bool:
        """Whether any object has this prefix; a store has no empty folders."""
        return self._info().type.name == "Directory"

    def stat(self) -> Any:
        """st_size in bytes and st_mtime in s. Raises FileNotFoundError."""
        info = self._info()
        if info.type.name == "NotFound":
            raise FileNotFoundError(f"{self}: no such object")
        return SimpleNamespace(st_size=info.size, st_mtime=(info.mtime_ns or 0) / 1e9)

    def iterdir(self) -> Iterator["Remote"]:
        """The objects and folders in this folder, sorted by name; empty where there is none."""
        return (Remote(info.path, self.query) for info in self._list(recursive=False))

    def files(self) -> dict[str, tuple[int, float]]:
        """Name relative to this prefix -> (size in bytes, time of modification in s) of every object under it."""
        start = len(self.key) + 1
        return {
            info.path[start:]: (info.size, (info.mtime_ns or 0) / 1e9)
            for info in self._list(recursive=True)
            if info.type.name == "File"
        }

    def open(self, mode: str = "rb", at_once: int = READ_BYTES) -> io.BufferedReader:
        """Open for random reads, each request at least `at_once` bytes. Raises FileNotFoundError."""
        assert mode == "rb", mode
        return io.BufferedReader(_Reader(self), at_once)

    def read_bytes(self) -> bytes:
        with self.open() as file:
            return file.read()

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object. After a lost answer it may be gone already: that is no error."""
        if not missing_ok:
            self.stat()

        def once() -> None:
            try:
                self._system().delete_file(self.key)
            except FileNotFoundError:
                return

        self._retried(once)

    def upload(self, file: Path) -> None:
        """Write a local file to this object. Nothing of it is visible before the last request.

        The bytes are written in one call and the stream is closed explicitly: a stream that is closed early, by `with`
        or by the garbage collector, would commit a part.
        """
        import pyarrow as pa

        size = file.stat().st_size

        def once() -> None:
            data = pa.memory_map(str(file)).read_buffer()
            stream = self._system().open_output_stream(self.key)
            stream.write(data)
            stream.close()
            if self._system().get_file_info(self.key).size != size:
                raise OSError(f"{self}: its size in the store is not {size} bytes")

        self._retried(once)

    def _info(self) -> "FileInfo":
        return self._retried(lambda: self._system().get_file_info(self.key))

    def _list(self, recursive: bool) -> list["FileInfo"]:
        from pyarrow.fs import FileSelector

        chosen = FileSelector(self.key, recursive=recursive, allow_not_found=True)
        return sorted(self._retried(lambda: self._system().get_file_info(chosen)), key=lambda info: info.path)

    def _system(self) -> "FileSystem":
        return _system(self.key.partition("/")[0], self.query, os.getpid())

    def _retried(self, action: Callable[[], T]) -> T:
        """The action's result, with retries where the store failed. Raises InputError after the last one."""
        for left in reversed(range(_TRIES)):
            try:
                return action()
            except FileNotFoundError:
                raise
            except OSError as error:
                if not left:
                    raise InputError(
                        f"{self}: the store failed in each of {_TRIES} tries ({error}); check the address, the network "
                        "and AWS_*, then run the same command again: what is committed is kept",
                        "store",
                    ) from error
                time.sleep(0.1 * 2 ** (_TRIES - 1 - left))
        raise AssertionError(_TRIES)


class _Reader(RangeFile):
    """Reads ranges of one object, each with retries."""

    def __init__(self, place: Remote) -> None:
        self._place = place
        self._file = place._retried(lambda: place._system().open_input_file(place.key))
        super().__init__(self._file.size())

    def piece(self, at: int, count: int) -> bytes:
        def once() -> bytes:
            self._file.seek(at)
            data: bytes = self._file.read(count)
            if len(data) != count:
                raise OSError(f"received {len(data)} of {count} bytes")
            return data

        return self._place._retried(once)


@cache
def _system(bucket: str, query: str, process: int) -> "FileSystem":
    """One client for each process: a client that was inherited by fork does not work."""
    import pyarrow as pa
    from pyarrow.fs import FileSystem

    address = f"{SCHEME}://{bucket}" + (f"?{query}" if query else "")
    try:
        return FileSystem.from_uri(address)[0]
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{address}: not an address of a store ({error}); need {SCHEME}://BUCKET/PREFIX") from None
