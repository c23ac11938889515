"""How a score file is read, and what was found in it."""

from dataclasses import dataclass

from pydantic import Field

from autosing.config import Config
from autosing.score.score import Score


class ReadOptions(Config):
    """What to take of a file that holds more than one song to sing."""

    track: str | None = None
    """Of several tracks, parts or singers: its name, or its number from 1; by default the one with lyrics."""
    highest: bool = False
    """Of chords the highest note is sung; by default they are refused."""
    verse: int = Field(default=1, ge=1)
    """Of several verses under notes that are not repeated."""
    language: str = "und"
    """ISO 639, where the file does not say; `und`: guessed by its letters when phones are looked up."""


USUAL = ReadOptions()


@dataclass(frozen=True)
class ReadScore:
    """The score, and what a person should know of how it was read."""

    score: Score
    remarks: tuple[str, ...] = ()
