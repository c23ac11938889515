"""What content is heard from in training: another pitch, other formants, as asked, in time, and the same each time."""

import numpy as np
import pytest
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter, resample_poly

from train.augment import Disguise, disguised, reshaped

RATE = 24_000
TRACT_HZ = (640, 1190, 2400, 3500, 4500, 5500, 6500, 7500, 8500, 9500)


def voice(
    seconds: float = 3.0, from_hz: float = 95.0, to_hz: float = 150.0, pitch: float = 1.0, formant: float = 1.0
) -> np.ndarray:
    """Harmonics that sweep through the resonances of a throat, so that all of them can be told from the sound."""
    t_S = np.arange(round(seconds * RATE)) / RATE
    f0_S = pitch * from_hz * (to_hz / from_hz) ** (t_S / seconds)
    phase_S = 2 * np.pi * np.cumsum(f0_S) / RATE
    audio_S = sum(np.cos(k * phase_S) / k for k in range(1, int(RATE / 2 / pitch / max(from_hz, to_hz))))
    for hz in (hz for hz in formant * np.array(TRACT_HZ) if hz < 11_000):
        radius = np.exp(-np.pi * (60 + 0.04 * hz) / RATE)
        poles = [1, -2 * radius * np.cos(2 * np.pi * hz / RATE), radius**2]
        audio_S = lfilter([sum(poles)], poles, audio_S)
    return (0.3 * audio_S / np.abs(audio_S).max()).astype(np.float32)


def formants(audio_S: np.ndarray) -> np.ndarray:
    """Hz of the lowest three resonances: linear prediction from the mean spectrum of the whole clip, below 5.5 kHz."""
    audio_S = lfilter([1, -0.97], [1], resample_poly(audio_S[2000:-2000], 11, 24))
    frames_FW = np.lib.stride_tricks.sliding_window_view(audio_S, 512)[::128] * np.hanning(512)
    frames_FW = frames_FW / np.sqrt(np.square(frames_FW).sum(axis=1, keepdims=True) + 1e-12)
    lag_W = np.fft.irfft(np.square(np.abs(np.fft.rfft(frames_FW, 2048))).mean(axis=0))
    lag_W[0] *= 1 + 1e-6
    roots = np.roots(np.r_[1, -solve_toeplitz(lag_W[:14], lag_W[1:15])])
    hz = np.sort(np.angle(roots[(roots.imag > 0) & (np.abs(roots) > 0.9)]) * 11_000 / (2 * np.pi))
    return hz[hz > 250][:3]


def strongest_hz(audio_S: np.ndarray, near_hz: float) -> float:
    spectrum_K = np.abs(np.fft.rfft(audio_S[3000:-3000] * np.hanning(len(audio_S) - 6000), 1 << 21))
    low, high = (round(near_hz * factor * (1 << 21) / RATE) for factor in (0.97, 1.03))
    return (low + int(spectrum_K[low:high].argmax())) * RATE / (1 << 21)


@pytest.mark.parametrize("pitch", [0.6, 0.84, 1.0, 1.26, 1.6])
@pytest.mark.parametrize("formant", [0.8, 1.0, 1.25])
def test_pitch_is_within_ten_cents_of_what_is_asked(pitch, formant):
    """A steady voice, so that the places of its first harmonics are known to less than a cent."""
    made_S = reshaped(voice(3.0, 180, 180), RATE, pitch, formant, np.full(300, 180.0))
    found = [1200 * np.log2(strongest_hz(made_S, k * 180 * pitch) / (k * 180 * pitch)) for k in (1, 2, 3, 4)]
    assert len(made_S) == 3 * RATE and np.abs(found).max() < 10, found


@pytest.mark.parametrize(("pitch", "formant"), [
    (1.0, 1.25), (1.0, 0.8), (1.41, 1.0), (0.71, 1.0), (1.26, 1.19), (1.26, 0.84), (0.79, 1.19), (0.79, 0.84),
])  # fmt: skip
def test_formants_are_within_three_percent_of_what_is_asked(pitch, formant):
    """Against a voice that was made with that pitch and these formants, so that prediction errs alike in both."""
    np.testing.assert_allclose(formants(voice()), TRACT_HZ[:3], rtol=0.02)
    f0_hz_T = 95 * (150 / 95) ** (np.arange(300) / 300)
    found = formants(reshaped(voice(), RATE, pitch, formant, f0_hz_T)) / formants(voice(pitch=pitch, formant=formant))
    assert np.abs(found - 1).max() < 0.03, found


def test_the_clip_keeps_its_time():
    """Bursts stay where they are, to 10 ms: half a frame of content."""
    audio_S = np.zeros(2 * RATE, np.float32)
    starts_s = (0.2, 0.61, 1.03, 1.57)
    for start in starts_s:
        at = round(start * RATE)
        audio_S[at : at + 2400] = voice(0.1, 150, 150)
    for pitch, formant in ((1.41, 1.2), (0.71, 0.85), (1.0, 1.2)):
        made_S = reshaped(audio_S, RATE, pitch, formant, np.full(200, 150.0))
        middles = [_middle_s(made_S, start) - _middle_s(audio_S, start) for start in starts_s]
        assert np.abs(middles).max() < 0.01, (pitch, formant, middles)


def _middle_s(audio_S: np.ndarray, start_s: float) -> float:
    """The centre of gravity of the power of the burst that begins there."""
    first, last = round((start_s - 0.05) * RATE), round((start_s + 0.15) * RATE)
    power_S = np.square(audio_S[first:last].astype(float))
    return float((np.arange(first, last) * power_S).sum() / power_S.sum() / RATE)


def test_the_same_draw_is_the_same_voice_and_another_is_another():
    audio_S = voice(1.0)
    first_S, again_S, other_S = (
        disguised(audio_S, RATE, np.random.default_rng(seed), Disguise(), np.zeros(100)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first_S, again_S)
    assert len(first_S) == len(other_S) == len(audio_S) and np.corrcoef(first_S, other_S)[0, 1] < 0.9
    still = Disguise(pitch_semitones=0, formant_semitones=0, eq_db=0)
    np.testing.assert_array_equal(disguised(audio_S, RATE, np.random.default_rng(1), still, np.zeros(100)), audio_S)


@pytest.mark.parametrize("samples", [0, 1, 500, 2399, 2400, 2401, 10_007])
def test_any_length_is_kept_and_silence_stays_silent(samples):
    for pitch, formant in ((0.5, 0.67), (1.0, 1.5), (2.0, 1.0)):
        made_S = reshaped(voice(0.5)[:samples], RATE, pitch, formant, np.zeros(samples // 240))
        assert made_S.shape == (samples,) and made_S.dtype == np.float32 and np.isfinite(made_S).all()
        silent_S = reshaped(np.zeros(samples, np.float32), RATE, pitch, formant, np.zeros(0))
        assert np.abs(silent_S).max(initial=0) < 1e-6
