"""x_BDT -> x_BDT: ConvNeXt blocks along time, as in Vocos (arXiv:2306.00814), with an even receptive field.

Shapes: B clips, D width, T frames.
"""

import torch
from torch import Tensor, nn


class ConvNeXt(nn.Module):
    """Input convolution, blocks, final norm: in_channels -> width. Receptive field 1 + 6 * (blocks + 1) frames.

    Frames beyond the mask are not seen by those before; what is made of them means nothing.
    """

    def __init__(self, in_channels: int, width: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Conv1d(in_channels, width, 7, padding=3)
        self.norm_in = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(ConvNeXtBlock(width, hidden, 1.0 / blocks) for _ in range(blocks))
        self.norm_out = nn.LayerNorm(width)

    def forward(self, x_BCT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        mask_B1T = None if mask_BT is None else mask_BT[:, None].to(x_BCT.dtype)
        x_BDT = self.norm_in(self.enter(_kept(x_BCT, mask_B1T)).mT).mT
        for block in self.blocks:
            x_BDT = block(x_BDT, mask_B1T)
        return self.norm_out(x_BDT.mT).mT


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, then a two-layer perceptron on each frame; a residual with a learned gain."""

    def __init__(self, width: int, hidden: int, gain: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.gain = nn.Parameter(torch.full((width,), gain))

    def forward(self, x_BDT: Tensor, mask_B1T: Tensor | None = None) -> Tensor:
        y_BTD = self.norm(self.depthwise(_kept(x_BDT, mask_B1T)).mT)
        y_BTD = self.down(nn.functional.gelu(self.up(y_BTD))) * self.gain
        return x_BDT + y_BTD.mT


def _kept(x_BDT: Tensor, mask_B1T: Tensor | None) -> Tensor:
    return x_BDT if mask_B1T is None else x_BDT * mask_B1T.to(x_BDT.dtype)
