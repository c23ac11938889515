"""audio -> judgements, true or generated: at several periods, several resolutions of the spectrum, several scales.

Periods: Kong et al. 2020 (HiFi-GAN), arXiv:2010.05646; scales: Kumar et al. 2019 (MelGAN), arXiv:1910.06711;
resolutions: Jang et al. 2021 (UnivNet), arXiv:2106.07889. The default sizes are those of so-vits-svc 5.0, `SMALL` is
for two cores. Windows are Hann's (so-vits-svc 5.0 cuts its frames without a window).

Shapes: B clips, S samples, P period, R rows of P samples, F frames, K bins, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from autosing.config import Config

_SLOPE = 0.2


@dataclass(frozen=True)
class Judgement:
    """The output of one discriminator: logits (higher for true audio) and the features of its layers, in order."""

    logits: Tensor
    features: tuple[Tensor, ...]


class DiscriminatorConfig(Config):
    """Which discriminators to use, and their widths. An empty tuple leaves a kind out."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    period_widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    resolutions: tuple[tuple[int, int, int], ...] = (
        (1024, 120, 600), (2048, 240, 1200), (4096, 480, 2400), (512, 50, 240),
    )  # fmt: skip
    """(FFT, hop, window) in samples."""
    resolution_width: int = Field(default=32, ge=1)
    scales: int = Field(default=1, ge=0)
    """Number of scales: the audio itself, its averages over two samples, over four ..."""
    scale_widths: tuple[int, ...] = (16, 64, 256, 1024, 1024, 1024)
    scale_groups: tuple[int, ...] = (1, 4, 16, 64, 256, 1)


SMALL = DiscriminatorConfig(
    period_widths=(8, 16, 32, 64), resolutions=((1024, 240, 600), (512, 120, 240)), resolution_width=8,
    scale_widths=(8, 16, 32, 64), scale_groups=(1, 4, 4, 1),
)  # fmt: skip
"""Smaller widths for a CPU, with the same periods."""


class Discriminators(nn.Module):
    """All of a config: audio_BS -> one judgement each."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            [PeriodDiscriminator(period, config.period_widths) for period in config.periods]
            + [ResolutionDiscriminator(*sizes, config.resolution_width) for sizes in config.resolutions]
            + [ScaleDiscriminator(n, config.scale_widths, config.scale_groups) for n in range(config.scales)]
        )

    def forward(self, audio_BS: Tensor) -> list[Judgement]:
        return [member(audio_BS) for member in self.members]


class PeriodDiscriminator(nn.Module):
    """Sees every P-th sample together: convolutions along the columns of audio written in rows of P."""

    def __init__(self, period: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.period = period
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, (5, 1), (3 if i < len(widths) - 1 else 1, 1), padding=(2, 0)))
            for i, (before, after) in enumerate(zip((1, *widths), widths, strict=False))
        )
        self.last = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, audio_BS: Tensor) -> Judgement:
        return _judge(self.convs, self.last, in_rows(audio_BS, self.period)[:, None], _SLOPE)


class ResolutionDiscriminator(nn.Module):
    """Sees magnitudes of an STFT as an image, which becomes smaller along frequency."""

    window_W: Tensor

    def __init__(self, fft_samples: int, hop_samples: int, window_samples: int, width: int) -> None:
        super().__init__()
        self.fft, self.hop = fft_samples, hop_samples
        self.register_buffer("window_W", torch.hann_window(window_samples), persistent=False)
        wide = [weight_norm(nn.Conv2d(1, width, (3, 9), padding=(1, 4)))]
        wide += [weight_norm(nn.Conv2d(width, width, (3, 9), (1, 2), padding=(1, 4))) for _ in range(3)]
        self.convs = nn.ModuleList([*wide, weight_norm(nn.Conv2d(width, width, 3, padding=1))])
        self.last = weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, audio_BS: Tensor) -> Judgement:
        return _judge(self.convs, self.last, self.magnitudes(audio_BS)[:, None], _SLOPE)

    def magnitudes(self, audio_BS: Tensor) -> Tensor:
        """magnitude_BFK: a full-scale sine on a bin gives one half. Frames are centred at multiples of the hop, with
        silence beyond the ends."""
        with torch.autocast(audio_BS.device.type, enabled=False):
            spectrum_BKF = torch.stft(
                audio_BS.float(), self.fft, self.hop, len(self.window_W), self.window_W, pad_mode="constant",
                return_complex=True,
            )  # fmt: skip
            # The gradient of abs() at 0 is not finite.
            power_BKF = spectrum_BKF.real.square() + spectrum_BKF.imag.square()
            return ((power_BKF + 1e-9).sqrt() / self.window_W.sum()).mT


class ScaleDiscriminator(nn.Module):
    """Sees the audio itself, averaged over 2^n samples, through long strided convolutions in groups."""

    def __init__(self, halvings: int, widths: Sequence[int], groups: Sequence[int]) -> None:
        super().__init__()
        self.halvings = halvings
        last = len(widths) - 1
        self.convs = nn.ModuleList(
            weight_norm(_scale_conv(before, after, many, first=i == 0, final=i == last))
            for i, (before, after, many) in enumerate(zip((1, *widths[:-1]), widths, groups, strict=True))
        )
        self.last = weight_norm(nn.Conv1d(widths[-1], 1, 3, padding=1))

    def forward(self, audio_BS: Tensor) -> Judgement:
        x_B1S = audio_BS[:, None]
        for _ in range(self.halvings):
            x_B1S = F.avg_pool1d(x_B1S, 4, 2, padding=2)
        return _judge(self.convs, self.last, x_B1S, _SLOPE)


def in_rows(audio_BS: Tensor, period: int) -> Tensor:
    """rows_BRP, sample s at row s // P, column s % P; silence fills the last row. Whole rows are not lengthened."""
    missing = -audio_BS.shape[1] % period
    return F.pad(audio_BS, (0, missing)).unflatten(1, (-1, period))


def _scale_conv(before: int, after: int, groups: int, first: bool, final: bool) -> nn.Conv1d:
    if first:
        return nn.Conv1d(before, after, 15, padding=7)
    if final:
        return nn.Conv1d(before, after, 5, padding=2)
    return nn.Conv1d(before, after, 41, 4, padding=20, groups=groups)


def _judge(convs: nn.ModuleList, last: nn.Module, x: Tensor, slope: float) -> Judgement:
    features = []
    for conv in convs:
        x = F.leaky_relu(conv(x), slope)
        features.append(x)
    logits = last(x)
    return Judgement(logits.flatten(1), (*features, logits))
