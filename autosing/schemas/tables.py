"""The tables of a corpus: one record class for each. Times are seconds, audio columns hold encoded bytes.

index (songs) -> separate -> align -> segment (clips) -> pitch, singer, semantic, acoustic
"""

from dataclasses import dataclass

from autosing.audio.encoded import Encoded
from autosing.schemas.base import Float32s, Int32s


@dataclass(frozen=True)
class Song:
    """index.parquet: a song as it was imported (AutoSing's layout)."""

    id: str
    audio: bytes
    lrc_lyrics: str | None = None
    raw_lyrics: str | None = None
    artist: str | None = None
    title: str | None = None
    language: str | None = None
    licence: str | None = None
    score: str | None = None
    """autosing.score.score.Score as JSON, of a score file beside the song: on the song's time."""
    speech: bytes | None = None
    """The song's words spoken by its singer, as encoded audio."""
    speech_times_s: Float32s | None = None
    """Start and end of each word in the speech, one after the other, where they are known."""


@dataclass(frozen=True)
class Separated:
    """separate.parquet: a part of a song's voice and accompaniment, encoded. An a-cappella song has no instrumental.

    The parts of a song are consecutive rows and together as long as the song; each stem of each part is its own file.
    """

    id: str
    part: int
    """From 0."""
    start_s: float
    duration_s: float
    vocals: Encoded
    instrumental: Encoded | None


@dataclass(frozen=True)
class Line:
    """A line of lyrics. `fits` is False if the line could not be placed: it is kept, but its times are guessed."""

    text: str
    start_s: float
    end_s: float
    score: float
    fits: bool


@dataclass(frozen=True)
class LyricLine(Line):
    """A line of a song's lyrics file. Only lines of the kinds sung and backing have words and a score; the others do
    not fit, and have the times of the line they belong to."""

    kind: str = "sung"
    """See autosing.text.cleaning.line.Kind. Older tables have only lines that are sung."""
    reason: str | None = None
    """Why it is of this kind."""


@dataclass(frozen=True)
class Word:
    """A word with the line it belongs to. `score` is the aligner's confidence, 0..1."""

    text: str
    start_s: float
    end_s: float
    score: float
    line: int


@dataclass(frozen=True)
class Lyrics:
    """align.parquet: when each word of a song is sung. `source` is lrc, plain or transcribed."""

    id: str
    source: str
    language: str
    lines: list[LyricLine]
    """All lines of the file, in its order, or by their stamps."""
    words: list[Word]
    lrc_offset_s: float | None
    """The offset that was added to the LRC's times (audio time - LRC time); None without an LRC."""
    inlier_ratio: float | None
    """Lines within 1 s of the offset / lines with a stamp; None without an LRC."""


@dataclass(frozen=True)
class Clip:
    """segment.parquet: a window of a song. Words and lines are those wholly inside, on the clip's own time."""

    id: str
    song: str
    singer: str | None
    language: str
    licence: str | None
    start_s: float
    duration_s: float
    singing_fraction: float
    vocals: Encoded
    instrumental: Encoded | None
    lines: list[Line]
    words: list[Word]
    score: str | None = None
    """The song's score, cut to the clip."""
    speech: Encoded | None = None
    """The speech of the whole song."""
    speech_times_s: Float32s | None = None


@dataclass(frozen=True)
class Pitch:
    """pitch.parquet: f0 at 100 frames a second, 0 where nobody sings."""

    id: str
    f0_hz: Float32s
    voiced_fraction: float


@dataclass(frozen=True)
class Singer:
    """singer.parquet: a 256-d unit vector, the voice of the clip."""

    id: str
    embedding: Float32s


@dataclass(frozen=True)
class Semantic:
    """semantic.parquet: content codes at 25 a second."""

    id: str
    codes: Int32s


@dataclass(frozen=True)
class Acoustic:
    """acoustic.parquet: codec codes of voice and accompaniment, levels concatenated (see autosing.codecs.spec)."""

    id: str
    codec: str
    vocals: Int32s
    instrumental: Int32s | None
