"""Separated vocals -> singing activity: one yes or no every 20 ms.

Shapes: C channels (one), S samples, T frames of 20 ms, N samples a frame.
"""

import numpy as np

from autosing.audio.blocks import Blocks, Tape, padded
from autosing.audio.runs import runs

STEP_MS = 20
RATE_HZ = 16_000
"""Sample rate at which activity is measured."""
_HOP = RATE_HZ * STEP_MS // 1000
_FRAME = 2 * _HOP
_LOWEST_HZ, _HIGHEST_HZ = 65, 1100
_BLOCK_FRAMES = 2048
"""Frames measured at a time: 2048 of 640 samples are 5 MB, however long the song is."""


def singing_activity(vocals: Blocks, rest: Blocks | None, below_loud_db: float, periodicity: float) -> np.ndarray:
    """sung_T bool: where the voice is loud and periodic, short gaps (consonants, 0.4 s) filled, bursts (0.1 s) dropped.

    vocals, rest: samples_CS at RATE_HZ. `vocals` is read to its end first, then `rest`; only values per frame are kept
    in memory. A frame is loud if it is within `below_loud_db` of the loud frames (95th percentile) of the whole mix, so
    what a separator leaves of a song without a voice counts as silence. A frame is periodic if its normalised
    autocorrelation exceeds `periodicity` at some lag of 65 to 1100 Hz.
    """
    power_T, periodic_T = _measure(vocals)
    mix_T = power_T if rest is None else power_T + _match(_measure(rest, with_pitch=False)[0], len(power_T))
    loud = np.percentile(mix_T, 95) * 10 ** (-below_loud_db / 10)
    sung_T = (power_T > max(loud, 1e-7)) & (periodic_T > periodicity)
    sung_T = ~_without_short(~sung_T, 400 // STEP_MS, keep_ends=True)
    return _without_short(sung_T, 100 // STEP_MS)


def sung_before_ms(sung_T: np.ndarray, times_ms: np.ndarray) -> np.ndarray:
    """The milliseconds of singing before each time."""
    total = np.concatenate([[0], np.cumsum(sung_T) * STEP_MS])
    return np.interp(times_ms, np.arange(len(total)) * STEP_MS, total)


def covered(spans_ms: np.ndarray, frames: int) -> np.ndarray:
    """mask_T: the frames inside one of the spans [N, 2]. A span above 5 s is ignored: no word is that long."""
    change = np.zeros(frames + 1, np.int64)
    for start, end in spans_ms:
        if end - start <= 5000:
            first, last = np.clip(np.round(np.array([start, end]) / STEP_MS).astype(int), 0, frames)
            change[first] += 1
            change[last] -= 1
    return np.cumsum(change[:-1]) > 0


def _measure(blocks: Blocks, with_pitch: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """(mean power_T, periodicity_T 0..1). The autocorrelation by FFT, corrected for the overlap at each lag.

    The samples are padded with silence, so that each step has a frame, the last incomplete one too.
    """
    tape = Tape(padded(blocks, _FRAME // 4, _FRAME - _FRAME // 4 - 1, channels=1))
    power, periodic = [], []
    lags = np.arange(RATE_HZ // _HIGHEST_HZ, RATE_HZ // _LOWEST_HZ)
    while len(samples_S := tape.look(_FRAME + (_BLOCK_FRAMES - 1) * _HOP)[0]) >= _FRAME:
        block_TN = np.lib.stride_tricks.sliding_window_view(samples_S, _FRAME)[::_HOP]
        block_TN = block_TN - block_TN.mean(axis=1, keepdims=True)
        power_T = np.square(block_TN).mean(axis=1)
        power.append(power_T)
        if with_pitch:
            spectrum = np.fft.rfft(block_TN, 2 * _FRAME)
            correlation = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[:, lags]
            whole = power_T[:, None] * (_FRAME - lags) + 1e-9
            periodic.append((correlation / whole).max(axis=1).astype(np.float32))
        tape.skip(_BLOCK_FRAMES * _HOP)
    none_T = np.zeros(0, np.float32)
    return np.concatenate([none_T, *power]), np.concatenate([none_T, *periodic])


def _match(power_T: np.ndarray, frames: int) -> np.ndarray:
    return np.pad(power_T, (0, max(0, frames - len(power_T))))[:frames]


def _without_short(mask_T: np.ndarray, frames: int, keep_ends: bool = False) -> np.ndarray:
    """The mask without runs of at most `frames` frames. `keep_ends`: runs at the song's two ends stay."""
    out_T = mask_T.copy()
    for start, end in runs(mask_T):
        at_end = start == 0 or end == len(mask_T)
        if end - start <= frames and not (keep_ends and at_end):
            out_T[start:end] = False
    return out_T
