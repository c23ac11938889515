"""A file of numbers -> an array that is read from the disk as it is looked at, and let go of again."""

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True)
class Mapped:
    """Pages that were looked at count as this process's memory until `rest`."""

    array: np.ndarray
    memory: mmap.mmap

    @classmethod
    def raw(cls, path: Path, dtype: type[np.generic] = np.float32) -> "Mapped":
        """A file of such numbers and nothing else, at least one."""
        with path.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return cls(np.frombuffer(memory, dtype), memory)

    @classmethod
    def npy(cls, path: Path) -> "Mapped":
        """An .npy file of version 1.0."""
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            first, memory = file.tell(), mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return cls(np.ndarray(shape, dtype, memory, first), memory)

    def rest(self) -> None:
        """Let go of what was looked at; it is read again when it is looked at again."""
        self.memory.madvise(mmap.MADV_DONTNEED)

    def resting(self, items: Iterable[T]) -> Iterator[T]:
        """The items, each of which was read from this array: after each the array rests."""
        for item in items:
            self.rest()
            yield item
