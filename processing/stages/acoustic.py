"""clip, its pitch -> codec codes of its voice and of its accompaniment, their levels flattened into one sequence."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from autosing.audio.io import decode
from autosing.clock import in_model
from autosing.config import Config
from autosing.device import device_of
from autosing.schemas.base import Float32s
from autosing.schemas.tables import Acoustic
from autosing.stage import Stage


class AcousticConfig(Config):
    """Which codec to use."""

    codec: str = "autosing-24khz"
    """A codec's name, or the folder of a run of `autosing train codec`."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True)
class Stems:
    """A clip's encoded audio, and its voice's pitch; None if the pitch stage rejected it."""

    id: str
    vocals: bytes
    instrumental: bytes | None
    f0_hz: Float32s | None = None


class TokenizeAcoustic(Stage[Stems, Acoustic]):
    """Encodes each stem, mixed to one channel, at the codec's rate. The last block is padded with silence.

    A codec whose codes include f0 takes the voice's f0 from the pitch table. It tracks f0 itself for an accompaniment,
    and for a voice that is not in the table.
    """

    name = "acoustic"
    version = 2
    reads = ("segment", "pitch")
    sparse = ("pitch",)
    takes = Stems
    gives = Acoustic
    Settings = AcousticConfig
    config: AcousticConfig

    def weights(self) -> dict[str, str]:
        from autosing.codecs import codec_digest

        return {self.config.codec: codec_digest(self.config.codec)}

    def setup(self) -> None:
        from autosing.codecs import load_codec

        self._codec = load_codec(self.config.codec, device_of(self.config.device))

    def apply(self, row: Stems) -> Acoustic:
        return Acoustic(
            id=row.id,
            codec=self._codec.spec.name,
            vocals=self._codes(row.vocals, f"vocals of {row.id}", row.f0_hz),
            instrumental=None if row.instrumental is None else self._codes(row.instrumental, f"music of {row.id}"),
        )

    def _codes(self, data: bytes, name: str, f0_hz_T: np.ndarray | None = None) -> np.ndarray:
        audio = decode(data, name)
        mono = type(audio)(audio.mono_S()[None], audio.sample_rate_hz).resampled(self._codec.spec.sample_rate_hz)
        with in_model():
            return self._codec.encode_flat(mono.samples_CS[0], f0_hz_T)
