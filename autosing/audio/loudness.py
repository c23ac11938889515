"""samples -> perceived loudness (LUFS, or dB per frame) and true peak (dBTP).

Shapes: C channels, S samples, T frames, K bins.
"""

import math

import numpy as np

from autosing.audio.io import Audio, Resampler, resample
from autosing.timebase import PITCH_RATE_HZ, num_frames

_MEASURED_PEAK = 0.25
"""torchaudio's filters clip at full scale, so loud audio is measured scaled down and the difference added again."""
_STEP_S, _STEPS_A_BLOCK, _STEPS_AT_ONCE = 0.1, 4, 100
"""BS.1770 measures blocks of 0.4 s, a new one every 0.1 s."""
_SETTLING_S = 0.5
"""The weighting forgets what came before faster than float32 can tell: its slowest pole is at 38 Hz."""
_BIAS_LUFS, _LOWEST_LUFS = -0.691, -70.0
_BLOCK = 1 << 16
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


class LoudnessMeter:
    """Blocks of samples_CS, in order -> their gated loudness after ITU-R BS.1770-4. Memory does not grow but by two
    numbers for each 0.1 s.

    At most five channels count: left, right, centre, and two surrounds with a weight of 1.41.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate, self._step = sample_rate_hz, round(_STEP_S * sample_rate_hz)
        self._before = round(_SETTLING_S * sample_rate_hz)
        self._held_CS: np.ndarray | None = None
        self._first = 0
        """Of the held samples, those that are measured already: the filters settle on them."""
        self._powers: list[np.ndarray] = []

    def push(self, samples_CS: np.ndarray) -> None:
        """The next samples of all channels."""
        new_CS = samples_CS[:5].astype(np.float32)
        held_CS = new_CS if self._held_CS is None else np.concatenate([self._held_CS, new_CS], axis=1)
        whole = (held_CS.shape[1] - self._first) // self._step
        last = self._first + whole * self._step
        for first in range(self._first, last, _STEPS_AT_ONCE * self._step):
            end = min(last, first + _STEPS_AT_ONCE * self._step)
            start = max(0, first - self._before)
            self._powers.append(self._power(held_CS[:, start:end], first - start))
        keep = max(0, last - self._before)
        self._held_CS, self._first = held_CS[:, keep:].copy(), last - keep

    def lufs(self) -> float:
        """-inf where no block of 0.4 s is louder than -70 LUFS. Audio that is shorter is padded with silence."""
        measured = sum(map(len, self._powers))
        if measured < _STEPS_A_BLOCK and self._held_CS is not None:
            short = (_STEPS_A_BLOCK - measured) * self._step - (self._held_CS.shape[1] - self._first)
            self.push(np.zeros((len(self._held_CS), max(0, short)), np.float32))
        power_N = np.concatenate([np.zeros(0), *self._powers])
        block_N = np.convolve(power_N, np.ones(_STEPS_A_BLOCK) / _STEPS_A_BLOCK, "valid") if len(power_N) else power_N
        loud_N = block_N[block_N > 10 ** ((_LOWEST_LUFS - _BIAS_LUFS) / 10)]
        if not len(loud_N):
            return -math.inf
        loud_N = loud_N[loud_N > loud_N.mean() / 10]  # 10 LU below
        return _BIAS_LUFS + 10 * math.log10(float(loud_N.mean()))

    def _power(self, samples_CS: np.ndarray, before: int) -> np.ndarray:
        """power_N of steps, K-weighted, over the channels; the first `before` samples are heard and not measured."""
        import torch
        from torchaudio.functional import highpass_biquad, treble_biquad

        peak = float(np.abs(samples_CS).max(initial=0.0))
        scale = min(1.0, _MEASURED_PEAK / peak) if peak > 0 else 1.0
        x_CS = torch.from_numpy(np.ascontiguousarray(samples_CS * np.float32(scale)))
        x_CS = treble_biquad(x_CS, self._rate, 4.0, 1500.0, 1 / math.sqrt(2))
        x_CS = highpass_biquad(x_CS, self._rate, 38.0, 0.5)[:, before:].double()
        power_CN = x_CS.square().unflatten(1, (-1, self._step)).mean(2) / scale**2
        weight_C = torch.tensor([1.0, 1.0, 1.0, 1.41, 1.41])[: len(power_CN)].double()
        power_N: np.ndarray = (weight_C @ power_CN).numpy()
        return power_N


def integrated_lufs(audio: Audio) -> float:
    """The same of a whole."""
    meter = LoudnessMeter(audio.sample_rate_hz)
    meter.push(audio.samples_CS)
    return meter.lufs()


class PeakMeter:
    """Blocks of samples_CS, in order -> the highest absolute value at four times the rate, in dB of full scale."""

    def __init__(self, sample_rate_hz: int, channels: int) -> None:
        self._dense = Resampler(sample_rate_hz, sample_rate_hz * _OVERSAMPLING, channels)
        self._peak = 0.0

    def push(self, samples_CS: np.ndarray) -> None:
        for first in range(0, samples_CS.shape[1], _BLOCK):
            part_CS = samples_CS[:, first : first + _BLOCK]
            self._heard(part_CS)
            self._heard(self._dense.push(part_CS))

    def peak_db(self) -> float:
        """Of all that was pushed, once; -inf for silence."""
        self._heard(self._dense.finish())
        return 20 * math.log10(self._peak) if self._peak > 0 else -math.inf

    def _heard(self, samples_CS: np.ndarray) -> None:
        self._peak = max(self._peak, float(np.abs(samples_CS).max(initial=0.0)))


def true_peak_db(audio: Audio) -> float:
    """The same of a whole."""
    meter = PeakMeter(audio.sample_rate_hz, len(audio.samples_CS))
    meter.push(audio.samples_CS)
    return meter.peak_db()


def amplified(audio: Audio, gain_db: float) -> Audio:
    """The same audio, `gain_db` louder."""
    return Audio(audio.samples_CS * np.float32(10 ** (gain_db / 20)), audio.sample_rate_hz)
