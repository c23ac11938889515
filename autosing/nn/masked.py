"""Norms over time that ignore padding: clips give the same result in a batch as alone.

Shapes: B clips, D numbers per frame (C channels by M bands for an image), T frames.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_EPS = 1e-5


class MaskedInstanceNorm(nn.Module):
    """x_BDT -> normalised to mean 0 and variance 1 over the frames of the mask, then a learned gain and bias; 0 where
    the mask is false. These means and variances contain most of a voice's timbre (AdaIN-VC, Chou et al. 2019,
    arXiv:1904.05742)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain_D = nn.Parameter(torch.ones(width))
        self.bias_D = nn.Parameter(torch.zeros(width))

    def forward(self, x_BDT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        mask_B1T = None if mask_BT is None else mask_BT[:, None].to(x_BDT.dtype)
        y_BDT = _standardised(x_BDT, mask_B1T, (2,)) * self.gain_D[:, None] + self.bias_D[:, None]
        return _kept(y_BDT, mask_BT)


class MaskedGroupNorm(nn.GroupNorm):
    """x_BCMT -> nn.GroupNorm whose means and variances are those of the frames of the mask; 0 where it is false."""

    def forward(self, x_BCMT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        if mask_BT is None:
            return super().forward(x_BCMT)
        mask_B11T = mask_BT[:, None, None].to(x_BCMT.dtype)
        x_BGcMT = x_BCMT.unflatten(1, (self.num_groups, -1))
        y_BCMT = _standardised(x_BGcMT, mask_B11T[:, None], (2, 3, 4)).flatten(1, 2)
        return (y_BCMT * self.weight[:, None, None] + self.bias[:, None, None]) * mask_B11T


class ContentPrenet(nn.Module):
    """content_BCT -> x_BDT: content with less information on the speaker. As in Grad-SVC: five times a convolution of 5
    frames, masked instance norm, ReLU and dropout; then a projection that starts at zero."""

    def __init__(self, in_width: int, width: int, layers: int = 5, kernel: int = 5, dropout: float = 0.5) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(in_width if i == 0 else width, width, kernel, padding=kernel // 2) for i in range(layers)
        )
        self.norms = nn.ModuleList(MaskedInstanceNorm(width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Conv1d(width, width, 1)
        nn.init.zeros_(self.project.weight)
        assert self.project.bias is not None
        nn.init.zeros_(self.project.bias)

    def forward(self, content_BCT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        x_BDT = content_BCT
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x_BDT = self.dropout(F.relu(norm(conv(_kept(x_BDT, mask_BT)), mask_BT)))
        return _kept(self.project(x_BDT), mask_BT)


def _kept(x_BDT: Tensor, mask_BT: Tensor | None) -> Tensor:
    return x_BDT if mask_BT is None else x_BDT * mask_BT[:, None].to(x_BDT.dtype)


def _standardised(x: Tensor, mask: Tensor | None, over: tuple[int, ...]) -> Tensor:
    """Mean 0 and variance 1 over the dimensions `over`, counting entries where the mask (broadcast to x) is one."""
    if mask is None:
        away = x - x.mean(over, keepdim=True)
        return away * (away.square().mean(over, keepdim=True) + _EPS).rsqrt()
    weight = mask.expand_as(x)
    count = weight.sum(over, keepdim=True).clamp(min=1)
    mean = (x * weight).sum(over, keepdim=True) / count
    away = (x - mean) * weight
    variance = away.square().sum(over, keepdim=True) / count
    return away * (variance + _EPS).rsqrt()
