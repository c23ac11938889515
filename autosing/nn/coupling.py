"""x_BDT <-> y_BDT, told who sings: affine couplings in which both halves are normalised by the singer's mean and scale.

Speaker-normalised affine coupling (SNAC, Choi et al. 2022, arXiv:2211.16866): what is left behind the flow is free of
who sings, so that another singer can be put back. Each coupling is followed by a flip of the channels.

    x0' = x0
    x1' = exp(s(n0)) * (x1 - m1) * exp(-v1) + mu(n0),   n0 = (x0 - m0) * exp(-v0)

m and v follow from the singer, mu from a WaveNet; s is 0 unless the config asks for it (as in VITS).

Shapes: B clips, D numbers a frame, H = D / 2 of them, T frames, E numbers of a singer.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.config import Config
from autosing.errors import InputError
from autosing.nn.wavenet import WaveNet

_MOST = 2.0
"""Logarithms of scales stay within, by a tanh: a singer never heard, or a bad step, cannot make them explode."""


class CouplingConfig(Config):
    """The default sizes are those of so-vits-svc 5.0."""

    couplings: int = Field(default=4, ge=1)
    layers: int = Field(default=4, ge=1)
    """Of each coupling's WaveNet."""
    kernel: int = Field(default=5, ge=1)
    width: int = Field(default=192, ge=2)
    told_singer: bool = False
    """Whether the WaveNets are told who sings, beside the normalisation."""
    scales: bool = False
    """Whether they scale, too, and not only shift."""

    def model_post_init(self, _: object) -> None:
        if self.kernel % 2 == 0:
            raise InputError(f"flow: kernel {self.kernel}; need an odd number, so that frames stay where they are")


class CouplingFlow(nn.Module):
    """forward(x) -> (y, log_det), inverse(y) -> (x, log_det): log_det_B is the logarithm of the determinant of the map
    that was taken, summed over the frames of the mask. Frames beyond it are 0."""

    def __init__(self, channels: int, singer: int, config: CouplingConfig) -> None:
        super().__init__()
        if channels % 2:
            raise InputError(f"flow: {channels} numbers a frame; need an even number, which couplings halve")
        self.couplings = nn.ModuleList(Coupling(channels // 2, singer, config) for _ in range(config.couplings))

    def forward(self, x_BDT: Tensor, singer_BE: Tensor, mask_BT: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._through(x_BDT, singer_BE, mask_BT, inverse=False)

    def inverse(self, y_BDT: Tensor, singer_BE: Tensor, mask_BT: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._through(y_BDT, singer_BE, mask_BT, inverse=True)

    def _through(
        self, x_BDT: Tensor, singer_BE: Tensor, mask_BT: Tensor | None, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        x_BDT = x_BDT.float() if mask_BT is None else x_BDT.float() * mask_BT[:, None]
        log_det_B = x_BDT.new_zeros(len(x_BDT))
        for coupling in reversed(self.couplings) if inverse else self.couplings:
            if inverse:
                x_BDT = x_BDT.flip(1)
            x_BDT, added_B = coupling(x_BDT, singer_BE, mask_BT, inverse)
            log_det_B = log_det_B + added_B
            if not inverse:
                x_BDT = x_BDT.flip(1)
        return x_BDT, log_det_B


class Coupling(nn.Module):
    """One of them, without the flip; begins as the identity."""

    def __init__(self, half: int, singer: int, config: CouplingConfig) -> None:
        super().__init__()
        self.scales = config.scales
        self.normal = nn.Linear(singer, 4 * half)
        self.enter = nn.Conv1d(half, config.width, 1)
        self.body = WaveNet(config.width, config.layers, config.kernel, singer if config.told_singer else 0)
        self.leave = nn.Conv1d(config.width, half * (2 if config.scales else 1), 1)
        for layer in (self.normal, self.leave):
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, x_BDT: Tensor, singer_BE: Tensor, mask_BT: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        mask_B1T = x_BDT.new_ones(len(x_BDT), 1, x_BDT.shape[2]) if mask_BT is None else mask_BT[:, None].float()
        # Shifts and scales in fp32, or the way back would not lead back.
        mean0, log_scale0, mean1, log_scale1 = self.normal(singer_BE).float()[..., None].chunk(4, dim=1)
        log_scale0, log_scale1 = _bounded(log_scale0), _bounded(log_scale1)
        x0_BHT, x1_BHT = x_BDT.chunk(2, dim=1)
        y_BCT = self.body(self.enter((x0_BHT - mean0) * (-log_scale0).exp() * mask_B1T), singer_BE, mask_BT)
        told_BCT = self.leave(y_BCT).float()
        shift_BHT, scale_BHT = told_BCT, torch.zeros_like(told_BCT)
        if self.scales:
            shift_BHT, scale_BHT = told_BCT.chunk(2, dim=1)
            scale_BHT = _bounded(scale_BHT)
        log_gain_BHT = (scale_BHT - log_scale1) * mask_B1T
        if inverse:
            x1_BHT = ((x1_BHT - shift_BHT) * (-log_gain_BHT).exp() + mean1) * mask_B1T
        else:
            x1_BHT = ((x1_BHT - mean1) * log_gain_BHT.exp() + shift_BHT) * mask_B1T
        log_det_B = log_gain_BHT.sum((1, 2))
        return torch.cat([x0_BHT, x1_BHT], dim=1), -log_det_B if inverse else log_det_B


def _bounded(log_scale: Tensor) -> Tensor:
    return _MOST * torch.tanh(log_scale / _MOST)
