"""x_BDT -> x_BDT: a transformer along time whose heads look so far and no further, with relative or turned positions.

What a frame is told then does not depend on how long a stretch it is looked at in, so a model that learnt from crops
of a second sings chunks of ten, and padding and neighbours in a batch change nothing.

    relative    learned vectors for offsets within a window, on keys and values (Shaw et al. 2018, arXiv:1803.02155,
                equations 3 and 4), shared by the heads, as in VITS
    rotary      queries and keys turned by their position (RoPE, Su et al. 2021, arXiv:2104.09864)

Shapes: B clips, D width, T frames, H heads, W head width, O = 2 * window + 1 offsets.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.config import Config
from autosing.errors import InputError

Turn = tuple[Tensor, Tensor]
"""Cosines and sines [T, 1, 1, W / 2] of the angles by which pairs of channels are turned."""


class LocalEncoderConfig(Config):
    """The default sizes are those of so-vits-svc 5.0's prior encoder."""

    width: int = Field(default=192, ge=4)
    heads: int = Field(default=2, ge=1)
    layers: int = Field(default=6, ge=1)
    hidden: int = Field(default=640, ge=1)
    """Of the two convolutions that follow attention."""
    kernel: int = Field(default=3, ge=1)
    positions: Literal["relative", "rotary"] = "relative"
    window: int = Field(default=4, ge=1)
    """Offsets that relative positions tell apart; those beyond have none."""
    reach: int = Field(default=32, ge=0)
    """Frames to each side that a head looks at; 0: all."""
    dropout: float = Field(default=0.1, ge=0, lt=1)

    def model_post_init(self, _: object) -> None:
        if self.width % (2 * self.heads) or self.kernel % 2 == 0:
            raise InputError(
                f"encoder: width {self.width}, heads {self.heads}, kernel {self.kernel}; need heads of an even width, "
                "and an odd kernel"
            )


class LocalEncoder(nn.Module):
    """Norm after each part (Vaswani 2017), as in VITS. Frames beyond the mask are neither seen nor made."""

    def __init__(self, config: LocalEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))

    def forward(self, x_BDT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        frames, device = x_BDT.shape[2], x_BDT.device
        if mask_BT is None:
            mask_BT = torch.ones(len(x_BDT), frames, dtype=torch.bool, device=device)
        at_T = torch.arange(frames, device=device)
        away_TT = at_T[None] - at_T[:, None]
        seen_TT = away_TT.abs() <= self.config.reach if self.config.reach else torch.ones_like(away_TT).bool()
        # A frame of the padding sees itself, so that its softmax is finite.
        seen_B1TT = (seen_TT & mask_BT[:, None] | (away_TT == 0))[:, None]
        turn = _turn(at_T, self.config.width // self.config.heads)
        mask_B1T = mask_BT[:, None].to(x_BDT.dtype)
        x_BDT = x_BDT * mask_B1T
        for block in self.blocks:
            x_BDT = block(x_BDT, mask_B1T, seen_B1TT, away_TT, turn)
        return x_BDT


class _Block(nn.Module):
    def __init__(self, config: LocalEncoderConfig) -> None:
        super().__init__()
        self.attention = LocalAttention(config)
        self.up = nn.Conv1d(config.width, config.hidden, config.kernel, padding=config.kernel // 2)
        self.down = nn.Conv1d(config.hidden, config.width, config.kernel, padding=config.kernel // 2)
        self.norm_attention, self.norm_convs = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BDT: Tensor, mask_B1T: Tensor, seen_B1TT: Tensor, away_TT: Tensor, turn: Turn) -> Tensor:
        y_BTD = self.attention(x_BDT.mT, seen_B1TT, away_TT, turn)
        x_BDT = self.norm_attention(x_BDT.mT + self.dropout(y_BTD)).mT * mask_B1T
        y_BDT = self.down(self.dropout(F.relu(self.up(x_BDT))) * mask_B1T)
        return self.norm_convs((x_BDT + self.dropout(y_BDT)).mT).mT * mask_B1T


class LocalAttention(nn.Module):
    """x_BTD -> x_BTD."""

    def __init__(self, config: LocalEncoderConfig) -> None:
        super().__init__()
        self.heads, self.window = config.heads, config.window
        self.qkv, self.out = nn.Linear(config.width, 3 * config.width), nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.keys_OW = self.values_OW = None
        if config.positions == "relative":
            head_width = config.width // config.heads
            spread = head_width**-0.5
            self.keys_OW = nn.Parameter(spread * torch.randn(2 * config.window + 1, head_width))
            self.values_OW = nn.Parameter(spread * torch.randn(2 * config.window + 1, head_width))

    def forward(self, x_BTD: Tensor, seen_B1TT: Tensor, away_TT: Tensor, turn: Turn) -> Tensor:
        clips, frames, _ = x_BTD.shape
        qkv_BT3HW = self.qkv(x_BTD).view(clips, frames, 3, self.heads, -1)
        if self.keys_OW is None:
            qk_BT2HW, v_BTHW = _turned(qkv_BT3HW[:, :, :2], turn), qkv_BT3HW[:, :, 2]
            q_BHTW, k_BHTW = qk_BT2HW.permute(2, 0, 3, 1, 4)
            drop = self.dropout.p if self.training else 0.0
            y_BHTW = F.scaled_dot_product_attention(q_BHTW, k_BHTW, v_BTHW.transpose(1, 2), seen_B1TT, drop)
        else:
            q_BHTW, k_BHTW, v_BHTW = qkv_BT3HW.permute(2, 0, 3, 1, 4)
            y_BHTW = self._relative(q_BHTW, k_BHTW, v_BHTW, seen_B1TT, away_TT)
        return self.out(y_BHTW.transpose(1, 2).flatten(2))

    def _relative(self, q_BHTW: Tensor, k_BHTW: Tensor, v_BHTW: Tensor, seen_B1TT: Tensor, away_TT: Tensor) -> Tensor:
        assert self.keys_OW is not None and self.values_OW is not None
        q_BHTW = q_BHTW * q_BHTW.shape[-1] ** -0.5
        near_TT = away_TT.abs() <= self.window
        offset_TT = (away_TT + self.window).clamp(0, 2 * self.window)
        by_offset_BHTO = q_BHTW @ self.keys_OW.mT.to(q_BHTW.dtype)
        there = offset_TT.expand(*q_BHTW.shape[:2], -1, -1)
        score_BHTT = q_BHTW @ k_BHTW.mT + by_offset_BHTO.gather(3, there).masked_fill(~near_TT, 0.0)
        share_BHTT = self.dropout(score_BHTT.float().masked_fill(~seen_B1TT, float("-inf")).softmax(3))
        share_BHTT = share_BHTT.to(v_BHTW.dtype)
        at_T = torch.arange(away_TT.shape[0], device=away_TT.device)
        place_TO = at_T[:, None] + torch.arange(-self.window, self.window + 1, device=away_TT.device)
        inside_TO = (place_TO >= 0) & (place_TO < away_TT.shape[0])
        where = place_TO.clamp(0, away_TT.shape[0] - 1).expand(*q_BHTW.shape[:2], -1, -1)
        share_BHTO = share_BHTT.gather(3, where).masked_fill(~inside_TO, 0.0)
        return share_BHTT @ v_BHTW + share_BHTO @ self.values_OW.to(v_BHTW.dtype)


def _turn(at_T: Tensor, head_width: int, base: float = 10_000.0) -> Turn:
    """As autosing.nn.positions.rotation, in real numbers, which ONNX knows."""
    half = head_width // 2
    speed_H = base ** (-torch.arange(half, device=at_T.device, dtype=torch.float32) / half)
    angle_T11H = at_T.float()[:, None, None, None] * speed_H
    return angle_T11H.cos(), angle_T11H.sin()


def _turned(x_BTnHW: Tensor, turn: Turn) -> Tensor:
    """Neighbouring channels turned; in fp32, whatever the type of x."""
    cosine, sine = turn
    even, odd = x_BTnHW.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(-2).to(x_BTnHW.dtype)
