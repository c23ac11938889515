"""x_BCT -> x_BCT: periodic activations between upsampling and downsampling by two, and residual blocks of them.

A snake (Ziyin 2020, arXiv:2006.08195), x + sin(alpha x)^2 / beta, generates harmonics of its input. Those above half
the rate would alias, so it is applied at twice the rate, and a low-pass removes them before downsampling (BigVGAN,
arXiv:2206.04658).

Shapes: B clips, C channels, T steps.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_TAPS = 12
"""Length of the low-pass; a Kaiser window with a transition band of 0.6 of the rate, as in BigVGAN."""


def low_pass(taps: int = _TAPS) -> Tensor:
    """filter_K, which passes the lower half of the band: a windowed sinc with sum one."""
    transition = 0.6
    attenuation_db = 2.285 * (taps / 2 - 1) * math.pi * transition + 7.95
    # Kaiser's formulas (Oppenheim & Schafer, equation 7.75).
    if attenuation_db > 50:
        beta = 0.1102 * (attenuation_db - 8.7)
    else:
        beta = 0.5842 * max(0.0, attenuation_db - 21) ** 0.4 + 0.07886 * max(0.0, attenuation_db - 21)
    time_K = torch.arange(taps) - (taps - 1) / 2
    filter_K = torch.sinc(0.5 * time_K) * torch.kaiser_window(taps, periodic=False, beta=beta)
    return filter_K / filter_K.sum()


class Snake(nn.Module):
    """The snake at the rate of the input; each channel has its own alpha and beta, stored as logarithms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_alpha_C = nn.Parameter(torch.zeros(channels))
        self.log_beta_C = nn.Parameter(torch.zeros(channels))

    def forward(self, x_BCT: Tensor) -> Tensor:
        alpha_C1, beta_C1 = self.log_alpha_C.exp()[:, None], self.log_beta_C.exp()[:, None]
        return x_BCT + (alpha_C1 * x_BCT).sin().square() / (beta_C1 + 1e-9)


class AntiAliasedSnake(nn.Module):
    """The snake at twice the rate, between two low-passes."""

    filter_K: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.snake, self.channels = Snake(channels), channels
        self.register_buffer("filter_K", low_pass(), persistent=False)

    def forward(self, x_BCT: Tensor) -> Tensor:
        channels, half = self.channels, _TAPS // 2
        filter_C1K = self.filter_K.to(x_BCT.dtype).expand(channels, 1, -1)
        edged_BCT = F.pad(x_BCT, (half // 2 + 1, half // 2 + 1), mode="replicate")
        doubled_BCT = 2 * F.conv_transpose1d(edged_BCT, filter_C1K, stride=2, groups=channels)
        # The padding at the edges is removed: step t of the input is at 2 t and 2 t + 1 from here on.
        first = 2 * (half // 2 + 1) + half - 1
        doubled_BCT = self.snake(doubled_BCT[..., first : first + 2 * x_BCT.shape[2]])
        edged_BCT = F.pad(doubled_BCT, (half - 1, half), mode="replicate")
        return F.conv1d(edged_BCT, filter_C1K, stride=2, groups=channels)


class SnakeBlock(nn.Module):
    """For each dilation a residual of two convolutions behind snakes: dilated, then plain (BigVGAN's AMP block)."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int], anti_aliased: bool = True) -> None:
        super().__init__()
        activation = AntiAliasedSnake if anti_aliased else Snake
        self.branches = nn.ModuleList(
            nn.Sequential(
                activation(channels), nn.Conv1d(channels, channels, kernel, dilation=d, padding=d * (kernel // 2)),
                activation(channels), nn.Conv1d(channels, channels, kernel, padding=kernel // 2),
            )
            for d in dilations
        )  # fmt: skip

    def forward(self, x_BCT: Tensor) -> Tensor:
        for branch in self.branches:
            x_BCT = x_BCT + branch(x_BCT)
        return x_BCT
