"""A dry voice -> its f0 as WORLD tracks it, beside what was asked of the singer: a voice may do as it likes."""

import numpy as np

from autosing.audio.io import Audio, resample

_TRACK_RATE_HZ = 16000
_FRAME_MS = 5.0


def track_f0(voice: Audio) -> np.ndarray:
    """float32 at F0_RATE_HZ from time 0; 0 where nothing voiced is found."""
    import pyworld

    audio_S = resample(voice.mono_S(), voice.sample_rate_hz, _TRACK_RATE_HZ).astype(np.float64)
    coarse_T, time_T = pyworld.dio(audio_S, _TRACK_RATE_HZ, f0_floor=60, f0_ceil=900, frame_period=_FRAME_MS)
    return np.asarray(pyworld.stonemask(audio_S, coarse_T, time_T, _TRACK_RATE_HZ), np.float32)
