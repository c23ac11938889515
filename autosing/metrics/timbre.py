"""A voice -> its long-term average spectrum: who sings, told without any trained network.

A second judge beside GE2E, which models are told singers by, and may be trained against. It hears formants and spectral
balance, and nothing of manner. Pitch moves it, too, so a target should sing in its own range.

Shapes: S samples, T frames, M mel bands, K singers.
"""

from collections.abc import Mapping

import numpy as np

from autosing.errors import InputError
from autosing.metrics.spectral import log_mel_db

BELOW_LOUD_DB = 30.0
"""Frames so far below the loud ones do not count as voice."""


def average_spectrum_db(audio_S: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """spectrum_M in dB: the mean log-mel powers of the frames that sound, less their own mean, so that level does not
    matter. Raises InputError where nothing sounds."""
    mel_TM = log_mel_db(audio_S, sample_rate_hz)
    level_T = mel_TM.max(1)
    loud_db = float(np.quantile(level_T, 0.95))
    if loud_db <= mel_TM.min():
        raise InputError("spectrum of a voice: nothing sounds", "no_voice")
    spectrum_M: np.ndarray = mel_TM[level_T > loud_db - BELOW_LOUD_DB].mean(0)
    return spectrum_M - spectrum_M.mean()


def nearest_by_spectrum(spectrum_M: np.ndarray, target: str, singers: Mapping[str, np.ndarray]) -> bool:
    """Whether the target's spectrum_M is nearer (Euclid) than that of every other singer.

    Raises InputError for a target that is no singer, and for only one singer.
    """
    if target not in singers or len(singers) < 2:
        raise InputError(f"target {target}: need it among two singers or more, found {', '.join(singers) or 'none'}")
    away = {name: float(np.linalg.norm(spectrum_M - own_M)) for name, own_M in singers.items()}
    return all(away[target] < distance for name, distance in away.items() if name != target)
