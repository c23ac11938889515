"""A voice -> the same voice with its singer's spectral balance: how strong the parts of its spectrum are throughout.

Long-term average spectra tell singers apart: the slope of the glottal source, the warmth below 500 Hz, the singer's
formant about 3 kHz. Here they are a smooth curve over octaves, the same for all that the singer sings and speaks.

Shapes: S samples, K frequencies, W weights of cosines.
"""

from collections.abc import Sequence

import numpy as np

from autosing.audio.io import resample

_LOWEST_HZ, _HIGHEST_HZ = 80.0, 9000.0
"""The curve is flat beyond."""
MOST_DB = 7.0
NUM_WEIGHTS = 4
_SETTLE_S = 0.1
"""Longer than the filter rings, so that the end does not wrap to the start."""


def draw_balance(number: int) -> tuple[float, ...]:
    """db_W of singer number n, each from -MOST_DB to MOST_DB. Spread evenly, by powers of the root of x^6 = x + 1
    (Roberts's R5 sequence), so that any first few singers lie far apart."""
    root = 1.1673039782614187
    return tuple(
        round(MOST_DB * (2 * ((0.5 + (number + 1) * root ** -(k + 1)) % 1) - 1), 3) for k in range(NUM_WEIGHTS)
    )


def balance_db(hz_K: np.ndarray, db_W: Sequence[float]) -> np.ndarray:
    """db_K: the sum of cosines of 1/2, 1, 3/2 ... periods over the octaves from _LOWEST_HZ to _HIGHEST_HZ."""
    octave_K = np.log2(np.maximum(hz_K, _LOWEST_HZ) / _LOWEST_HZ) / np.log2(_HIGHEST_HZ / _LOWEST_HZ)
    place_K = np.pi * np.minimum(octave_K, 1.0)
    return np.asarray(sum(db * np.cos((k + 1) * place_K) for k, db in enumerate(db_W)))


def balanced(audio_S: np.ndarray, sample_rate_hz: int, db_W: Sequence[float]) -> np.ndarray:
    """As long and, in its phases, as it was; its level changes."""
    size = len(audio_S) + round(_SETTLE_S * sample_rate_hz)
    gain_K = 10 ** (balance_db(np.fft.rfftfreq(size, 1 / sample_rate_hz), db_W) / 20)
    return np.asarray(np.fft.irfft(np.fft.rfft(audio_S, size) * gain_K, size)[: len(audio_S)])


def voiced_by(audio_S: np.ndarray, rate_hz: int, to_rate_hz: int, db_W: Sequence[float]) -> np.ndarray:
    """Samples that are read at `rate_hz` -> at `to_rate_hz`, with the balance."""
    return balanced(resample(audio_S, rate_hz, to_rate_hz), to_rate_hz, db_W)
