"""Features at their own rates -> the conditions of a voice model at its frames. The same in training and use.

Frame f of a model is centred on (f + 1/2) / rate; value n of content and of loudness on n / rate.

Shapes: B clips, N content frames (50 Hz), T values of pitch and loudness (100 Hz), F the model's frames, C numbers of
content, E = 256 singer.
"""

from dataclasses import dataclass

import numpy as np
from pydantic import Field
from torch import Tensor

from autosing.audio.pitch import pitch_at
from autosing.config import Config
from autosing.nn.solvers import Method
from autosing.timebase import CONTENT_RATE_HZ, PITCH_RATE_HZ

QUIET_DB, SPREAD_DB = -30.0, 15.0
"""Loudness is given to models as (dB - QUIET_DB) / SPREAD_DB."""


@dataclass(frozen=True)
class Told:
    """The conditions from which a piece of singing is made."""

    content_BCF: Tensor
    f0_hz_BF: Tensor
    """Without gaps: unvoiced frames have the pitch before them, or after."""
    voiced_BF: Tensor
    """Whether a frame is voiced (bool)."""
    loudness_db_BF: Tensor
    singer_BE: Tensor

    @property
    def num_frames(self) -> int:
        return self.f0_hz_BF.shape[1]


class Sampling(Config):
    """How what is sung is drawn."""

    steps: int | None = Field(default=None, ge=1, le=1000)
    """None: the model's usual ones, or those that it was distilled to."""
    method: Method = "euler"
    temperature: float = Field(default=1.0, ge=0, le=2)
    guidance: float = Field(default=1.0, ge=0)
    """How far away from what is made without content and singer; 1: not at all, and half the cost."""
    guidance_singer: float | None = Field(default=None, ge=0)
    """The same, away from what is made of the same content for nobody. None: the model's usual one, 1 where it has
    none."""
    seed: int = Field(default=0, ge=0)


def frame_times(first: int, count: int, rate_hz: float) -> np.ndarray:
    """times_s_F: the middles of a model's frames."""
    times_s_F: np.ndarray = (first + np.arange(count) + 0.5) / rate_hz
    return times_s_F


def content_at(content_ND: np.ndarray, times_s_F: np.ndarray) -> np.ndarray:
    """content_FD float32: straight lines between the frames, the first and last beyond the ends. Of an array that is
    mapped from a file only these frames are read."""
    return _between(content_ND, times_s_F * float(CONTENT_RATE_HZ))


def loudness_at(loudness_db_T: np.ndarray, times_s_F: np.ndarray) -> np.ndarray:
    """loudness_db_F float32."""
    return _between(loudness_db_T[:, None], times_s_F * float(PITCH_RATE_HZ))[:, 0]


def f0_at(f0_hz_T: np.ndarray, times_s_F: np.ndarray) -> np.ndarray:
    """f0_hz_F, 0 where nobody sings."""
    return pitch_at(f0_hz_T, float(PITCH_RATE_HZ), times_s_F)


def loudness_told(loudness_db_BF: Tensor) -> Tensor:
    """Decibels -> the loudness given to models, about -2 to 2."""
    return (loudness_db_BF - QUIET_DB) / SPREAD_DB


def _between(x_ND: np.ndarray, at_F: np.ndarray) -> np.ndarray:
    assert len(x_ND), "no frames to go between"
    at_F = np.clip(at_F, 0, len(x_ND) - 1)
    low_F = np.floor(at_F).astype(int)
    high_F = np.minimum(low_F + 1, len(x_ND) - 1)
    share_F1 = (at_F - low_F).astype(np.float32)[:, None]
    low_FD, high_FD = (x_ND[rows_F].astype(np.float32, copy=False) for rows_F in (low_F, high_F))
    x_FD: np.ndarray = low_FD * (1 - share_F1) + high_FD * share_F1
    return x_FD
