"""Speech -> the same on one pitch, so that what is heard of it (autosing.models.content) holds little of its melody.

As AlignSTS (Li et al. 2023, arXiv:2305.04476, section 3.1): WORLD's analysis, every voiced frame on the mean pitch of
the recording, and resynthesis. In pieces, since WORLD's analysis is fifty times as large as the sound.

Shapes: S samples at 16 kHz, T values of pitch at 100 Hz.
"""

import numpy as np

from autosing.audio.pitch import PitchTracker, pitch_at
from autosing.metrics.controls import WorldVoice
from autosing.models.content import SAMPLE_RATE_HZ
from autosing.timebase import PITCH_RATE_HZ

_PIECE_S, _CONTEXT_S, _FADE_S = 20, 0.5, 0.05


def monotone(audio_S: np.ndarray, track: PitchTracker) -> np.ndarray:
    """audio_S of the same length. Sound in which nothing is voiced comes back as it is.

    Raises InputError where WORLD is not installed.
    """
    f0_hz_T = track(audio_S, SAMPLE_RATE_HZ)
    voiced_T = f0_hz_T > 0
    if not voiced_T.any():
        return audio_S.astype(np.float32)
    flat_T = np.where(voiced_T, np.exp(np.log(f0_hz_T[voiced_T]).mean()), 0.0).astype(np.float32)
    piece, context, fade = (round(seconds * SAMPLE_RATE_HZ) for seconds in (_PIECE_S, _CONTEXT_S, _FADE_S))
    rising_S = ((np.arange(fade) + 0.5) / fade).astype(np.float32)
    made_S = np.zeros(len(audio_S), np.float32)
    for first in range(0, len(audio_S), piece):
        start, end = max(0, first - context), min(len(audio_S), first + piece + context)
        part_S = _flattened(audio_S[start:end], start / SAMPLE_RATE_HZ, f0_hz_T, flat_T)
        last = min(len(audio_S), first + piece)
        fades = min(fade, len(audio_S) - first) if first else 0
        made_S[first : first + fades] *= 1 - rising_S[:fades]
        part_S[first - start : first - start + fades] *= rising_S[:fades]
        made_S[first : min(last + fade, end)] += part_S[first - start : min(last + fade, end) - start]
    return made_S


def _flattened(audio_S: np.ndarray, start_s: float, f0_hz_T: np.ndarray, flat_T: np.ndarray) -> np.ndarray:
    """One piece; spectra are read at its own pitch, and sung at the flat one."""
    first = round(start_s * float(PITCH_RATE_HZ))
    voice = WorldVoice.of(audio_S, SAMPLE_RATE_HZ, f0_hz_T[first:])
    times_T = np.arange(len(voice.f0_hz_T)) * voice.frame_s
    flat = pitch_at(flat_T[first:], float(PITCH_RATE_HZ), times_T).astype(np.float64)
    return voice.on(flat).sound()
