"""A voice -> the same without any model of ours: with a little noise, through WORLD, and converted by WORLD.

Shapes: S samples, T frames of WORLD (200 a second), K bins of its envelope.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autosing.audio.pitch import pitch_at
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.timebase import PITCH_RATE_HZ

_FRAME_MS = 5.0
_BAND_HZ = (200.0, 5000.0)
"""Where formants are compared."""
_RATIOS = np.geomspace(0.75, 1 / 0.75, 81)


def noisy(audio_S: np.ndarray) -> np.ndarray:
    """Times 0.8 with noise at -60 dBFS: what a recogniser loses by itself."""
    noise_S = np.random.default_rng(seed_of("control", len(audio_S))).standard_normal(len(audio_S))
    return (0.8 * audio_S + 1e-3 * noise_S).astype(np.float32)


@dataclass(frozen=True)
class WorldVoice:
    """WORLD's analysis (Morise 2016) of a sound."""

    f0_hz_T: np.ndarray
    envelope_TK: np.ndarray
    aperiodicity_TK: np.ndarray
    sample_rate_hz: int
    num_samples: int

    @classmethod
    def of(cls, audio_S: np.ndarray, sample_rate_hz: int, f0_hz_T: np.ndarray | None = None) -> "WorldVoice":
        """f0 by harvest, or the track at 100 Hz that is given. Raises InputError where WORLD is not installed."""
        pyworld = _world()
        x_S = audio_S.astype(np.float64)
        if f0_hz_T is None:
            f0_T, times_T = pyworld.harvest(x_S, sample_rate_hz, f0_floor=60.0, f0_ceil=1100.0)
        else:
            times_T = np.arange(int(1000 * len(x_S) / sample_rate_hz / _FRAME_MS) + 1) * _FRAME_MS / 1000
            f0_T = pitch_at(f0_hz_T, float(PITCH_RATE_HZ), times_T).astype(np.float64)
        envelope_TK = pyworld.cheaptrick(x_S, f0_T, times_T, sample_rate_hz)
        aperiodicity_TK = pyworld.d4c(x_S, f0_T, times_T, sample_rate_hz)
        return cls(f0_T, envelope_TK, aperiodicity_TK, sample_rate_hz, len(audio_S))

    def sound(self, pitch_ratio: float = 1.0, formant_ratio: float = 1.0) -> np.ndarray:
        """audio_S float32, as long as what was analysed; f0 and formants multiplied, each by its own ratio."""
        pyworld = _world()
        envelope_TK, aperiodicity_TK = (_moved(x, formant_ratio) for x in (self.envelope_TK, self.aperiodicity_TK))
        made_S = pyworld.synthesize(
            self.f0_hz_T * pitch_ratio, envelope_TK, aperiodicity_TK, self.sample_rate_hz, _FRAME_MS
        )
        made_S = np.pad(made_S, (0, max(0, self.num_samples - len(made_S))))
        sound_S: np.ndarray = made_S[: self.num_samples].astype(np.float32)
        return sound_S

    @property
    def frame_s(self) -> float:
        return _FRAME_MS / 1000

    def on(self, f0_hz_T: np.ndarray) -> "WorldVoice":
        """The same spectra on another pitch, 0 where unvoiced."""
        return replace(self, f0_hz_T=np.asarray(f0_hz_T, np.float64))

    def mean_log_envelope(self) -> np.ndarray:
        """dB_K, over the voiced frames, each with the mean 0 in the band of formants."""
        voiced_TK = 10 * np.log10(np.maximum(self.envelope_TK[self.f0_hz_T > 0], 1e-12))
        hz_K = self.hz()
        band_K = (hz_K >= _BAND_HZ[0]) & (hz_K <= _BAND_HZ[1])
        mean_K: np.ndarray = (voiced_TK - voiced_TK[:, band_K].mean(axis=1, keepdims=True)).mean(axis=0)
        return mean_K

    def hz(self) -> np.ndarray:
        """Of the envelope's bins."""
        return np.linspace(0, self.sample_rate_hz / 2, self.envelope_TK.shape[1])


def world(audio_S: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """WORLD's analysis and synthesis, f0 by harvest."""
    return WorldVoice.of(audio_S, sample_rate_hz).sound()


def formant_ratio(source: WorldVoice, target: WorldVoice) -> float:
    """What the source's formants are to be multiplied by: the ratio at which the two mean envelopes are most alike
    (correlation of their dB on a scale of log frequency, 200 to 5000 Hz)."""
    assert source.sample_rate_hz == target.sample_rate_hz, (source.sample_rate_hz, target.sample_rate_hz)
    hz_K, source_K, target_K = source.hz(), source.mean_log_envelope(), target.mean_log_envelope()
    at_hz = np.geomspace(*_BAND_HZ, 400)
    wanted = np.interp(at_hz, hz_K, target_K)
    alike = [np.corrcoef(np.interp(at_hz / ratio, hz_K, source_K), wanted)[0, 1] for ratio in _RATIOS]
    return float(_RATIOS[int(np.argmax(alike))])


def _world() -> Any:
    try:
        import pyworld
    except ImportError:
        raise InputError(
            "WORLD's resynthesis: pyworld-prebuilt not installed; run pip install 'autosing[songs]'"
        ) from None
    return pyworld


def _moved(x_TK: np.ndarray, ratio: float) -> np.ndarray:
    """Along frequency: what was at f stands at f * ratio."""
    if ratio == 1:
        return x_TK
    place_K = np.minimum(np.arange(x_TK.shape[1]) / ratio, x_TK.shape[1] - 1)
    low_K = np.minimum(place_K.astype(int), x_TK.shape[1] - 2)
    share_K = place_K - low_K
    return np.ascontiguousarray(x_TK[:, low_K] * (1 - share_K) + x_TK[:, low_K + 1] * share_K)
