"""clip -> pitch: f0 of its vocals at 100 frames a second, 0 where nobody sings."""

from typing import Literal

from pydantic import Field

from autosing.audio.pitch import REACH_HZ, USUAL_HZ, TrackerName, check_reach, load_tracker, tracker_version
from autosing.config import Config
from autosing.device import device_of
from autosing.schemas.tables import Pitch
from autosing.stage import Rejected, Stage
from processing.stages.clip import ClipVocals


class PitchConfig(Config):
    """Which tracker to use, its range, and how much voice a clip needs."""

    tracker: TrackerName = "fcpe"
    """fcpe (default; up to 1100 Hz, C#6), crepe (ten times slower; up to 2000 Hz), crepe-tiny, or swiftf0 (a third of
    fcpe's time; up to 2090 Hz: for high sopranos)."""
    min_hz: float | None = Field(None, gt=0)
    """Frames of a lower pitch count as unvoiced; by default the tracker's own limit (crepe: 50 Hz)."""
    max_hz: float | None = Field(None, gt=0)
    """Frames of a higher pitch count as unvoiced; by default the tracker's own limit (crepe: 1100 Hz)."""
    min_voiced_fraction: float = Field(0.05, ge=0, le=1)
    """A clip with less singing than this is rejected."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def range_hz(self) -> tuple[float, float] | None:
        """None: the tracker's default range."""
        if self.min_hz is None and self.max_hz is None:
            return None
        usual = USUAL_HZ if self.tracker != "swiftf0" else REACH_HZ["swiftf0"]
        return self.min_hz or usual[0], self.max_hz or usual[1]

    def model_post_init(self, _: object) -> None:
        if self.range_hz is not None:
            check_reach(self.tracker, *self.range_hz)


class TrackPitch(Stage[ClipVocals, Pitch]):
    """Runs FCPE, CREPE or SwiftF0, whose weights lie in their packages."""

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
        self.track = load_tracker(self.config.tracker, device_of(self.config.device), self.config.range_hz)

    def apply(self, row: ClipVocals) -> Pitch | Rejected:
        vocals = row.audio
        f0_hz_T = self.track(vocals.mono_S(), vocals.sample_rate_hz)
        voiced, needed = float((f0_hz_T > 0).mean()) if len(f0_hz_T) else 0.0, self.config.min_voiced_fraction
        if voiced < needed:
            low, high = self.config.range_hz or REACH_HZ[self.config.tracker]
            found = f"{voiced:.1%} of frames voiced, need {needed:.1%}"
            return Rejected(row.id, "mostly_unvoiced", f"{found} ({self.config.tracker}, {low:g} to {high:g} Hz)")
        return Pitch(row.id, f0_hz_T, voiced)
