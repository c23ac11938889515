"""Reads of byte ranges of something of a known size -> a seekable binary file."""

import io
from abc import abstractmethod
from typing import Any


class RangeFile(io.RawIOBase):
    """A subclass implements `piece`."""

    def __init__(self, size: int) -> None:
        self._size, self._at = size, 0

    @abstractmethod
    def piece(self, at: int, count: int) -> bytes:
        """`count` bytes from offset `at`, which lie within the file, or fewer; empty where no more can be read."""

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
