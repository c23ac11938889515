"""clip -> singer: the voice of its vocals as a unit vector of 256 numbers."""

from dataclasses import dataclass
from typing import Literal

from autosing.audio.io import decode
from autosing.clock import in_model
from autosing.config import Config
from autosing.device import device_of
from autosing.schemas.tables import Singer
from autosing.stage import Stage


class SingerConfig(Config):
    """Where the network runs."""

    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True)
class ClipVocals:
    """The columns of a clip that the stage reads."""

    id: str
    vocals: bytes


class EmbedSinger(Stage[ClipVocals, Singer]):
    """Runs the GE2E speaker encoder. A clip that is nearly silent is rejected as no_voice."""

    name = "singer"
    version = 1
    reads = ("segment",)
    takes = ClipVocals
    gives = Singer
    Settings = SingerConfig
    config: SingerConfig

    def weights(self) -> dict[str, str]:
        from autosing.pretrained import digest

        return {"ge2e": digest("ge2e")}

    def setup(self) -> None:
        from autosing.models.speaker import load_speaker_encoder

        self.encoder = load_speaker_encoder(device_of(self.config.device))

    def apply(self, row: ClipVocals) -> Singer:
        vocals = decode(row.vocals, f"vocals of {row.id}")
        with in_model():
            return Singer(row.id, self.encoder.embed(vocals.mono_S(), vocals.sample_rate_hz))
