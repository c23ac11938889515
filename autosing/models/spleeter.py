"""A stereo song -> its vocals, by Spleeter's two U-Nets (Hennequin et al. 2020): one draws each stem's magnitude.

Shapes: C = 2 channels, S samples at 44.1 kHz, B patches, T = 512 frames a patch, K = 1024 bins below 11 kHz, W width.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SAMPLE_RATE_HZ = 44_100
_WINDOW = 4096
_HOP = 1024
_FRAMES = 512
_BINS = 1024
_WIDTHS = (16, 32, 64, 128, 256, 512)
_TOP_BINS = 128
"""The mask above 11 kHz, which the networks do not see, is its mean over this many bins below."""


class Spleeter(nn.Module):
    """mix_CS -> vocals_CS, equally long. Memory is bounded by `patches_at_once` (12 s each), not by the song."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.vocals, self.accompaniment = UNet(), UNet()
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)

    def forward(self, mix_CS: Tensor, patches_at_once: int = 1) -> Tensor:
        num_samples = mix_CS.shape[1]
        num_frames = num_samples // _HOP + 1
        whole = (num_frames - 1) * _HOP + _WINDOW
        padded_CS = F.pad(mix_CS, (_WINDOW // 2, whole - num_samples - _WINDOW // 2))
        out_CS, weight_1S = torch.zeros_like(padded_CS), padded_CS.new_zeros(1, whole)
        for first in range(0, num_frames, _FRAMES * patches_at_once):
            count = min(_FRAMES * patches_at_once, num_frames - first)
            span = slice(first * _HOP, (first + count - 1) * _HOP + _WINDOW)
            frames_CTN = padded_CS[:, span].unfold(1, _WINDOW, _HOP) * self.window
            spectrum_CTM = torch.fft.rfft(frames_CTN)
            mask_CTM = self.mask(spectrum_CTM[..., :_BINS].abs())
            vocals_CTN = torch.fft.irfft(spectrum_CTM * mask_CTM) * self.window
            _overlap_add(out_CS[:, span], vocals_CTN)
            _overlap_add(weight_1S[:, span], (self.window**2).expand(1, count, _WINDOW))
        kept = slice(_WINDOW // 2, _WINDOW // 2 + num_samples)
        return out_CS[:, kept] / weight_1S[:, kept]

    def mask(self, magnitude_CTK: Tensor) -> Tensor:
        """The share of the vocals in every bin of the whole spectrum, 0..1: v^2 / (v^2 + a^2)."""
        channels, num_frames, _ = magnitude_CTK.shape
        padded_CTK = F.pad(magnitude_CTK, (0, 0, 0, -num_frames % _FRAMES))
        patches_BCTK = padded_CTK.unflatten(1, (-1, _FRAMES)).transpose(0, 1)
        patches_BCTK = patches_BCTK.contiguous(memory_format=torch.channels_last)
        vocals, rest = self.vocals(patches_BCTK) ** 2, self.accompaniment(patches_BCTK) ** 2
        ratio_BCTK = (vocals + 0.5e-10) / (vocals + rest + 1e-10)
        ratio_CTK = ratio_BCTK.transpose(0, 1).reshape(channels, -1, _BINS)[:, :num_frames]
        above = ratio_CTK[..., -_TOP_BINS:].mean(-1, keepdim=True)
        return torch.cat([ratio_CTK, above.expand(-1, -1, _WINDOW // 2 + 1 - _BINS)], dim=-1)


class UNet(nn.Module):
    """magnitude_BCTK -> one stem's magnitude_BCTK. Skips leave before the norm, as the published weights want it."""

    def __init__(self) -> None:
        super().__init__()
        ups = [*_WIDTHS[-2::-1], 1]
        self.down = nn.ModuleList(Down(a, b) for a, b in zip((2, *_WIDTHS), _WIDTHS, strict=False))
        self.up = nn.ModuleList(Up(a, b) for a, b in zip((512, 512, 256, 128, 64, 32), ups, strict=True))
        self.out = nn.Conv2d(1, 2, kernel_size=4, dilation=2, padding=3)

    def forward(self, magnitude_BCTK: Tensor) -> Tensor:
        x, skips = magnitude_BCTK, []
        for down in self.down:
            skip, x = down(x)
            skips.append(skip)
        x = skips.pop()
        for depth, up in enumerate(self.up):
            x = up(x if depth == 0 else torch.cat([skips.pop(), x], dim=1))
        return self.out(x).sigmoid() * magnitude_BCTK


class Down(nn.Module):
    """x -> (the convolution at half the size, the same normed)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size=5, stride=2)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skip = self.conv(F.pad(x, (1, 2, 1, 2)))
        return skip, F.leaky_relu(self.norm(skip), 0.2)


class Up(nn.Module):
    """x -> twice the size. The norm follows the ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, kernel_size=5, stride=2)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.relu(self.conv(x)[:, :, 1:-2, 1:-2]))


@functools.cache
def load_spleeter(device: str = "cpu") -> Spleeter:
    """The published two-stem weights, loaded once a process. Raises InputError where they cannot be had."""
    from safetensors.torch import load_file

    from autosing.pretrained import fetch

    model = Spleeter()
    model.load_state_dict(load_file(fetch("spleeter-2stems")))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a tenth faster on a CPU
    return model.to(device).eval().requires_grad_(False)


def _overlap_add(out_CS: Tensor, frames_CTN: Tensor) -> None:
    """Add frames, `_HOP` apart, onto out_CS in place: a window is four hops, so four shifted runs of hops."""
    count = frames_CTN.shape[1]
    for part, hops_CTH in enumerate(frames_CTN.split(_HOP, dim=2)):
        out_CS[:, part * _HOP : (part + count) * _HOP] += hops_CTH.reshape(out_CS.shape[0], -1)
