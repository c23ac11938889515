"""A clip of a voice -> the same clip as another throat, room, microphone and level would give it.

All is a function of the rng. Shapes: S samples, F frames.
"""

import numpy as np
import soxr


def varispeed(audio_S: np.ndarray, wanted_samples: int) -> np.ndarray:
    """Played faster or slower until it fills the wanted samples: pitch, formants and tempo move together."""
    moved_S = soxr.resample(audio_S, len(audio_S), wanted_samples, quality="HQ")
    return np.pad(moved_S, (0, max(0, wanted_samples - len(moved_S))))[:wanted_samples].astype(np.float32)


def equalise(audio_S: np.ndarray, rng: np.random.Generator, sample_rate_hz: int, spread_db: float = 5.0) -> np.ndarray:
    """A random smooth frequency response: eight points, even in octaves from 60 Hz to half the rate."""
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
    """White noise of so many dB full scale under it."""
    return audio_S + (10 ** (level_db / 20) * rng.standard_normal(len(audio_S))).astype(np.float32)


def with_silence(audio_S: np.ndarray, rng: np.random.Generator, ramp_samples: int = 240) -> np.ndarray:
    """Cut to silence before or after a random moment, over a short ramp."""
    at = int(rng.integers(len(audio_S)))
    gate_S = np.clip((np.arange(len(audio_S)) - at) / ramp_samples, 0, 1).astype(np.float32)
    return audio_S * (gate_S if rng.random() < 0.5 else 1 - gate_S)
