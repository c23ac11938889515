"""samples -> perceived loudness (LUFS, or dB per frame) and true peak (dBTP).

Shapes: C channels, S samples, T frames, K bins.
"""

import math

import numpy as np

from autosing.audio.io import Audio, resample
from autosing.timebase import PITCH_RATE_HZ, num_frames

_MEASURED_PEAK = 0.25
"""torchaudio's filters clip at full scale, so loud audio is measured scaled down and the difference added again."""
_GATE_S = 0.4
"""BS.1770 measures blocks of 0.4 s; shorter audio is padded with silence to one block."""
_OVERSAMPLING = 4
_FRAME_RATE_HZ, _FRAME_HOP, _FRAME_WINDOW = 16_000, 160, 640
FLOOR_DB = -100.0
"""The loudness of a silent frame."""


def frame_loudness_db(audio: Audio) -> np.ndarray:
    """db_T (float32): A-weighted level at 100 frames a second, frame t around t / 100 s, over 40 ms; at least FLOOR_DB.

    0 dB is a full-scale sine of 1 kHz. The weighting is IEC 61672-1's, applied to power spectra as in DDSP (Engel 2020,
    arXiv:2001.04643). It follows human hearing, so that rumble does not count as singing. Frequencies above 8 kHz are
    ignored.
    """
    total = num_frames(audio.duration_s, PITCH_RATE_HZ)
    mono_S = resample(audio.mono_S(), audio.sample_rate_hz, _FRAME_RATE_HZ)
    half = _FRAME_WINDOW // 2
    mono_S = np.pad(mono_S, (half, half + max(0, total * _FRAME_HOP - len(mono_S))))
    window_S = np.hanning(_FRAME_WINDOW + 1)[:-1].astype(np.float32)
    weight_K = _a_weighting(np.fft.rfftfreq(_FRAME_WINDOW, 1 / _FRAME_RATE_HZ))
    frames_TS = np.lib.stride_tricks.sliding_window_view(mono_S, _FRAME_WINDOW)[::_FRAME_HOP][:total]
    power_TK = np.abs(np.fft.rfft(frames_TS * window_S)) ** 2
    # Twice the one-sided power is the mean square; a full-scale sine has a half.
    mean_square_T = 2 * (power_TK @ weight_K) / (_FRAME_WINDOW * np.square(window_S).sum())
    db_T: np.ndarray = np.maximum(10 * np.log10(2 * mean_square_T + 1e-12), FLOOR_DB).astype(np.float32)
    return db_T


def _a_weighting(frequency_K: np.ndarray) -> np.ndarray:
    """The factor on power at each frequency, 1 at 1 kHz (IEC 61672-1, annex E)."""
    f2_K = np.square(frequency_K)
    gain_K = (
        12194**2 * f2_K**2 / ((f2_K + 20.6**2) * np.sqrt((f2_K + 107.7**2) * (f2_K + 737.9**2)) * (f2_K + 12194**2))
    )
    return np.square(gain_K * 10 ** (2.0 / 20))


def integrated_lufs(audio: Audio) -> float:
    """Gated loudness after ITU-R BS.1770-4; -inf if no block is louder than -70 LUFS.

    At most five channels count: left, right, centre, and two surrounds with a weight of 1.41.
    """
    import torch
    from torchaudio.functional import loudness

    samples_CS = audio.samples_CS[:5].astype(np.float32)
    short = round(_GATE_S * audio.sample_rate_hz) - samples_CS.shape[1]
    if short > 0:
        samples_CS = np.pad(samples_CS, [(0, 0), (0, short)])
    peak = float(np.abs(samples_CS).max())
    scale = min(1.0, _MEASURED_PEAK / peak) if peak > 0 else 1.0
    lufs = float(loudness(torch.from_numpy(samples_CS * scale), audio.sample_rate_hz))
    return -math.inf if math.isnan(lufs) else lufs - 20 * math.log10(scale)


def true_peak_db(audio: Audio) -> float:
    """The highest absolute value at four times the rate, in dB of full scale; -inf for silence."""
    rate = audio.sample_rate_hz
    dense_CS = resample(audio.samples_CS, rate, rate * _OVERSAMPLING)
    peak = max(float(np.abs(dense_CS).max(initial=0.0)), float(np.abs(audio.samples_CS).max(initial=0.0)))
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def amplified(audio: Audio, gain_db: float) -> Audio:
    """The same audio, `gain_db` louder."""
    return Audio(audio.samples_CS * np.float32(10 ** (gain_db / 20)), audio.sample_rate_hz)
