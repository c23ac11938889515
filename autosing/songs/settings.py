"""What a corpus of made songs is made of, and what each of its partitions depends on."""

from typing import Any

from pydantic import Field

from autosing.config import Config
from autosing.songs.singers import Singer, first_singers

VERSION = 1
"""Counted up whenever the same settings would give other songs."""
MADE_BY = "autosing songs"
DEFAULT_LANGUAGES = ("en", "en", "ko", "en", "en", "zh")


class SongsConfig(Config):
    """Song number i is a function of (seed, i) and of the settings that `details` names."""

    count: int = Field(24, ge=1, le=10_000)
    seed: int = 7
    languages: tuple[str, ...] = Field(DEFAULT_LANGUAGES, min_length=1)
    """Gone through in turn, each singer one further on."""
    singers: int = Field(8, ge=1)
    """The first so many of autosing.songs.singers.SINGERS."""
    audio_format: str = "flac"
    partitions: int = Field(3, ge=1)
    lines: int = Field(4, ge=1, le=16)
    """Lines of the verse, and of the chorus."""

    def songs_of(self, partition: int) -> range:
        return range(partition, self.count, self.partitions)

    def casting(self, index: int) -> tuple[Singer, str]:
        """Who sings song number `index`, and in which language: every singer comes to every language."""
        singers = first_singers(self.singers)
        turn, number = divmod(index, len(singers))
        return singers[number], self.languages[(turn + number) % len(self.languages)]

    def details(self, partition: int) -> dict[str, Any]:
        """What the bytes of a partition depend on."""
        song = self.model_dump(include={"seed", "languages", "singers", "audio_format", "lines"}, mode="json")
        return {"made": MADE_BY, "songs": list(self.songs_of(partition)), **song}


def song_id(index: int) -> str:
    return f"song{index:04d}"
