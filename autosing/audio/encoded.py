"""Encoded audio in a file -> its bytes, read in pieces, so that memory does not grow with its size."""

import errno
import os
import tempfile
from collections.abc import Iterable
from typing import Protocol, TypeAlias, overload

from autosing.storage.ranges import RangeFile

_WINDOW = 1 << 16
"""Bytes read from a file at a time, even if fewer are needed."""


class HasFileno(Protocol):
    """An open file."""

    def fileno(self) -> int: ...


class Descriptor:
    """An open file, closed when there is no more reference to it."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def fileno(self) -> int:
        return self._handle

    def __del__(self) -> None:
        os.close(self._handle)


class FileBytes:
    """A range of bytes of an open file, with the length, slices, search and comparison of `bytes`. A slice is read, and
    is `bytes`.

    Raises OSError if the file cannot be read, or ends before the range. May be shared by threads.
    """

    def __init__(self, file: HasFileno, start: int, length: int) -> None:
        self.file, self.start, self._length = file, start, length
        self._window = (0, b"")

    def __len__(self) -> int:
        return self._length

    def __bytes__(self) -> bytes:
        return self[:]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (bytes, FileBytes)):
            return NotImplemented
        pieces = (slice(at, at + _WINDOW) for at in range(0, len(self), _WINDOW))
        return len(self) == len(other) and all(self[piece] == other[piece] for piece in pieces)

    @overload
    def __getitem__(self, where: int) -> int: ...
    @overload
    def __getitem__(self, where: slice) -> bytes: ...
    def __getitem__(self, where: int | slice) -> int | bytes:
        if isinstance(where, slice):
            start, stop, step = where.indices(self._length)
            assert step == 1, where
            return self._read(start, max(start, stop))
        if not -self._length <= where < self._length:
            raise IndexError(where)
        at = where % self._length
        return self._read(at, at + 1)[0]

    def find(self, wanted: bytes, start: int = 0, stop: int | None = None) -> int:
        """As `bytes.find`, of at least one byte."""
        at, end = start, len(self) if stop is None else min(stop, len(self))
        while at + len(wanted) <= end:
            piece = self._read(at, min(at + _WINDOW, end))
            found = piece.find(wanted)
            if found >= 0:
                return at + found
            at += len(piece) - len(wanted) + 1
        return -1

    def _read(self, start: int, stop: int) -> bytes:
        if stop - start >= _WINDOW:
            return self._from_file(start, stop)
        held_from, held = self._window
        if not held_from <= start <= stop <= held_from + len(held):
            held_from, held = start, self._from_file(start, min(start + _WINDOW, self._length))
            self._window = (held_from, held)
        return held[start - held_from : stop - held_from]

    def _from_file(self, start: int, stop: int) -> bytes:
        pieces, at = [], start
        while at < stop:
            piece = os.pread(self.file.fileno(), stop - at, self.start + at)
            if not piece:
                raise OSError(errno.EIO, f"the file ends {stop - at} bytes before the audio in it does")
            pieces.append(piece)
            at += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


Encoded: TypeAlias = bytes | FileBytes
"""An audio file: in memory, or in a file on disk."""
Stem: TypeAlias = bytes | FileBytes | tuple[bytes | FileBytes, ...]
"""The audio of a stem: one file, or several that are consecutive parts."""


class Scratch:
    """A file without a name, in $TMPDIR, which is deleted when its last reader is gone."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            self._file = Descriptor(os.dup(file.fileno()))
        self._end = 0

    def put(self, pieces: Iterable[bytes]) -> FileBytes:
        """Append the pieces, concatenated. Raises OSError if the disk is full."""
        start = self._end
        for piece in pieces:
            left = memoryview(piece)
            while left:
                try:
                    done = os.pwrite(self._file.fileno(), left, self._end)
                except OSError as error:
                    error.filename = tempfile.gettempdir()
                    raise
                left, self._end = left[done:], self._end + done
        return FileBytes(self._file, start, self._end - start)

    def __len__(self) -> int:
        return self._end


class EncodedFile(RangeFile):
    """Encoded audio as a file that is read up to `end`, with `put_in` instead of the `skip` bytes at `at`.

    A read error is stored in `failed` and looks like the end of the file, because libsndfile's callbacks cannot raise.
    """

    def __init__(self, data: Encoded, put_in: bytes = b"", at: int = 0, skip: int = 0, end: int | None = None) -> None:
        super().__init__((len(data) if end is None else end) + len(put_in) - skip)
        self._data, self._put_in, self._put_at, self._skip = data, put_in, at, skip
        self.failed: OSError | None = None

    def piece(self, at: int, count: int) -> bytes:
        end, shift = at + count, len(self._put_in)
        try:
            if at < self._put_at:
                return self._data[at : min(end, self._put_at)]
            if at < self._put_at + shift:
                return self._put_in[at - self._put_at : end - self._put_at]
            back = shift - self._skip
            return self._data[at - back : end - back]
        except OSError as error:
            self.failed = error
            return b""
