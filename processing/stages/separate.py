"""song -> vocals and instrumental, in parts: two stems that add up to the song, sample for sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pydantic import Field

from autosing.audio.encoded import Encoded, FileBytes
from autosing.audio.guard import inspect_apart, tags_apart
from autosing.audio.io import Audio, AudioReader
from autosing.audio.parts import PART_S, PartsWriter
from autosing.clock import spent
from autosing.models.separation import (
    Known,
    SeparatorConfig,
    at_most_stereo,
    load_separator,
    separator_digests,
    split_blocks,
)
from autosing.schemas.tables import Separated
from autosing.stage import Rejected, Stage

_CLICK = 1e-4
"""-80 dBFS: a song that never exceeds it is silent."""


class SeparateConfig(SeparatorConfig):
    """Which separator to use (none: the songs are a cappella, all of a song is voice), and how stems are stored."""

    min_duration_s: float = Field(default=1.0, gt=0)
    audio_format: Literal["flac", "wav", "ogg", "opus", "mp3"] = "flac"


@dataclass(frozen=True)
class SongAudio:
    """The columns of a song that the stage reads."""

    id: str
    audio: Encoded


class Separate(Stage[SongAudio, Separated]):
    """Runs the network of Spleeter or Demucs, or none."""

    name = "separate"
    version = 3
    reads = ("index",)
    takes = SongAudio
    gives = Separated
    Settings = SeparateConfig
    config: SeparateConfig

    def weights(self) -> dict[str, str]:
        return separator_digests(self.config)

    def setup(self) -> None:
        self.vocals_of = load_separator(self.config)
        tags_apart(b"")  # starts the decoding process

    def apply(self, row: SongAudio) -> list[Separated] | Rejected:
        """The song is decoded twice: first in a separate process, to check it and measure its level, then block by
        block. So only a window of the song and a part of its stems are in memory, however long the song is.
        """
        with spent("decode"):
            found = inspect_apart(row.audio, row.id)  # the only stage that decodes files which others have encoded
        duration_s = found.num_samples / found.sample_rate_hz
        if duration_s < self.config.min_duration_s:
            return Rejected(row.id, "too_short", f"{duration_s:.2f} s, need {self.config.min_duration_s} s")
        if found.peak < _CLICK:
            return Rejected(row.id, "silent", f"peak {found.peak:.1e}, need {_CLICK}")
        rate, channels = found.sample_rate_hz, found.channels if found.channels <= 2 else 1
        vocals, rest = (PartsWriter(rate, channels, self.config.audio_format, duration_s) for _ in range(2))
        with AudioReader(row.audio, row.id) as song:
            mix = (at_most_stereo(Audio(block_SC.T, rate)).samples_CS for block_SC in song.blocks())
            if self.config.separator == "none":
                for block_CS in mix:
                    vocals.write(block_CS)
                return _rows(row.id, duration_s, vocals.finish(), None)
            for vocals_CS, rest_CS in split_blocks(mix, rate, Known.of(found), self.vocals_of):
                vocals.write(vocals_CS)
                rest.write(rest_CS)
        return _rows(row.id, duration_s, vocals.finish(), rest.finish())


def _rows(
    song: str, duration_s: float, vocals: Sequence[FileBytes], rest: Sequence[FileBytes] | None
) -> list[Separated]:
    """A row for each part, with its start and duration."""
    starts_s = [float(PART_S * part) for part in range(len(vocals))]
    return [
        Separated(song, part, start_s, end_s - start_s, vocals[part], rest[part] if rest else None)
        for part, (start_s, end_s) in enumerate(pairwise([*starts_s, duration_s]))
    ]
