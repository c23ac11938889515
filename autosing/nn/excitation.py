"""f0 -> the two excitations of a voice: a train of pulses, and noise. Both have power one.

Shapes: B clips, F frames, S = F * hop samples.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

NOISE_SAMPLES = 1 << 16
"""The noise repeats after so many samples (2.7 s at 24 kHz), so that every clip and every call has the same."""


def fill_gaps(f0_hz_BF: Tensor) -> Tensor:
    """0 (unvoiced) becomes the nearest voiced value before, else after; all-unvoiced clips become 100 Hz."""
    index_F = torch.arange(f0_hz_BF.shape[1], device=f0_hz_BF.device)
    last_BF = torch.where(f0_hz_BF > 0, index_F, -1).cummax(1).values
    first_B = torch.where(f0_hz_BF > 0, index_F, len(index_F)).amin(1).clamp(max=len(index_F) - 1)
    held_BF = f0_hz_BF.gather(1, torch.where(last_BF >= 0, last_BF, first_B[:, None]))
    return torch.where(held_BF > 0, held_BF, 100.0)


def pulses(
    f0_hz_BF: Tensor,
    hop_samples: int,
    sample_rate_hz: int,
    voiced_BF: Tensor | None = None,
    turns_B: Tensor | None = None,
) -> Tensor:
    """pulses_BS: every harmonic below half the sample rate, in cosine phase; silent where unvoiced.

    Unvoiced is where f0 is 0, or what `voiced_BF` says: then f0 has no gaps. `turns_B`: the phase after the first frame
    (see `turns`; within it f0 may differ, since its neighbour is not seen); with both, a song's chunks go on from one
    another.
    The sum over k of cos(k phase) in closed form (Winham & Steiglitz 1970). log f0 is interpolated linearly between the
    frames' middles. All in float64: with float32 at 24 kHz the phase would be a cent off after a minute, and beside a
    pulse, where the closed form is a quotient of small numbers, the sound would depend on whose sine is taken.
    """
    if voiced_BF is None:
        voiced_BF, f0_hz_BF = f0_hz_BF > 0, fill_gaps(f0_hz_BF)
    voiced_BS = _exactly_to_samples(voiced_BF.double(), hop_samples)
    f0_BS = _exactly_to_samples(f0_hz_BF.double().log(), hop_samples).exp()
    turns_BS = (f0_BS / sample_rate_hz).cumsum(1)
    if turns_B is not None:
        turns_BS = turns_BS + (turns_B.double() - turns_BS[:, hop_samples - 1])[:, None]
    phase_BS = turns_BS.remainder(1.0) * math.pi
    # Below half the rate, and not on it by the last bit.
    harmonics_BS = ((1 - 1e-9) * sample_rate_hz / 2 / f0_BS).floor()
    sine_BS = phase_BS.sin()
    # Where the denominator vanishes the sum is the number of harmonics.
    vanishes_BS = sine_BS.abs() < 1e-6
    ratio_BS = ((2 * harmonics_BS + 1) * phase_BS).sin() / torch.where(vanishes_BS, torch.ones_like(sine_BS), sine_BS)
    sum_BS = torch.where(vanishes_BS, harmonics_BS, (ratio_BS - 1) / 2)
    return (sum_BS * (2 / harmonics_BS).sqrt() * voiced_BS).float()


def turns(f0_hz_F: Tensor, hop_samples: int, sample_rate_hz: int, at_once: int = 256) -> Tensor:
    """turns_F float64: the phase, in turns below one, at the last sample of each frame of a pitch without gaps.

    at_once: frames; the temporary arrays of many more leave holes in the heap, and memory grows with the song.
    """
    counts = []
    for first in range(0, len(f0_hz_F), at_once):
        start, end = max(0, first - 1), min(len(f0_hz_F), first + at_once + 1)
        f0_BS = _exactly_to_samples(f0_hz_F[start:end].double().log()[None], hop_samples).exp()
        per_frame_F = f0_BS.unflatten(1, (-1, hop_samples)).sum(2)[0] / sample_rate_hz
        counts.append(per_frame_F[first - start :][:at_once])
    return torch.cat(counts).cumsum(0).remainder(1.0)


class Begin(NamedTuple):
    """Where a chunk begins in its song: with it, the excitations of chunks go on from one another."""

    filled_hz_BF: Tensor
    """The chunk's frames of the song's pitch without gaps (`fill_gaps`)."""
    turns_B: Tensor
    """Its first frame's of `turns` over the whole song."""
    first_sample: int


def excitations(
    f0_hz_BF: Tensor, hop_samples: int, sample_rate_hz: int, begin: Begin | None = None
) -> tuple[Tensor, Tensor]:
    """(pulses_BS, noise_BS) of a whole clip or, with `begin`, of a chunk of one. f0 is 0 where unvoiced."""
    if begin is None:
        pulses_BS, first_sample = pulses(f0_hz_BF, hop_samples, sample_rate_hz), 0
    else:
        voiced_BF, first_sample = f0_hz_BF > 0, begin.first_sample
        pulses_BS = pulses(begin.filled_hz_BF, hop_samples, sample_rate_hz, voiced_BF, begin.turns_B)
    return pulses_BS, noise(pulses_BS.shape[1], pulses_BS.device, first_sample).expand_as(pulses_BS)


def noise(num_samples: int, device: torch.device, first_sample: int = 0) -> Tensor:
    """noise_S, white, the same whenever asked: one seeded stretch, repeated, from `first_sample` of a song on."""
    stretch_S = torch.randn(NOISE_SAMPLES, generator=torch.Generator().manual_seed(0))
    first = first_sample % NOISE_SAMPLES
    return stretch_S.repeat(1 + -(-num_samples // NOISE_SAMPLES))[first : first + num_samples].to(device)


def to_samples(x_BF: Tensor, hop_samples: int) -> Tensor:
    """x_BS: interpolated linearly between the middles of the frames, constant beyond the first and last."""
    return torch.nn.functional.interpolate(x_BF[:, None], scale_factor=hop_samples, mode="linear")[:, 0]


def _exactly_to_samples(x_BF: Tensor, hop_samples: int) -> Tensor:
    """`to_samples` in the type of x, by operations that ONNX has in float64, too."""
    num_frames = x_BF.shape[1]
    at_S = (torch.arange(num_frames * hop_samples, device=x_BF.device).double() + 0.5) / hop_samples - 0.5
    low_S = at_S.floor().clamp(min=0).long()
    high_S = (at_S.floor() + 1).long().clamp(max=num_frames - 1)
    share_S = (at_S - at_S.floor()).to(x_BF.dtype)
    return x_BF[:, low_S] * (1 - share_S) + x_BF[:, high_S] * share_S


F0_FEATURES = 14


def f0_features(f0_hz_BN: Tensor) -> Tensor:
    """features_BDN of pitch: voiced or not, height, and its sines from one period in 12 octaves to six per octave."""
    voiced_BN = (f0_hz_BN > 0).float()
    octave_BN = torch.where(f0_hz_BN > 0, (f0_hz_BN.clamp(min=1.0) / 220).log2(), 0.0)
    turns = torch.tensor([1 / 12, 1 / 6, 1 / 3, 1, 3, 6], device=f0_hz_BN.device)
    angle_BDN = 2 * torch.pi * octave_BN[:, None] * turns[:, None]
    waves_BDN = torch.cat([angle_BDN.sin(), angle_BDN.cos()], dim=1) * voiced_BN[:, None]
    return torch.cat([voiced_BN[:, None], octave_BN[:, None], waves_BDN], dim=1)
