"""The true sound of a clip -> a Gaussian over latents: what svc_vits learns from, and needs no more once it has learnt.

    wavenet    magnitudes of an STFT -> WaveNet told who sings (VITS)
    convnext   log-mel bands and f0 -> ConvNeXt beside a straight path: the codec's encoder, with a spread

Shapes: B clips, S samples, F frames, K bins, D numbers of the latent, E singer.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.config import Config
from autosing.errors import InputError
from autosing.models.codec import CodecConfig, LogMel
from autosing.nn.convnext import ConvNeXt
from autosing.nn.excitation import F0_FEATURES, f0_features
from autosing.nn.stft import stft
from autosing.nn.wavenet import GaussianWaveNet, gaussian


class PosteriorConfig(Config):
    """The default sizes are those of so-vits-svc 5.0."""

    kind: Literal["wavenet", "convnext"] = "wavenet"
    window_samples: int = Field(default=1024, ge=16)
    width: int = Field(default=192, ge=8)
    layers: int = Field(default=16, ge=1)
    """Of the WaveNet, or blocks."""
    kernel: int = Field(default=5, ge=1)
    hidden: int = Field(default=576, ge=8)
    """convnext alone."""
    mel_bands: int = Field(default=100, ge=8)
    """convnext alone."""
    first_log_std: float = Field(default=-1.0, ge=-5, le=1)
    """convnext alone: the logarithm of the spread that training begins with."""


def build_posterior(
    config: PosteriorConfig, latent: int, singer: int, sample_rate_hz: int, hop_samples: int
) -> "WaveNetPosterior | ConvNeXtPosterior":
    """Both are called (audio_BS, f0_hz_BF, singer_BE, mask_BF) -> (mean_BDF, log_std_BDF)."""
    if config.window_samples < hop_samples:
        raise InputError(f"posterior: window_samples {config.window_samples}; need the hop ({hop_samples}) or more")
    if config.kind == "wavenet":
        return WaveNetPosterior(config, latent, singer, hop_samples)
    return ConvNeXtPosterior(config, latent, sample_rate_hz, hop_samples)


class WaveNetPosterior(nn.Module):
    """See `build_posterior`; f0 is not looked at."""

    def __init__(self, config: PosteriorConfig, latent: int, singer: int, hop_samples: int) -> None:
        super().__init__()
        self.window, self.hop = config.window_samples, hop_samples
        self.net = GaussianWaveNet(self.window // 2 + 1, latent, config.width, config.layers, config.kernel, singer)

    def forward(
        self, audio_BS: Tensor, f0_hz_BF: Tensor, singer_BE: Tensor, mask_BF: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        magnitude_BKF = stft(audio_BS.float(), self.window, self.hop).abs()
        # As in the codec's log-mel: about unit spread for a voice at usual levels.
        level_BKF = (magnitude_BKF.clamp(min=1e-4).log() + LogMel.MIDDLE) / LogMel.SPREAD
        answer: tuple[Tensor, Tensor] = self.net(level_BKF, singer_BE, mask_BF)
        return answer


class ConvNeXtPosterior(nn.Module):
    """See `build_posterior`; who sings is not told. The parts have the names of the codec's encoder, whose weights fit
    where the numbers are its own; then `mean_D1` and `std_D1` are its latents'."""

    mean_D1: Tensor
    std_D1: Tensor

    def __init__(self, config: PosteriorConfig, latent: int, sample_rate_hz: int, hop_samples: int) -> None:
        super().__init__()
        self.features = LogMel(
            CodecConfig(
                sample_rate_hz=sample_rate_hz, hop_samples=hop_samples, mel_bands=config.mel_bands,
                mel_window=config.window_samples,
            )
        )  # fmt: skip
        self.encoder = ConvNeXt(config.mel_bands + F0_FEATURES, config.width, config.hidden, config.layers)
        self.to_latent = nn.Linear(config.width, latent)
        self.cepstrum = nn.Linear(config.mel_bands, latent)
        self.spread = nn.Linear(config.width, latent)
        nn.init.zeros_(self.spread.weight)
        nn.init.constant_(self.spread.bias, config.first_log_std)
        self.register_buffer("mean_D1", torch.zeros(latent, 1))
        self.register_buffer("std_D1", torch.ones(latent, 1))

    def forward(
        self, audio_BS: Tensor, f0_hz_BF: Tensor, singer_BE: Tensor, mask_BF: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        mel_BMF = self.features(audio_BS.float())
        x_BFD = self.encoder(torch.cat([mel_BMF, f0_features(f0_hz_BF)], dim=1)).mT
        raw_BDF = (self.cepstrum(mel_BMF.mT) + self.to_latent(x_BFD)).mT.float()
        spread_BDF = self.spread(x_BFD).mT.float()
        return gaussian(torch.cat([(raw_BDF - self.mean_D1) / self.std_D1, spread_BDF], dim=1))
