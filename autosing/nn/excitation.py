"""f0 -> the two sounds that a voice is shaped from: a train of pulses, and noise. Both have power one.

Shapes: B clips, F frames, S = F * hop samples.
"""

import math

import torch
from torch import Tensor

_NOISE_SAMPLES = 1 << 16
"""The noise repeats after so many samples (2.7 s at 24 kHz), so that every clip and every call has the same."""


def fill_gaps(f0_hz_BF: Tensor) -> Tensor:
    """0 (unvoiced) becomes the nearest voiced value before, else after; all-unvoiced clips become 100 Hz."""
    index_F = torch.arange(f0_hz_BF.shape[1], device=f0_hz_BF.device)
    last_BF = torch.where(f0_hz_BF > 0, index_F, -1).cummax(1).values
    first_B = torch.where(f0_hz_BF > 0, index_F, len(index_F)).amin(1).clamp(max=len(index_F) - 1)
    held_BF = f0_hz_BF.gather(1, torch.where(last_BF >= 0, last_BF, first_B[:, None]))
    return torch.where(held_BF > 0, held_BF, 100.0)


def pulses(f0_hz_BF: Tensor, hop_samples: int, sample_rate_hz: int) -> Tensor:
    """pulses_BS: every harmonic below half the sample rate, in cosine phase; silent where f0 is 0.

    The sum over k of cos(k phase) in closed form (Winham & Steiglitz 1970). f0 goes between the frames' middles in
    straight lines of log f0; the phase is summed in float64: at 24 kHz float32 would be a cent off after a minute.
    """
    voiced_BS = to_samples((f0_hz_BF > 0).float(), hop_samples)
    f0_BS = to_samples(fill_gaps(f0_hz_BF).log(), hop_samples).exp()
    phase_BS = (f0_BS.double() / sample_rate_hz).cumsum(1).remainder(1.0).float() * math.pi
    harmonics_BS = (sample_rate_hz / 2 / f0_BS).floor()
    sine_BS = phase_BS.sin()
    # Where the denominator vanishes the sum is the number of harmonics.
    ratio_BS = ((2 * harmonics_BS + 1) * phase_BS).sin() / torch.where(sine_BS.abs() < 1e-4, 1.0, sine_BS)
    sum_BS = torch.where(sine_BS.abs() < 1e-4, harmonics_BS, (ratio_BS - 1) / 2)
    return sum_BS * (2 / harmonics_BS).sqrt() * voiced_BS


def noise(num_samples: int, device: torch.device) -> Tensor:
    """noise_S, white, the same whenever asked: one seeded stretch, repeated."""
    stretch_S = torch.randn(_NOISE_SAMPLES, generator=torch.Generator().manual_seed(0))
    return stretch_S.repeat(-(-num_samples // _NOISE_SAMPLES))[:num_samples].to(device)


def to_samples(x_BF: Tensor, hop_samples: int) -> Tensor:
    """x_BS: straight lines between the middles of the frames, flat beyond the first and last."""
    return torch.nn.functional.interpolate(x_BF[:, None], scale_factor=hop_samples, mode="linear")[:, 0]


F0_FEATURES = 14


def f0_features(f0_hz_BN: Tensor) -> Tensor:
    """features_BDN of pitch: voiced or not, height, and sines of it from one turn in 12 octaves to six an octave."""
    voiced_BN = (f0_hz_BN > 0).float()
    octave_BN = torch.where(f0_hz_BN > 0, (f0_hz_BN.clamp(min=1.0) / 220).log2(), 0.0)
    turns = torch.tensor([1 / 12, 1 / 6, 1 / 3, 1, 3, 6], device=f0_hz_BN.device)
    angle_BDN = 2 * torch.pi * octave_BN[:, None] * turns[:, None]
    waves_BDN = torch.cat([angle_BDN.sin(), angle_BDN.cos()], dim=1) * voiced_BN[:, None]
    return torch.cat([voiced_BN[:, None], octave_BN[:, None], waves_BDN], dim=1)
