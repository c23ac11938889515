"""Frequencies on Slaney's mel scale: the triangles that turn a spectrum into mel bands, as librosa draws them."""

import numpy as np

_KNEE_HZ = 1000.0
_HZ_PER_MEL = 200.0 / 3
_LOG_STEP = np.log(6.4) / 27
"""Slaney's Auditory Toolbox (1998): linear below 1 kHz, then 27 mels for each factor of 6.4."""


def mel_filters(sample_rate_hz: int, fft_samples: int, num_bands: int) -> np.ndarray:
    """filters_MK float32 [bands, fft / 2 + 1] from 0 to half the rate, each triangle of unit area in Hz."""
    hz_K = np.linspace(0, sample_rate_hz / 2, fft_samples // 2 + 1)
    edges_hz = _hz_of(np.linspace(0, _mel_of(sample_rate_hz / 2), num_bands + 2))
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising, falling = (hz_K - low) / (centre - low), (high - hz_K) / (high - centre)
    return (np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)).astype(np.float32)


def _mel_of(hz: float) -> float:
    if hz < _KNEE_HZ:
        return hz / _HZ_PER_MEL
    return float(_KNEE_HZ / _HZ_PER_MEL + np.log(hz / _KNEE_HZ) / _LOG_STEP)


def _hz_of(mel: np.ndarray) -> np.ndarray:
    knee = _KNEE_HZ / _HZ_PER_MEL
    hz: np.ndarray = np.where(mel < knee, mel * _HZ_PER_MEL, _KNEE_HZ * np.exp((mel - knee) * _LOG_STEP))
    return hz
