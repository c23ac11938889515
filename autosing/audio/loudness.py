"""samples -> how loud they are to a listener (LUFS), and how high they peak between the samples (dBTP).

Shapes: C channels, S samples.
"""

import math

import numpy as np

from autosing.audio.io import Audio, resample

_MEASURED_PEAK = 0.25
"""torchaudio's filters clip at full scale, so loud audio is measured scaled down and the difference added again."""
_GATE_S = 0.4
"""BS.1770 measures blocks of 0.4 s; shorter audio is padded with silence to one block."""
_OVERSAMPLING = 4


def integrated_lufs(audio: Audio) -> float:
    """Gated loudness after ITU-R BS.1770-4; -inf where no block is louder than -70 LUFS.

    At most five channels are heard: left, right, centre, and two surrounds with a weight of 1.41.
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
