"""song -> vocals and instrumental: two stems that add up to the song, sample for sample."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from autosing.audio.guard import decode_apart
from autosing.audio.io import encode
from autosing.models.separation import SeparatorConfig, at_most_stereo, load_separator, separator_digests, split
from autosing.schemas.tables import Separated
from autosing.stage import Rejected, Stage

_CLICK = 1e-4
"""-80 dBFS: a song that nowhere rises above holds no music."""


class SeparateConfig(SeparatorConfig):
    """Who separates (none: the songs are a cappella, all of a song is its voice), and how the stems are kept."""

    min_duration_s: float = Field(default=1.0, gt=0)
    audio_format: Literal["flac", "wav", "ogg", "opus", "mp3"] = "flac"


@dataclass(frozen=True)
class SongAudio:
    """What is read of a song."""

    id: str
    audio: bytes


class Separate(Stage[SongAudio, Separated]):
    """By Spleeter's or Demucs's networks, or not at all."""

    name = "separate"
    version = 1
    reads = ("index",)
    takes = SongAudio
    gives = Separated
    Settings = SeparateConfig
    config: SeparateConfig

    def weights(self) -> dict[str, str]:
        return separator_digests(self.config)

    def setup(self) -> None:
        self.vocals_of = load_separator(self.config)

    def apply(self, row: SongAudio) -> Separated | Rejected:
        mix = decode_apart(row.audio, row.id)  # the one stage that decodes what others encoded
        if mix.duration_s < self.config.min_duration_s:
            return Rejected(row.id, "too_short", f"{mix.duration_s:.2f} s, need {self.config.min_duration_s} s")
        if (loudest := float(np.abs(mix.samples_CS).max())) < _CLICK:
            return Rejected(row.id, "silent", f"peak {loudest:.1e}, need {_CLICK}")
        mix = at_most_stereo(mix)
        if self.config.separator == "none":
            return Separated(row.id, encode(mix, self.config.audio_format), None, mix.duration_s)
        vocals, rest = (encode(stem, self.config.audio_format) for stem in split(mix, self.vocals_of))
        return Separated(row.id, vocals, rest, mix.duration_s)
