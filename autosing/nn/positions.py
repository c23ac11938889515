"""Times and positions -> rotations of queries and keys (RoPE), and -> a learned embedding of a time.

Positions are continuous: a word at 1.37 s, a column of the accompaniment and a token of the voice lie on one axis, so a
head can attend to its own time, whatever the rates of the two sides.

Shapes: B clips, T places, n kinds of vector, H heads (of a turn: half a head), W head width, D width.
"""

import torch
from torch import Tensor, nn

from autosing.nn.mup import Linear, Tunables, vector


def rotation(positions_BT: Tensor, head_width: int, base: float = 10_000.0) -> Tensor:
    """turn_BT11H (complex64, H half a head): RoPE (arXiv:2104.09864) at any real positions, for x_BTnHW."""
    half = head_width // 2
    speed_H = base ** (-torch.arange(half, device=positions_BT.device, dtype=torch.float32) / half)
    angle = positions_BT.float()[:, :, None, None, None] * speed_H
    return torch.polar(torch.ones_like(angle), angle)


def side_by_side(*turns: Tensor) -> Tensor:
    """Rotations of several kinds at the same places: turn_BTn1H."""
    return torch.cat(torch.broadcast_tensors(*turns), dim=2)


def unrotated_where(untimed_B: Tensor, turn: Tensor) -> Tensor:
    """No rotation for clips whose text has no times, so that their bytes are attended to by content alone."""
    return torch.where(untimed_B[:, None, None, None, None], torch.ones((), dtype=turn.dtype, device=turn.device), turn)


def rotate(x_BTnHW: Tensor, turn: Tensor) -> Tensor:
    """Neighbouring channels, as one complex number, rotated by their angle; in fp32, whatever the type of x."""
    pairs = torch.view_as_complex(x_BTnHW.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2).to(x_BTnHW.dtype)


class TimeEmbedding(nn.Module):
    """time_s -> x_D: sinusoids with periods from 0.1 to 100 s, projected; a null token where negative (not known)."""

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
