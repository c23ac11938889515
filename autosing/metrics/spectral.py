"""A true sound and a made one -> how far their spectra lie apart, in dB: mel distance, MCD, LSD.

Each has several definitions in the literature, and figures of two definitions cannot be compared. Ours are written at
each function. All share the frames: a Hann window of 1024 samples, 256 apart, at 24 kHz (43 ms and 11 ms; at other
rates the nearest power of two), powers no lower than -80 dB (0 dB: a sine of full scale at a bin's frequency).

Shapes: S samples, T frames, K bins, M mel bands, C cepstral coefficients, P pairs of frames.
"""

from typing import Literal

import numpy as np

from autosing.audio.mel import mel_filters
from autosing.errors import InputError

Alignment = Literal["none", "dtw"]
MEL_BANDS = 80
CEPSTRAL_ORDER = 13
FLOOR_DB = -80.0
_WINDOW_S = 1024 / 24_000


def mel_distance_db(true_S: np.ndarray, made_S: np.ndarray, sample_rate_hz: int) -> float:
    """Mean over frames and bands of |difference| of log-mel powers, in dB. Frame by frame, without alignment.

    Raises InputError where the sounds are not of one length.
    """
    true_TM, made_TM = (log_mel_db(audio_S, sample_rate_hz) for audio_S in _paired(true_S, made_S))
    return float(np.abs(true_TM - made_TM).mean())


def mcd_db(
    true_S: np.ndarray,
    made_S: np.ndarray,
    sample_rate_hz: int,
    order: int = CEPSTRAL_ORDER,
    alignment: Alignment = "none",
) -> float:
    """Mel cepstral distortion (Kubichek 1993): the mean over frames of 10 / ln 10 * sqrt(2 * sum of squared
    differences of the coefficients 1 to `order`); c0, the level, is left out.

    Cepstra are those of 80 log-mel powers (`mel_cepstra`), not of a WORLD envelope: the figures are of the same size as
    SPTK's, but not the same. With "dtw" the frames are paired by dynamic time warping on these coefficients (steps
    (1, 1), (1, 0), (0, 1), Euclidean distance) and the mean is that of the path's pairs.

    Raises InputError where the sounds are not of one length and no alignment is asked for.
    """
    if not 1 <= order < MEL_BANDS:
        raise InputError(f"MCD of order {order}: need 1 to {MEL_BANDS - 1}")
    if alignment == "none":
        true_S, made_S = _paired(true_S, made_S)
    true_TC, made_TC = (mel_cepstra(log_mel_db(x_S, sample_rate_hz), order)[:, 1:] for x_S in (true_S, made_S))
    if alignment == "dtw":
        from librosa.sequence import dtw

        _, path_P2 = dtw(true_TC.T, made_TC.T, metric="euclidean")
        true_TC, made_TC = true_TC[path_P2[:, 0]], made_TC[path_P2[:, 1]]
    distance_T = np.sqrt(2 * np.square(true_TC - made_TC).sum(1))
    return float(10 / np.log(10) * distance_T.mean())


def lsd_db(true_S: np.ndarray, made_S: np.ndarray, sample_rate_hz: int) -> float:
    """Log spectral distance (Gray & Markel 1976, their d2): the root of the mean over bins, evenly spaced in Hz, of the
    squared difference of powers in dB, averaged over frames.

    Raises InputError where the sounds are not of one length.
    """
    true_TK, made_TK = (_db(_powers(audio_S, sample_rate_hz)) for audio_S in _paired(true_S, made_S))
    return float(np.sqrt(np.square(true_TK - made_TK).mean(1)).mean())


def log_mel_db(audio_S: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """mel_TM: mean power of the bins under each of 80 Slaney triangles from 0 Hz to half the rate, in dB."""
    power_TK = _powers(audio_S, sample_rate_hz)
    filters_MK = mel_filters(sample_rate_hz, window_samples(sample_rate_hz), MEL_BANDS).astype(np.float64)
    return _db(power_TK @ (filters_MK / filters_MK.sum(1, keepdims=True)).T)


def mel_cepstra(mel_TM: np.ndarray, order: int) -> np.ndarray:
    """Log-mel in dB -> cepstra_TC, C = order + 1: c_k = 1 / M * sum_m ln power_m * cos(pi k (m + 1/2) / M).

    So scaled, c0^2 + 2 (c1^2 + ... + c_{M-1}^2) is the mean square of a frame's log powers.
    """
    bands = mel_TM.shape[1]
    cosines_CM = np.cos(np.pi * np.arange(order + 1)[:, None] * (np.arange(bands) + 0.5) / bands)
    return mel_TM * (np.log(10) / 10) @ cosines_CM.T / bands


def window_samples(sample_rate_hz: int) -> int:
    """The power of two nearest to 43 ms; the hop is a quarter of it."""
    return 2 ** round(np.log2(_WINDOW_S * sample_rate_hz))


def _powers(audio_S: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """power_TK. Frames lie wholly inside the sound; what is shorter than a frame is padded with silence."""
    window = window_samples(sample_rate_hz)
    audio_S = np.pad(audio_S.astype(np.float64), (0, max(0, window - len(audio_S))))
    frames_TW = np.lib.stride_tricks.sliding_window_view(audio_S, window)[:: window // 4]
    hann_W = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    spectrum_TK = np.fft.rfft(frames_TW * hann_W, axis=1) * (2 / hann_W.sum())
    power_TK: np.ndarray = np.square(spectrum_TK.real) + np.square(spectrum_TK.imag)
    return power_TK


def _db(power: np.ndarray) -> np.ndarray:
    decibels: np.ndarray = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))
    return decibels


def _paired(true_S: np.ndarray, made_S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(true_S) != len(made_S):
        raise InputError(
            f"spectra frame by frame: {len(made_S)} samples made for {len(true_S)} true ones; need as many (MCD can "
            "be aligned by dtw)"
        )
    return true_S, made_S
