"""Something of a known size that is read by ranges -> a file to read and seek in."""

import io
from abc import abstractmethod
from typing import Any


class RangeFile(io.RawIOBase):
    """`piece` is all that a kind of file must say."""

    def __init__(self, size: int) -> None:
        self._size, self._at = size, 0

    @abstractmethod
    def piece(self, at: int, count: int) -> bytes:
        """`count` bytes from `at`, all of them within the file, or fewer; none where no more can be read."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, into: Any) -> int:
        count = min(len(into), max(0, self._size - self._at))
        piece = self.piece(self._at, count) if count else b""
        into[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
