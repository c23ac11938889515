"""An accompaniment -> the key that it is in: its pitch classes over time, matched to Krumhansl and Kessler's profiles.

Profiles tell how well each tone of the octave was felt to fit a key (Krumhansl and Kessler 1982, Psychological Review
89). The key is the one whose profile correlates best with how loud each pitch class is (Krumhansl 1990).

Shapes: S samples, K bins of a spectrum, T frames.
"""

from typing import Literal, NamedTuple

import numpy as np
import torch

from autosing.audio.io import Audio, resample
from autosing.nn.stft import stft

_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_RATE_HZ = 11_025
_WINDOW, _HOP = 8192, 2048
"""0.74 s: neighbouring semitones are apart from 80 Hz on."""
_LOW_HZ, _HIGH_HZ = 55.0, 500.0
"""Higher up, overtones are of other pitch classes than the tones played."""
_SILENT = 1e-4
"""Peak amplitude below which nothing is played."""
_FAINT = 1e-3
"""Peaks so far below the loudest are its leakage."""
_LEAST = 0.65
"""The correlation from which there is a key: bands have 0.84 and more, drums and noise up to 0.54."""
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_STEPS = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


class Key(NamedTuple):
    """Concert pitch (A4 = 440 Hz) and equal temperament are taken for granted."""

    tonic: int
    """0 is C, 11 is B."""
    mode: Literal["major", "minor"]

    def __str__(self) -> str:
        return f"{_NAMES[self.tonic]} {self.mode}"

    @property
    def classes(self) -> tuple[int, ...]:
        """The seven pitch classes of its scale (minor: natural)."""
        return tuple(sorted((self.tonic + step) % 12 for step in _STEPS[self.mode]))

    def cents_off(self, hz: np.ndarray) -> np.ndarray:
        """How far each pitch (Hz, above 0) is from the nearest tone of the scale, in cents: 0 to 100."""
        place = 12 * np.log2(hz / 440) + 9  # in semitones above a C
        away = np.abs((place[..., None] - np.array(self.classes) + 6) % 12 - 6)
        off: np.ndarray = 100 * away.min(axis=-1)
        return off


def key_of(audio: Audio) -> Key | None:
    """None where nothing is played, or nothing that is in a key: drums, noise, a single tone."""
    mono_S = resample(audio.mono_S(), audio.sample_rate_hz, _RATE_HZ)
    if len(mono_S) == 0 or np.abs(mono_S).max() < _SILENT:
        return None
    loud_C = _pitch_classes(np.pad(mono_S, (0, max(0, _WINDOW - len(mono_S)))))
    if np.ptp(loud_C) <= 1e-6 * loud_C.max():
        return None
    found = {
        (tonic, mode): float(np.corrcoef(np.roll(profile, tonic), loud_C)[0, 1])
        for mode, profile in (("major", _MAJOR), ("minor", _MINOR)) for tonic in range(12)
    }  # fmt: skip
    tonic, mode = max(found, key=lambda key: found[key])
    if found[tonic, mode] < _LEAST:
        return None
    return Key(tonic, "major" if mode == "major" else "minor")


def _pitch_classes(mono_S: np.ndarray) -> np.ndarray:
    """How much of the sound belongs to each of the twelve. Each frame counts alike, whatever its level; a bin counts
    where it is a peak, so that drums, whose spectra have few, weigh little."""
    audio_BS = torch.from_numpy(np.ascontiguousarray(mono_S, np.float32))[None]
    size_KT = stft(audio_BS, _WINDOW, _HOP)[0].abs().numpy()
    hz_K = np.arange(len(size_KT)) * _RATE_HZ / _WINDOW
    first, last = np.searchsorted(hz_K, (_LOW_HZ, _HIGH_HZ))
    middle_KT = size_KT[first:last]
    peak_KT = (middle_KT > size_KT[first - 1 : last - 1]) & (middle_KT >= size_KT[first + 1 : last + 1])
    peak_KT &= middle_KT > _FAINT * size_KT.max()
    height_KT = np.where(peak_KT, middle_KT, 0.0)
    height_KT /= np.maximum(height_KT.sum(axis=0), 1e-9)
    class_K = np.round(12 * np.log2(hz_K[first:last] / 440) + 9).astype(int) % 12
    loud_C: np.ndarray = np.bincount(class_K, weights=height_KT.sum(axis=1), minlength=12)
    return loud_C
