"""Times and positions -> rotations of queries and keys (RoPE), and -> a learned embedding of a moment.

Positions are continuous: a word at 1.37 s, a column of the accompaniment and a token of the voice stand on one axis, so
a head can look "where I am now" whatever the rates of the two sides.

Shapes: B clips, T places, W head width, D width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from autosing.nn.mup import Linear, Tunables, vector


class Rotation(NamedTuple):
    """cos and signed sin of each place's angles, [B or 1, T, 1 or 2, 1, W]: fits x_BTnHW."""

    cos: Tensor
    sin: Tensor

    def at(self, first: int, count: int) -> "Rotation":
        """The places first .. first + count."""
        return Rotation(self.cos[:, first : first + count], self.sin[:, first : first + count])

    def to(self, dtype: torch.dtype) -> "Rotation":
        return Rotation(self.cos.to(dtype), self.sin.to(dtype))


def rotation(positions_BT: Tensor, head_width: int, base: float = 10_000.0) -> Rotation:
    """RoPE (arXiv:2104.09864) at any real positions, in fp32."""
    half = head_width // 2
    speed_H = base ** (-torch.arange(half, device=positions_BT.device, dtype=torch.float32) / half)
    angle = positions_BT.float()[:, :, None, None, None] * speed_H
    cos, sin = angle.cos(), angle.sin()
    return Rotation(torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1))


def pair(text: Rotation, music: Rotation) -> Rotation:
    """Two rotations of one axis, as the two cross-attentions' queries want them: [B, T, 2, 1, W]."""
    cos = torch.cat(torch.broadcast_tensors(text.cos, music.cos), dim=2)
    return Rotation(cos, torch.cat(torch.broadcast_tensors(text.sin, music.sin), dim=2))


def unrotated_where(untimed_B: Tensor, turn: Rotation) -> Rotation:
    """No rotation for clips whose text has no times: their bytes are then looked at by content alone."""
    flags = untimed_B[:, None, None, None, None]
    return Rotation(turn.cos.masked_fill(flags, 1.0), turn.sin.masked_fill(flags, 0.0))


def rotate(x_BTnHW: Tensor, turn: Rotation) -> Tensor:
    """Each half's pair of channels turned by its angle."""
    half = x_BTnHW.shape[-1] // 2
    return torch.addcmul(x_BTnHW * turn.cos, x_BTnHW.roll(half, -1), turn.sin)


class TimeEmbedding(nn.Module):
    """time_s -> x_D: sinusoids of periods from 0.1 s to 100 s, projected; one learned null token where it is negative (not known)."""

    def __init__(self, width: int, tunables: Tunables, features: int = 64) -> None:
        super().__init__()
        self.num_speeds = features // 2
        self.project = Linear(features, width, tunables, tunables.projector_lr_scale)
        self.null_D = vector(width, tunables)

    def forward(self, time_s_BT: Tensor) -> Tensor:
        speed_F = 2 * torch.pi / torch.logspace(-1, 2, self.num_speeds, device=time_s_BT.device)
        angle_BTF = time_s_BT.float().clamp(min=0.0)[..., None] * speed_F
        features_BTF = torch.cat([angle_BTF.sin(), angle_BTF.cos()], -1).to(self.null_D.dtype)
        return torch.where((time_s_BT < 0)[..., None], self.null_D, self.project(features_BTF))
