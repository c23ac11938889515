"""The estimator of Grad-TTS and Grad-SVC: a U-Net on the mel spectrogram as an image.

    prior mean, x_t, singer (three channels) -> levels of 1, 1/2, 1/4 the size, down and up again -> estimate

Popov et al. 2021, arXiv:2105.06337, section 3 and appendix; sizes of Grad-SVC V2-96: 16.87 M numbers, 18.11 GMAC for a
second of 100 frames. Grad-SVC's norms and attention include padded frames; these do not.

Shapes: B clips, D mel bands, T frames, C channels, M bands at a level, E singer's vector, H heads, W head width.
"""

import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.config import Config
from autosing.nn.masked import MaskedGroupNorm


class UNetConfig(Config):
    """Grad-SVC's sizes; `width` 64 is its smaller model."""

    bands: int = Field(default=100, ge=4, multiple_of=4)
    width: int = Field(default=96, ge=8, multiple_of=8)
    singer: int = Field(default=64, ge=0)
    """Width of the singer's vector; 0: no singer."""
    heads: int = Field(default=4, ge=1)
    head_width: int = Field(default=32, ge=1)
    time_scale: float = 1000.0
    """Factor on times from 0 to 1 before the sinusoids."""


class UNet(nn.Module):
    """(x_BDT, t_B, prior_BDT, singer_BE) -> estimate_BDT. Frames outside the mask are not used, and are 0."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        widths = (width, 2 * width, 4 * width)
        self.singer = nn.Sequential(nn.Linear(config.singer, 256), nn.Mish(), nn.Linear(256, config.bands))
        if not config.singer:
            self.singer = nn.Sequential()
        self.time = nn.Sequential(nn.Linear(width, 4 * width), nn.Mish(), nn.Linear(4 * width, width))
        entering = (3 if config.singer else 2, *widths[:-1])
        self.down = nn.ModuleList(Level(a, b, config) for a, b in zip(entering, widths, strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(size, size, 3, 2, 1) for size in widths[:-1])
        self.middle = Level(widths[-1], widths[-1], config, attend_between=True)
        self.up = nn.ModuleList(Level(2 * b, a, config) for a, b in zip(widths[1::-1], widths[:0:-1], strict=True))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(size, size, 4, 2, 1) for size in widths[1::-1])
        self.last = Block(width, width)
        self.out = nn.Conv2d(width, 1, 1)

    def forward(
        self,
        x_BDT: Tensor,
        t_B: Tensor,
        prior_BDT: Tensor,
        singer_BE: Tensor | None = None,
        mask_BT: Tensor | None = None,
    ) -> Tensor:
        frames = x_BDT.shape[2]
        pictures = [prior_BDT, x_BDT]
        if singer_BE is not None:
            pictures.append(self.singer(singer_BE)[:, :, None].expand_as(x_BDT))
        x_BCMT = F.pad(torch.stack(pictures, dim=1), (0, -frames % 4))
        if mask_BT is None and frames % 4:
            mask_BT = torch.ones(len(x_BDT), frames, dtype=torch.bool, device=x_BDT.device)
        time_BC = self.time(sinusoids(self.config.time_scale * t_B, self.config.width))
        masks = _halved(None if mask_BT is None else F.pad(mask_BT, (0, -frames % 4)))
        skipped = []
        for i, level in enumerate(self.down):
            x_BCMT = level(x_BCMT, time_BC, masks[i])
            skipped.append(x_BCMT)
            if i < len(self.shrink):
                x_BCMT = _masked(self.shrink[i](x_BCMT), masks[i + 1])
        x_BCMT = self.middle(x_BCMT, time_BC, masks[-1])
        for i, (level, grow) in enumerate(zip(self.up, self.grow, strict=True)):
            x_BCMT = level(torch.cat([x_BCMT, skipped.pop()], dim=1), time_BC, masks[-1 - i])
            x_BCMT = _masked(grow(x_BCMT), masks[-2 - i])
        y_BMT: Tensor = _masked(self.out(self.last(x_BCMT, masks[0])), masks[0])[:, 0]
        return y_BMT[..., :frames]


class Level(nn.Module):
    """Two residual blocks and attention over the whole image, after them or (in the middle) between them."""

    def __init__(self, in_width: int, width: int, config: UNetConfig, attend_between: bool = False) -> None:
        super().__init__()
        self.attend_between = attend_between
        self.first = Residual(in_width, width, config.width)
        self.attention = LinearAttention(width, config.heads, config.head_width)
        self.second = Residual(width, width, config.width)

    def forward(self, x_BCMT: Tensor, time_BC: Tensor, mask_BT: Tensor | None) -> Tensor:
        x_BCMT = self.first(x_BCMT, time_BC, mask_BT)
        if self.attend_between:
            x_BCMT = self.attention(x_BCMT, mask_BT)
        x_BCMT = self.second(x_BCMT, time_BC, mask_BT)
        return x_BCMT if self.attend_between else self.attention(x_BCMT, mask_BT)


class Block(nn.Module):
    """3 x 3 convolution, group norm, Mish."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, width, 3, padding=1)
        self.norm = MaskedGroupNorm(8, width)

    def forward(self, x_BCMT: Tensor, mask_BT: Tensor | None) -> Tensor:
        return F.mish(self.norm(self.conv(_masked(x_BCMT, mask_BT)), mask_BT))


class Residual(nn.Module):
    """Two blocks with the time added between them, and a skip connection."""

    def __init__(self, in_width: int, width: int, time_width: int) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Mish(), nn.Linear(time_width, width))
        self.first, self.second = Block(in_width, width), Block(width, width)
        self.straight = nn.Conv2d(in_width, width, 1) if in_width != width else nn.Identity()

    def forward(self, x_BCMT: Tensor, time_BC: Tensor, mask_BT: Tensor | None) -> Tensor:
        y_BCMT = self.first(x_BCMT, mask_BT) + self.time(time_BC)[:, :, None, None]
        return _masked(self.second(y_BCMT, mask_BT) + self.straight(x_BCMT), mask_BT)


class LinearAttention(nn.Module):
    """For each head, keys (softmax over all places) weigh the values into one W x W matrix, which is applied to the
    queries. The cost is linear in the number of places (Shen et al. 2018, arXiv:1812.01243). The gain starts at 0."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries_keys_values = nn.Conv2d(width, 3 * heads * head_width, 1, bias=False)
        self.project = nn.Conv2d(heads * head_width, width, 1)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x_BCMT: Tensor, mask_BT: Tensor | None) -> Tensor:
        bands, frames = x_BCMT.shape[2:]
        queries, keys, values = self.queries_keys_values(x_BCMT).unflatten(1, (3, self.heads, -1)).unbind(1)
        if mask_BT is not None:
            keys = keys.masked_fill(~mask_BT[:, None, None, None], torch.finfo(keys.dtype).min)
        weights_BHWP = keys.flatten(3).softmax(-1)
        table_BHWW = weights_BHWP @ values.flatten(3).mT
        read_BHWP = table_BHWW.mT @ queries.flatten(3)
        y_BCMT = self.project(read_BHWP.flatten(1, 2).unflatten(2, (bands, frames)))
        return _masked(x_BCMT + self.gain * y_BCMT, mask_BT)


def sinusoids(position_B: Tensor, width: int, longest: float = 10_000.0) -> Tensor:
    """features_BC: sines and cosines of wavelengths from 2 pi to 2 pi * `longest`, in geometric steps."""
    half = width // 2
    speed_C = torch.exp(torch.arange(half, device=position_B.device) * (-math.log(longest) / (half - 1)))
    angle_BC = position_B[:, None] * speed_C.to(position_B.dtype)
    return torch.cat([angle_BC.sin(), angle_BC.cos()], dim=1)


def _halved(mask_BT: Tensor | None) -> list[Tensor | None]:
    """The mask of each level, fine to coarse."""
    return [None] * 3 if mask_BT is None else [mask_BT, mask_BT[:, ::2], mask_BT[:, ::4]]


def _masked(x_BCMT: Tensor, mask_BT: Tensor | None) -> Tensor:
    return x_BCMT if mask_BT is None else x_BCMT * mask_BT[:, None, None].to(x_BCMT.dtype)
