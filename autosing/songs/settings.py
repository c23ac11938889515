"""What a corpus of made songs is made of, and what each of its partitions depends on."""

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from pydantic import Field

from autosing import pretrained
from autosing.config import Config
from autosing.errors import InputError
from autosing.songs.singers import SINGERS
from autosing.songs.trouble import Trouble

VERSION = 1
"""Counted up whenever the same settings would give other songs."""
NATURAL_VERSION = 3
"""The same, for songs of natural voices."""
TROUBLE_VERSION = 1
"""The same, for songs with troubles."""
MADE_BY = "autosing songs"
NATURAL_LANGUAGES = ("en",)
NATURAL_SINGERS = 48
NATURAL_WEIGHTS = ("kokoro", "kokoro-voices")
DEFAULT_LANGUAGES = ("en", "en", "ko", "en", "en", "zh")


Voices = Literal["synthetic", "natural", "mixed"]


@dataclass(frozen=True)
class Casting:
    """Who sings a song: the number of a singer among those of its voice, and the language."""

    voice: Literal["synthetic", "natural"]
    singer: int
    language: str


class SongsConfig(Config):
    """Song number i is a function of (seed, i) and of the settings that `details` names."""

    count: int = Field(24, ge=1, le=10_000)
    seed: int = 7
    languages: tuple[str, ...] = Field(DEFAULT_LANGUAGES, min_length=1)
    """Gone through in turn, each singer one further on."""
    singers: int = Field(8, ge=1)
    """The first so many of autosing.songs.singers.SINGERS, or of the natural singers; of each where both sing."""
    voices: Voices = "synthetic"
    """Mixed: a natural and a synthetic singer in turn. What natural voices cannot sing is sung by synthetic ones."""
    audio_format: str = "flac"
    partitions: int = Field(3, ge=1)
    lines: int = Field(4, ge=1, le=16)
    """Lines of the verse, and of the chorus."""
    trouble: tuple[Trouble, ...] = ()
    """What of each song does not agree with its lyrics."""

    def songs_of(self, partition: int) -> range:
        return range(partition, self.count, self.partitions)

    def casting(self, index: int) -> Casting:
        """Who sings song number `index`, and in which language: every singer comes to every language."""
        if self.voices == "mixed":
            index, synthetic = divmod(index, 2)
        else:
            synthetic = self.voices == "synthetic"
        turn, singer = divmod(index, self.singers)
        language = self.languages[(turn + singer) % len(self.languages)]
        if synthetic or language not in NATURAL_LANGUAGES:
            return Casting("synthetic", singer % len(SINGERS), language)
        return Casting("natural", singer, language)

    def details(self, partition: int) -> dict[str, Any]:
        """What the bytes of a partition depend on."""
        song = self.model_dump(include={"seed", "languages", "singers", "audio_format", "lines"}, mode="json")
        details = {"made": MADE_BY, "songs": list(self.songs_of(partition)), **song}
        if self.voices != "synthetic":
            weights = [pretrained.digest(name) for name in NATURAL_WEIGHTS]
            details |= {"voices": self.voices, "natural_version": NATURAL_VERSION, "weights": weights}
        if self.trouble:
            details |= {"trouble": list(self.trouble), "trouble_version": TROUBLE_VERSION}
        return details


def voices_of(word: str) -> Voices:
    """The word itself, or an InputError that names those there are."""
    for voices in get_args(Voices):
        if word == voices:
            return cast(Voices, voices)
    raise InputError(f"voices {word!r}: unknown; need one of {', '.join(get_args(Voices))}")


def song_id(index: int) -> str:
    return f"song{index:04d}"
