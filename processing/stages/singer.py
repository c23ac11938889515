"""clip -> singer: the voice of its vocals as a unit vector of 256 numbers."""

from typing import Literal

from autosing.clock import in_model
from autosing.config import Config
from autosing.device import device_of
from autosing.schemas.tables import Singer
from autosing.stage import Stage
from processing.stages.clip import ClipVocals


class SingerConfig(Config):
    """Where the network runs."""

    device: Literal["auto", "cpu", "cuda"] = "auto"


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
        vocals = row.audio
        with in_model():
            return Singer(row.id, self.encoder.embed(vocals.mono_S(), vocals.sample_rate_hz))
