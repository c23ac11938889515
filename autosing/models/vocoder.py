"""Log-mel frames and f0 -> sound at 24 to 48 kHz: by a source filter and an inverse STFT, or by an NSF generator.

    source_filter   mel, f0 -> ConvNeXt -> filters of pulses and noise, a free rest -> inverse STFT (the codec's, cheap)
    nsf             mel, f0 -> upsampling with the excitation joined at each step, anti-aliased snakes (BigVGAN's kind)

Shapes: B clips, F frames, S = F * hop samples, M mel bands, P points of the filters' curves.
"""

from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.checkpoint import load_model, restore
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.acoustic import MelConfig
from autosing.nn.convnext import ConvNeXt
from autosing.nn.excitation import F0_FEATURES, Begin, excitations, f0_features
from autosing.nn.nsf import NsfConfig, NsfGenerator
from autosing.nn.source_filter import SourceFilter

_MIDDLE, _SPREAD = -5.0, 2.5
"""Log-mel values are given to the network as (x - _MIDDLE) / _SPREAD."""


class VocoderConfig(Config):
    """The vocoder's sizes."""

    kind: Literal["source_filter", "nsf"] = "source_filter"
    mel: MelConfig = MelConfig()
    width: int = Field(default=256, ge=8)
    hidden: int = Field(default=768, ge=8)
    blocks: int = Field(default=6, ge=1)
    filter_bands: int = Field(default=128, ge=8)
    nsf: NsfConfig = NsfConfig()

    def model_post_init(self, _: object) -> None:
        if self.kind == "nsf" and self.nsf.hop_samples != self.mel.hop_samples:
            raise InputError(
                f"vocoder: rates {self.nsf.rates} make {self.nsf.hop_samples} samples a frame, mel.hop_samples is "
                f"{self.mel.hop_samples}; need the same"
            )


class VocoderModel(nn.Module):
    """(mel_BMF, f0_hz_BF) -> audio_BS. f0 is 0 where unvoiced."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config, self.mel = config, config.mel
        told = config.mel.bands + F0_FEATURES
        if config.kind == "nsf":
            self.nsf = NsfGenerator(told, config.nsf)
            return
        self.body = ConvNeXt(told, config.width, config.hidden, config.blocks)
        self.envelope = nn.Linear(config.mel.bands, 2 * config.filter_bands)
        window = 3 * config.mel.hop_samples
        window += (window - config.mel.hop_samples) % 2
        self.head = SourceFilter(
            config.width, config.filter_bands, window, config.mel.hop_samples, config.mel.sample_rate_hz
        )
        self._start_straight()

    def forward(self, mel_BMF: Tensor, f0_hz_BF: Tensor, begin: Begin | None = None) -> Tensor:
        """As the space log_mel calls it; `begin`: see AcousticSpace.sound."""
        pulses_BS, noise_BS = excitations(f0_hz_BF, self.mel.hop_samples, self.mel.sample_rate_hz, begin)
        return self.shape(mel_BMF, f0_hz_BF, pulses_BS, noise_BS)

    def shape(self, mel_BMF: Tensor, f0_hz_BF: Tensor, pulses_BS: Tensor, noise_BS: Tensor) -> Tensor:
        """The same with an excitation of the caller's choice."""
        level_BMF = (mel_BMF - _MIDDLE) / _SPREAD
        told_BDF = torch.cat([level_BMF, f0_features(f0_hz_BF)], dim=1)
        if self.config.kind == "nsf":
            made_BS: Tensor = self.nsf(told_BDF, pulses_BS, noise_BS)
            return made_BS
        sound_BS: Tensor = self.head(self.body(told_BDF), self.envelope(level_BMF.mT).mT, pulses_BS, noise_BS)
        return sound_BS

    @torch.no_grad()
    def _start_straight(self) -> None:
        """Initialise the envelope as the mel bands at the filters' points: training starts from a plain vocoder."""
        bands, points = self.config.mel.bands, self.config.filter_bands
        at_P = torch.linspace(0, bands - 1, points)
        near_PM = (1 - (at_P[:, None] - torch.arange(bands)).abs()).clamp(min=0)
        self.envelope.weight.copy_(_SPREAD * near_PM.repeat(2, 1))
        self.envelope.bias.fill_(_MIDDLE)


def load_vocoder(folder: Path, device: str | torch.device = "cpu") -> VocoderModel:
    """A run of `autosing train vocoder`. Raises InputError if it is not one."""
    file = load_model(folder, "vocoder")
    model = VocoderModel(VocoderConfig.build(file.config, origin=str(folder)))
    restore(model, file, folder)
    return model.to(device).eval().requires_grad_(False)
