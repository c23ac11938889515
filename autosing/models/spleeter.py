"""A stereo song -> its vocals, by Spleeter's two U-Nets (Hennequin et al. 2020): one draws each stem's magnitude.

The published networks depend on level and hardly know low voices. So a song is scaled to one level and separated twice,
as it is and resampled to play faster, and the two results are joined. benchmarks/quality/separation.py measures the
gain.

Shapes: C = 2 channels, S samples at 44.1 kHz, B patches, T frames of 1024 samples (512 a patch), N = 4096 samples a
window, M = 2049 bins, K = 1024 bins below 11 kHz, which the networks see.
"""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosing.audio.blocks import Blocks, Tape, fork, padded, resampled
from autosing.clock import in_model

_WINDOW = 4096
_HOP = 1024
_FRAMES = 512
_BINS = 1024
_WIDTHS = (16, 32, 64, 128, 256, 512)
_TOP_BINS = 128
"""Above 11 kHz, which the networks do not cover, the mask is its mean over so many bins below."""
_LEVEL = 10 ** (-8 / 20)
"""The RMS of loud pop records, on which the networks were trained."""
_FASTER = (3, 2)
"""The second version is played faster by this ratio: a low voice is then a fifth higher."""


class Spleeter(nn.Module):
    """Blocks of a song -> blocks of its vocals. Memory is bounded by `patches_at_once` (12 s each)."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.vocals, self.accompaniment = UNet(), UNet()
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)

    def forward(self, mix_CS: Tensor, patches_at_once: int = 1) -> Tensor:
        """mix_CS -> vocals_CS of the same length, for a song in memory."""
        rms = float(mix_CS.double().square().mean().sqrt())
        vocals = self.stream(iter([mix_CS.cpu().numpy()]), mix_CS.shape[1], rms, patches_at_once)
        return torch.from_numpy(np.concatenate(list(vocals), axis=1)).to(mix_CS.device)

    def stream(self, mix: Blocks, num_samples: int, rms: float, patches_at_once: int = 1) -> Blocks:
        """Blocks of a song of `num_samples` and of that RMS -> blocks of its vocals, with as many samples in total."""
        level = _LEVEL / max(rms, 1e-6)
        block = _FRAMES * patches_at_once

        def sung(spectrum_CTM: Tensor) -> Tensor:
            return spectrum_CTM * self.mask(level * spectrum_CTM[..., :_BINS].abs())

        slow, fast = fork(mix)  # half a patch lies between them
        num_fast = round(num_samples * _FASTER[1] / _FASTER[0])
        plain = self.through_spectrum(sung, block, num_samples, slow)
        fast = self.through_spectrum(sung, block, num_fast, resampled(fast, *_FASTER, num_fast))
        fast = resampled(fast, _FASTER[1], _FASTER[0], num_samples)
        return self.through_spectrum(join, block, num_samples, plain, fast)

    @torch.inference_mode()
    def through_spectrum(
        self, change: Callable[..., Tensor], block: int, num_samples: int, *signals: Blocks
    ) -> Iterator[np.ndarray]:
        """Signals of one length -> their spectra_CTM, `block` frames at a time -> change -> one of them -> blocks."""
        num_frames = num_samples // _HOP + 1
        edge, overlap = _WINDOW // 2, _WINDOW - _HOP
        tapes = [Tape(padded(x, edge, edge - num_samples % _HOP)) for x in signals]
        out_CS, weight_1S = self.window.new_zeros(2, overlap), self.window.new_zeros(1, overlap)
        for first in range(0, num_frames, block):
            count = min(block, num_frames - first)
            spans = [torch.from_numpy(tape.look((count - 1) * _HOP + _WINDOW)) for tape in tapes]
            with in_model():
                spectra = [
                    torch.fft.rfft(x_CS.to(self.window.device).unfold(1, _WINDOW, _HOP) * self.window) for x_CS in spans
                ]
                out_CS = F.pad(out_CS, (0, spans[0].shape[1] - overlap))
                weight_1S = F.pad(weight_1S, (0, spans[0].shape[1] - overlap))
                _overlap_add(out_CS, torch.fft.irfft(change(*spectra)) * self.window)
                _overlap_add(weight_1S, (self.window**2).expand(1, count, _WINDOW))
                last = first + count == num_frames
                done = edge + num_samples - first * _HOP if last else count * _HOP
                start = edge if first == 0 else 0
                found_CS = (out_CS[:, start:done] / weight_1S[:, start:done]).cpu().numpy()
                out_CS, weight_1S = out_CS[:, -overlap:], weight_1S[:, -overlap:]
            for tape in tapes:
                tape.skip(count * _HOP)
            yield found_CS

    def mask(self, magnitude_CTK: Tensor) -> Tensor:
        """The share of the vocals in every bin of the whole spectrum, mask_CTM 0..1: v^2 / (v^2 + a^2)."""
        channels, num_frames, _ = magnitude_CTK.shape
        padded_CTK = F.pad(magnitude_CTK, (0, 0, 0, -num_frames % _FRAMES))
        patches_BCTK = padded_CTK.unflatten(1, (-1, _FRAMES)).transpose(0, 1)
        patches_BCTK = patches_BCTK.contiguous(memory_format=torch.channels_last)
        vocals, rest = self.vocals(patches_BCTK) ** 2, self.accompaniment(patches_BCTK) ** 2
        ratio_BCTK = (vocals + 0.5e-10) / (vocals + rest + 1e-10)
        ratio_CTK = ratio_BCTK.transpose(0, 1).reshape(channels, -1, _BINS)[:, :num_frames]
        above = ratio_CTK[..., -_TOP_BINS:].mean(-1, keepdim=True)
        return torch.cat([ratio_CTK, above.expand(-1, -1, _WINDOW // 2 + 1 - _BINS)], dim=-1)


def join(one_CTM: Tensor, other_CTM: Tensor) -> Tensor:
    """Two estimates of the vocals' spectrum -> one: their mean, each weighted by its magnitude.

    Where one version does not detect a voice, the plain mean would halve it.
    """
    one_weight, other_weight = one_CTM.abs() + 1e-8, other_CTM.abs() + 1e-8
    return (one_CTM * one_weight + other_CTM * other_weight) / (one_weight + other_weight)


class UNet(nn.Module):
    """magnitude_BCTK -> one stem's magnitude_BCTK. Skips branch off before the norm, as in the published weights."""

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
    """The published two-stem weights, loaded once per process. Raises InputError if they are missing."""
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
