"""A clip of a dataset -> a random crop of its voice at a model's rate, with the pitch at the model's frames.

Shapes: S samples, F frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autosing.audio.io import Audio, resample
from autosing.models.told import f0_at, frame_times
from autosing.schemas.sample import Sample


@dataclass(frozen=True)
class Crop:
    """Its start in the clip, its audio (silence after the clip's end) and its pitch."""

    start_s: float
    audio_S: np.ndarray
    times_s_F: np.ndarray
    """The middles of the frames, on the clip's time."""
    f0_hz_F: np.ndarray
    """0 where nobody sings."""


def crop(sample: Sample, rng: np.random.Generator, num_frames: int, hop_samples: int, sample_rate_hz: int) -> Crop:
    """`num_frames` frames of the sample's vocals, from a random moment on."""
    wanted = num_frames * hop_samples
    vocals = sample.audio("vocals")
    start_s = rng.uniform(0, max(0.0, vocals.duration_s - wanted / sample_rate_hz))
    times_s_F = start_s + frame_times(0, num_frames, sample_rate_hz / hop_samples)
    f0_hz_F = f0_at(sample.array("pitch"), times_s_F).astype(np.float32)
    return Crop(start_s, voice_from(vocals, start_s, wanted, sample_rate_hz), times_s_F, f0_hz_F)


def voice_from(vocals: Audio, start_s: float, num_samples: int, sample_rate_hz: int) -> np.ndarray:
    """audio_S of so many samples at this rate, silence after the recording's end."""
    cut = vocals.cut(start_s, num_samples / sample_rate_hz)
    audio_S = resample(cut.mono_S(), cut.sample_rate_hz, sample_rate_hz)[:num_samples]
    return np.pad(audio_S, (0, num_samples - len(audio_S)))


def unclipped_db(gain_db: float, audio_S: np.ndarray) -> float:
    """The gain, or less where it would lift the peak above full scale."""
    return min(gain_db, -20 * np.log10(float(np.abs(audio_S).max(initial=1e-3)) + 1e-6))


def stacked(items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """Items with arrays of equal shapes, by name -> one batch."""
    return {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]}
