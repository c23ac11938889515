"""A sung line and where its vowels should start -> how late the network sings, moment by moment.

The network keeps its durations, but lets a vowel sound up to 40 ms before or after its place. After a plosive or a
fricative the start can be found: there the band of the vowel rises most. Vowels are long, so what corrects a start is
taken from the vowel before it; consonants move as they are.

Shapes: S samples, V vowels, K knots or bins of frequency.
"""

from dataclasses import dataclass

import numpy as np

_BAND_HZ = (150, 2500)
_STEP_S = 0.002
_SMOOTH_S = 0.008
_RISE_STEPS = 10
_SEARCH_S = 0.06
_MOST_BENT = 0.5
_FLOOR_DB, _LEAST_RISE_DB = 30, 8
"""What is further below the vowel is as good as silent; where less rises, no start can be told."""


@dataclass(frozen=True)
class Lateness:
    """Straight lines between knots, level before and after.

    at_K are samples as asked for, late_K the samples by which they sound later.
    """

    at_K: np.ndarray
    late_K: np.ndarray

    def of(self, sample_S: np.ndarray) -> np.ndarray:
        return np.asarray(np.interp(sample_S, self.at_K, self.late_K))


def vowel_starts(audio_S: np.ndarray, sample_rate_hz: int, asked_s_V: np.ndarray) -> np.ndarray:
    """start_s_V: where the band of the vowel rises most near the asked time; NaN where nothing rises clearly."""
    level_db = _level(audio_S, sample_rate_hz)
    starts_s = np.full(len(asked_s_V), np.nan)
    for number, asked_s in enumerate(asked_s_V):
        first, last = (round((asked_s + side * _SEARCH_S) / _STEP_S) for side in (-1, 1))
        half = _RISE_STEPS // 2
        if first < half or last + half >= len(level_db):
            continue
        vowel_db = float(np.percentile(level_db[(first + last) // 2 : last + 2 * half], 80))
        window = np.maximum(level_db[first - half : last + half + 1], vowel_db - _FLOOR_DB)
        rise = window[2 * half :] - window[: -2 * half]
        if rise.max() >= _LEAST_RISE_DB:
            starts_s[number] = (first + float(np.flatnonzero(rise >= rise.max() - 1).mean())) * _STEP_S
    return starts_s


def _level(audio_S: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Power of the vowels' band in dB, every _STEP_S."""
    hz_K = np.fft.rfftfreq(len(audio_S), 1 / sample_rate_hz)
    low_hz, high_hz = _BAND_HZ
    gain_K = 1 / np.sqrt((1 + (low_hz / np.maximum(hz_K, 1)) ** 6) * (1 + (hz_K / high_hz) ** 6))
    band_S = np.fft.irfft(np.fft.rfft(audio_S) * gain_K, len(audio_S))
    window = np.hanning(round(_SMOOTH_S * sample_rate_hz) | 1)
    power_S = np.convolve(np.square(band_S), window / window.sum(), "same")
    at = np.round(np.arange(int(len(audio_S) / sample_rate_hz / _STEP_S)) * _STEP_S * sample_rate_hz).astype(int)
    return np.asarray(10 * np.log10(np.maximum(power_S[at], 1e-10)))


def lateness(asked_V: np.ndarray, late_V: np.ndarray, rests: list[tuple[int, int]]) -> Lateness:
    """The vowels' starts and their lateness in samples (NaN: not known, taken for none) -> that of all moments.

    `rests` are the unvoiced spans (first sample, one past the last): each is as late as the vowel after it, whole.
    Between them the voice gains or loses half of the time at most.
    """
    late_V = np.where(np.isnan(late_V), 0.0, late_V)
    spans = [(int(at), int(at), float(late)) for at, late in zip(asked_V, late_V, strict=True)
             if not any(first <= at <= last for first, last in rests)]  # fmt: skip
    for first, last in rests:
        following = late_V[asked_V >= last]
        spans.append((first, last, float(following[0]) if len(following) else 0.0))
    at_K: list[int] = []
    late_K: list[float] = []
    for first, last, late in sorted(spans):
        if at_K:
            most = _MOST_BENT * (first - at_K[-1])
            late = float(np.clip(late, late_K[-1] - most, late_K[-1] + most))
        at_K += [first, last]
        late_K += [round(late), round(late)]
    return Lateness(np.array(at_K), np.array(late_K))
