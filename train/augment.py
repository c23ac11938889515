"""A clip of a voice -> the same clip as another vocal tract, room, microphone and level would give it.

Everything is a function of the rng. Shapes: S samples, F frames, W samples of a window, K bins, R places compared.
"""

import numpy as np
import soxr
from pydantic import Field

from autosing.config import Config

_FINENESS = 0.6
"""Resolution of an envelope: its cepstrum is kept below so many periods of the voice. Measured on synthetic vowels,
moved by eight pairs of ratios: the first three formants come within 2 % of their target with 0.6; within 6 % with 0.4
or 0.5, where the curve is too smooth; and within 3 % with 0.7 or 0.8, where it begins to follow the harmonics."""
_MAX_GAIN = 3.5
"""30 dB: the most that a frequency is raised or lowered when formants are moved."""


def varispeed(audio_S: np.ndarray, wanted_samples: int) -> np.ndarray:
    """Resampled so that it fills the wanted samples: pitch, formants and tempo change together."""
    moved_S = soxr.resample(audio_S, len(audio_S), wanted_samples, quality="HQ")
    return np.pad(moved_S, (0, max(0, wanted_samples - len(moved_S))))[:wanted_samples].astype(np.float32)


def equalise(audio_S: np.ndarray, rng: np.random.Generator, sample_rate_hz: int, spread_db: float = 5.0) -> np.ndarray:
    """With a random smooth frequency response: eight points, evenly spaced in octaves from 60 Hz to half the rate."""
    points_hz = np.geomspace(60, sample_rate_hz / 2, 8)
    points_db = rng.normal(0, spread_db, 8)
    spectrum_K = np.fft.rfft(audio_S)
    hz_K = np.fft.rfftfreq(len(audio_S), 1 / sample_rate_hz)
    gain_db_K = np.interp(np.log(hz_K.clip(1)), np.log(points_hz), points_db)
    return np.fft.irfft(spectrum_K * 10 ** (gain_db_K / 20), len(audio_S)).astype(np.float32)


def to_peak(audio_S: np.ndarray, peak_db: float) -> np.ndarray:
    """Scaled to a peak; silence stays as it is."""
    peak = float(np.abs(audio_S).max(initial=0.0))
    return audio_S * np.float32(10 ** (peak_db / 20) / peak) if peak > 1e-4 else audio_S


def with_noise(audio_S: np.ndarray, rng: np.random.Generator, level_db: float) -> np.ndarray:
    """With white noise of `level_db` dB full scale added."""
    return audio_S + (10 ** (level_db / 20) * rng.standard_normal(len(audio_S))).astype(np.float32)


def with_silence(audio_S: np.ndarray, rng: np.random.Generator, ramp_samples: int = 240) -> np.ndarray:
    """Cut to silence before or after a random moment, over a short ramp."""
    at = int(rng.integers(len(audio_S)))
    gate_S = np.clip((np.arange(len(audio_S)) - at) / ramp_samples, 0, 1).astype(np.float32)
    return audio_S * (gate_S if rng.random() < 0.5 else 1 - gate_S)


class Disguise(Config):
    """How far the voice for the content encoder is moved from the singer's own (Choi 2021, NANSY, arXiv:2110.14513).

    The pitch and singer that leak into the content are then wrong, so a model learns not to rely on them.
    """

    pitch_semitones: float = Field(default=6.0, ge=0, le=12)
    """Largest shift of pitch, up or down, of the whole clip."""
    formant_semitones: float = Field(default=4.0, ge=0, le=7)
    """Largest shift of the formants: 4 is a ratio of 1.26."""
    eq_db: float = Field(default=4.0, ge=0)
    """Spread of a random frequency response; see `equalise`."""


def disguised(
    audio_S: np.ndarray, sample_rate_hz: int, rng: np.random.Generator, how: Disguise, f0_hz_T: np.ndarray
) -> np.ndarray:
    """The clip in another voice, with the same length and timing. Only in training, and only for the content encoder.

    Everything follows from the rng, which a task's `prepare` gets from (run's seed, sample, epoch). `f0_hz_T`: see
    `reshaped`.
    """
    pitch_ratio, formant_ratio = (
        2 ** (rng.uniform(-most, most) / 12) for most in (how.pitch_semitones, how.formant_semitones)
    )
    moved_S = reshaped(audio_S, sample_rate_hz, pitch_ratio, formant_ratio, f0_hz_T)
    return equalise(moved_S, rng, sample_rate_hz, how.eq_db) if how.eq_db else moved_S


def reshaped(
    audio_S: np.ndarray, sample_rate_hz: int, pitch_ratio: float, formant_ratio: float, f0_hz_T: np.ndarray
) -> np.ndarray:
    """Pitch and formants multiplied, each by its own ratio; length and timing kept (to 5 ms).

    The clip is resampled, which moves pitch and formants by the pitch ratio, and stretched back to its length (WSOLA).
    Then a filter moves the formants by the remaining ratio: the moved spectral envelope divided by the envelope.
    `f0_hz_T`: the clip's pitch at 100 Hz, 0 where unvoiced. It limits how fine an envelope can be separated from the
    harmonics.
    """
    audio_S = audio_S.astype(np.float32)
    if len(audio_S) < sample_rate_hz // 10:
        return audio_S
    if abs(np.log2(pitch_ratio)) > 1e-4:
        resampled_S = soxr.resample(audio_S, sample_rate_hz * pitch_ratio, sample_rate_hz, quality="HQ")
        audio_S = _stretched(resampled_S, len(audio_S), sample_rate_hz)
    moved = formant_ratio / pitch_ratio
    if abs(np.log2(moved)) > 1e-4:
        audio_S = _formants_moved(audio_S, sample_rate_hz, moved, f0_hz_T * pitch_ratio)
    return audio_S


def _stretched(audio_S: np.ndarray, wanted_samples: int, sample_rate_hz: int) -> np.ndarray:
    """As many samples as wanted, pitch and formants kept: WSOLA (Verhelst & Roelands 1993).

    Overlapping windows of 30 ms are taken from near their places, there where they best continue the output so far.
    """
    half = round(0.015 * sample_rate_hz)
    reach = round(0.008 * sample_rate_hz)
    window_W = np.hanning(2 * half + 1)[:-1].astype(np.float32)
    count = -(-wanted_samples // half) + 1
    speed = len(audio_S) / wanted_samples
    padded_S = np.pad(audio_S, (half + reach, 3 * half + 2 * reach + 1))
    made_S = np.zeros((count + 1) * half, np.float32)
    at = half + reach
    for k in range(count):
        place = min(round(k * half * speed), len(audio_S)) + reach
        if k:
            # The continuation of the last window is compared with the samples around the next window's place.
            next_W = padded_S[at + half : at + 3 * half]
            near_S = padded_S[place - reach : place + reach + 2 * half]
            match_R = np.correlate(near_S, next_W, "valid") if len(next_W) < 64 else _correlated(near_S, next_W)
            power_S = np.concatenate([[0.0], np.cumsum(near_S.astype(np.float64) ** 2)])
            power_R = power_S[2 * half :] - power_S[: -2 * half]
            at = place - reach + int(np.argmax(match_R / np.sqrt(power_R + 1e-6)))
        else:
            at = place
        made_S[k * half : (k + 2) * half] += padded_S[at : at + 2 * half] * window_W
    return made_S[half : half + wanted_samples]


def _correlated(long_S: np.ndarray, short_W: np.ndarray) -> np.ndarray:
    """The same as np.correlate(..., "valid"), by FFT."""
    size = 1 << (len(long_S) - 1).bit_length()
    found_S = np.fft.irfft(np.fft.rfft(long_S, size) * np.conj(np.fft.rfft(short_W, size)), size)
    return found_S[: len(long_S) - len(short_W) + 1]


def _formants_moved(audio_S: np.ndarray, sample_rate_hz: int, ratio: float, f0_hz_T: np.ndarray) -> np.ndarray:
    """Filtered, window by window, by envelope(f / ratio) / envelope(f); harmonics stay where they are."""
    size = 1 << round(np.log2(0.045 * sample_rate_hz))
    hop = size // 4
    window_W = np.sqrt(np.hanning(size + 1)[:-1]).astype(np.float32)
    count = -(-len(audio_S) // hop) + 3
    padded_S = np.pad(audio_S, (size - hop, count * hop + size - len(audio_S)))
    frames_FW = np.lib.stride_tricks.sliding_window_view(padded_S, size)[::hop][:count] * window_W
    spectrum_FK = np.fft.rfft(frames_FW)
    middle_s_F = ((np.arange(count) + 0.5) * hop - size / 2 + hop / 2) / sample_rate_hz
    f0_hz_F = _gapless(f0_hz_T)[np.clip(np.round(middle_s_F * 100).astype(int), 0, max(len(f0_hz_T) - 1, 0))]
    envelope_FK = _log_envelope(np.abs(spectrum_FK), _FINENESS * sample_rate_hz / f0_hz_F)
    bin_K = np.arange(spectrum_FK.shape[1])
    low_K = np.minimum(bin_K / ratio, bin_K[-1])
    share_K = low_K - np.floor(low_K)
    below_K = np.floor(low_K).astype(int)
    above_K = np.minimum(below_K + 1, bin_K[-1])
    moved_FK = envelope_FK[:, below_K] * (1 - share_K) + envelope_FK[:, above_K] * share_K
    gain_FK = np.exp(np.clip(moved_FK - envelope_FK, -_MAX_GAIN, _MAX_GAIN))
    made_FW = np.fft.irfft(spectrum_FK * gain_FK, size).astype(np.float32) * window_W
    made_S = np.zeros(count * hop + size, np.float32)
    for k in range(count):
        made_S[k * hop : k * hop + size] += made_FW[k]
    return made_S[size - hop : size - hop + len(audio_S)] / 2  # four squared sine windows overlap: they sum to 2


def _gapless(f0_hz_T: np.ndarray) -> np.ndarray:
    """With unvoiced frames interpolated; 200 Hz if nothing is voiced; at least one value."""
    voiced_N = np.flatnonzero(f0_hz_T > 0)
    if not len(voiced_N):
        return np.full(max(len(f0_hz_T), 1), 200.0)
    return np.interp(np.arange(len(f0_hz_T)), voiced_N, f0_hz_T[voiced_N])


def _log_envelope(magnitude_FK: np.ndarray, quefrency_F: np.ndarray, rounds: int = 3) -> np.ndarray:
    """The smooth curve through the peaks of the harmonics: the true envelope (Roebel & Rodet 2005).

    In each round, the maximum of spectrum and curve is smoothed by keeping its cepstrum below `quefrency_F` samples.
    """
    floor_F1 = np.maximum(magnitude_FK.max(axis=1, keepdims=True) * 1e-4, 1e-7)
    log_FK = np.log(np.maximum(magnitude_FK, floor_F1))
    size = 2 * (magnitude_FK.shape[1] - 1)
    place_S = np.arange(size // 2 + 1) / np.maximum(quefrency_F, 4.0)[:, None]
    lifter_FS = (place_S < 1).astype(float)
    curve_FK = log_FK
    for _ in range(rounds):
        cepstrum_FS = np.fft.irfft(np.maximum(log_FK, curve_FK), size)[:, : size // 2 + 1] * lifter_FS
        curve_FK = np.fft.rfft(np.concatenate([cepstrum_FS, cepstrum_FS[:, -2:0:-1]], axis=1)).real
    return curve_FK
