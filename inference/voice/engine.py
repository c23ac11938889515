"""Features of a source, a model and a singer -> sound: chunk by chunk, exactly as long as the source.

Shapes: B = 1, F frames of the model's space, S samples, T values at 100 Hz, E = 256 singer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from autosing.config import Config
from autosing.models.told import Sampling, Told, f0_at, frame_times, loudness_at
from autosing.nn.excitation import Begin, turns
from autosing.timebase import PITCH_RATE_HZ
from inference.voice.chunks import Joiner, chunks
from inference.voice.features import Features
from inference.voice.pitch import carried_on

_MULTIPLE = 8
"""Chunks begin at such frames: what the codec's blocks and the folds of models have in common."""
_AT_ONCE = 1 << 14


class EngineConfig(Config):
    """How a source is sung."""

    sampling: Sampling = Sampling()
    chunk_s: float = Field(default=10.0, ge=0.5)
    context_s: float = Field(default=1.0, ge=0.2)
    """Of its neighbours that a chunk is sung with."""
    carry_pitch: bool = False
    """Pitch goes on through unvoiced frames, as in so-vits-svc 5.0 (USP); the model chooses what is voiced."""
    silence_db: float = Field(default=-60.0, ge=-100, le=0)
    """Where the source is quieter than this (A-weighted), nothing sounds."""
    fade_ms: float = Field(default=20.0, ge=1, le=500)
    """At the edges of such silence."""


class FrameSpec(Protocol):
    """The frames of a model."""

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def hop_samples(self) -> int: ...

    @property
    def rate_hz(self) -> Fraction: ...

    def num_frames(self, num_samples: int) -> int:
        """F: the last frame is filled up."""
        ...


class Sounding(Protocol):
    """What has frames."""

    @property
    def spec(self) -> FrameSpec: ...


class VoiceModel(Sounding, Protocol):
    """What the engine asks of a model."""

    @property
    def device(self) -> torch.device: ...

    def sing(self, told: Told, sampling: Sampling, first_frame: int = 0) -> Tensor:
        """x_BDF, what its frames are made sound of."""
        ...

    def sound(self, x_BDF: Tensor, f0_hz_BF: Tensor, begin: Begin | None = None) -> Tensor:
        """audio_BS, whole frames. f0 is 0 where unvoiced."""
        ...


@dataclass(frozen=True)
class Song:
    """What is to be sung, at the rates it was read at."""

    features: Features
    f0_hz_T: np.ndarray
    """As sung: shifted, edited."""
    singer_at: Callable[[float], np.ndarray]
    """Seconds -> singer_E."""
    drawn: Callable[[np.ndarray], np.ndarray] | None = None
    """content_FD -> content_FD: towards the singer's own (inference.voice.retrieval)."""


def num_samples(song: Song, model: Sounding) -> int:
    """Of the output: the source's duration at the model's rate."""
    return round(song.features.duration_s * model.spec.sample_rate_hz)


@torch.no_grad()
def render(
    model: VoiceModel, song: Song, config: EngineConfig, tell: Callable[[int, int], None] | None = None
) -> Iterator[np.ndarray]:
    """Blocks of audio_S at the model's rate, in order. The same inputs give the same samples; another size of chunks
    changes them only as far as a second of context does not tell the model all (see the tests).

    `tell`: after each chunk, called with the seconds that are sung, and all.
    """
    spec, features = model.spec, song.features
    rate, hop, total = float(spec.rate_hz), spec.hop_samples, num_samples(song, model)
    num_frames = spec.num_frames(total)
    times_s_F = frame_times(0, num_frames, rate)
    gapless = torch.from_numpy(_gapless(song.f0_hz_T, times_s_F))
    turns_F = turns(gapless, hop, spec.sample_rate_hz) if num_frames else gapless
    gate = Gate(features.loudness_db_T, config)
    joiner, done = Joiner(num_frames, hop, total), 0
    device = model.device
    for chunk in chunks(num_frames, round(config.chunk_s * rate), round(config.context_s * rate), _MULTIPLE):
        frames = slice(chunk.start, chunk.end)
        now_s_F = times_s_F[frames]
        content_FD = features.content_at(now_s_F)
        features.rest()
        if song.drawn is not None:
            content_FD = song.drawn(content_FD)
        voiced_F = np.ones(len(now_s_F), bool) if config.carry_pitch else f0_at(song.f0_hz_T, now_s_F) > 0
        loudness_db_F = loudness_at(features.loudness_db_T, now_s_F)
        middle_s = float((chunk.first + chunk.last) / 2 / rate)
        told = Told(
            torch.from_numpy(content_FD.T.copy())[None].to(device), gapless[None, frames].to(device),
            torch.from_numpy(voiced_F)[None].to(device), torch.from_numpy(loudness_db_F)[None].to(device),
            torch.from_numpy(song.singer_at(middle_s).astype(np.float32))[None].to(device),
        )  # fmt: skip
        x_BDF = model.sing(told, config.sampling, chunk.start)
        turns_B = turns_F[chunk.start : chunk.start + 1].to(device)
        begin = Begin(told.f0_hz_BF, turns_B, chunk.start * hop)
        audio_BS = model.sound(x_BDF, torch.where(told.voiced_BF, told.f0_hz_BF, 0.0), begin)
        block_S = joiner.push(chunk, audio_BS[0].float().cpu().numpy())
        yield block_S * gate.gain(done, len(block_S), spec.sample_rate_hz)
        done += len(block_S)
        if tell:
            tell(done // spec.sample_rate_hz, total // spec.sample_rate_hz)


def _gapless(f0_hz_T: np.ndarray, times_s_F: np.ndarray) -> np.ndarray:
    """The song's pitch at all frames, carried on where nobody sings: phases are summed over it. In pieces, since what
    is needed on the way is twenty times as large."""
    if not len(f0_hz_T):
        return np.full(len(times_s_F), 220.0, np.float32)
    carried_T = carried_on(f0_hz_T)
    pieces = [f0_at(carried_T, times_s_F[k : k + _AT_ONCE]) for k in range(0, len(times_s_F), _AT_ONCE)]
    return np.concatenate([np.zeros(0, np.float32), *pieces])


class Gate:
    """Loudness of a source -> gain of what is sung: 0 where the source is silent, with faded edges."""

    def __init__(self, loudness_db_T: np.ndarray, config: EngineConfig) -> None:
        open_T = loudness_db_T > config.silence_db
        width = max(1, round(config.fade_ms / 1000 * float(PITCH_RATE_HZ)))
        # Open a fade earlier and later, so that what sounds is whole.
        kernel = np.ones(2 * width + 1)
        wide_T = np.convolve(open_T.astype(float), kernel, "same") > 0.5 if len(open_T) else np.zeros(1, bool)
        ramp = np.ones(width + 1) / (width + 1)
        self._gain_T = np.convolve(np.pad(wide_T.astype(float), width, mode="edge"), ramp, "same")[width:-width]

    def gain(self, first_sample: int, count: int, sample_rate_hz: int) -> np.ndarray:
        """gain_S of some samples."""
        at_S = (first_sample + np.arange(count)) / sample_rate_hz * float(PITCH_RATE_HZ)
        gain_S: np.ndarray = np.interp(at_S, np.arange(len(self._gain_T)), self._gain_T).astype(np.float32)
        return gain_S
