"""clip -> pitch: f0 of its vocals at 100 frames a second, 0 where nobody sings."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from autosing.audio.io import decode
from autosing.audio.pitch import TrackerName, load_tracker, tracker_version
from autosing.config import Config
from autosing.schemas.tables import Pitch
from autosing.stage import Rejected, Stage


class PitchConfig(Config):
    """Who tracks, and what is too little."""

    tracker: TrackerName = "fcpe"
    """fcpe (default), crepe (ten times dearer), crepe-tiny, or swiftf0 (a third of fcpe's cost)."""
    min_voiced_fraction: float = Field(0.05, ge=0, le=1)
    """A clip with less singing than this is rejected."""
    device: Literal["cpu", "cuda"] = "cpu"


@dataclass(frozen=True)
class ClipVocals:
    """What is read of a clip."""

    id: str
    vocals: bytes


class TrackPitch(Stage[ClipVocals, Pitch]):
    """By FCPE, CREPE or SwiftF0, whose weights lie in their packages."""

    name = "pitch"
    version = 1
    reads = ("segment",)
    takes = ClipVocals
    gives = Pitch
    Settings = PitchConfig
    config: PitchConfig

    def weights(self) -> dict[str, str]:
        return {self.config.tracker: tracker_version(self.config.tracker)}

    def setup(self) -> None:
        self.track = load_tracker(self.config.tracker, self.config.device)

    def apply(self, row: ClipVocals) -> Pitch | Rejected:
        vocals = decode(row.vocals, f"vocals of {row.id}")
        f0_hz_T = self.track(vocals.mono_S(), vocals.sample_rate_hz)
        voiced, needed = float((f0_hz_T > 0).mean()) if len(f0_hz_T) else 0.0, self.config.min_voiced_fraction
        if voiced < needed:
            return Rejected(row.id, "mostly_unvoiced", f"{voiced:.1%} of frames voiced, need {needed:.1%}")
        return Pitch(row.id, f0_hz_T, voiced)
