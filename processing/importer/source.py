"""What a source of songs is: it lists them in a fixed order, and loads them one by one to save memory."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autosing.schemas.tables import Song
from autosing.stage import Rejected


@dataclass(frozen=True)
class Entry:
    """A song before it is opened. `partition`: its partition in the source, if that has partitions."""

    name: str
    """Its path in the source, for messages and for `load`."""
    wanted_id: str
    partition: int | None = None


class Source(ABC):
    """Songs in a fixed order, under `root`, and (name, reason, measurement) of two kinds.

    `remarks`: on what is not used, or guessed. `passed_over`: on files that are neither songs nor of use for one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.remarks: dict[tuple[str, str, str], None] = {}
        self.passed_over: list[tuple[str, str, str]] = []
        self.read_beside = 0
        """Files that tell of songs: lyrics, scores and tables."""

    def remark(self, name: str, reason: str, measurement: str) -> None:
        """Recorded once, however often it is made."""
        self.remarks[name, reason, measurement] = None

    @abstractmethod
    def entries(self) -> list[Entry]:
        """All songs, unopened."""

    @abstractmethod
    def load(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Song | Rejected]]:
        """The songs of `entries`, which must be in the source's order; Rejected if a song's audio cannot be read.

        A song's id is its entry's `wanted_id`.
        """
