"""A voice that was asked for one f0 and sang another, retuned: the asked f0, and nothing else changed."""

import numpy as np
import pytest

from autosing.audio.io import resample
from autosing.songs.retune import _MOST_CYCLES, _whole_cycles, retune

RATE_HZ = 24000
FRAME_SAMPLES = 300
NUM_FRAMES = 160


def voice(f0_hz_S: np.ndarray) -> np.ndarray:
    """Harmonics below 4 kHz that fall by 6 dB an octave, with a resonance at 700 Hz."""
    phase_S = 2 * np.pi * np.cumsum(f0_hz_S) / RATE_HZ
    sound_S = np.zeros(len(f0_hz_S))
    for harmonic in range(1, int(4000 / f0_hz_S.max())):
        hz = harmonic * float(f0_hz_S.mean())
        sound_S += (1 / harmonic + np.exp(-np.square((hz - 700) / 150))) * np.sin(harmonic * phase_S + harmonic**2)
    return 0.1 * sound_S


def melody(low_hz: float) -> np.ndarray:
    """asked_hz_F: two notes with a glide, and vibrato on the second."""
    time_F = np.arange(NUM_FRAMES) * FRAME_SAMPLES / RATE_HZ
    semitones_F = 3 / (1 + np.exp(-(time_F - 0.8) / 0.03)) + 0.3 * np.sin(2 * np.pi * 5.5 * time_F) * (time_F > 1.2)
    return low_hz * 2 ** (semitones_F / 12)


def between(hz_F: np.ndarray) -> np.ndarray:
    return np.interp(np.arange(NUM_FRAMES * FRAME_SAMPLES) / FRAME_SAMPLES, np.arange(NUM_FRAMES), hz_F)


def strayed(asked_hz_F: np.ndarray) -> np.ndarray:
    """As the network strays: by a semitone at the start of each note, then a few cents."""
    time_F = np.arange(NUM_FRAMES) * FRAME_SAMPLES / RATE_HZ
    cents_F = 12 - 100 * np.exp(-np.maximum(time_F - 0.1, 0) / 0.08) + 90 * np.exp(-np.abs(time_F - 0.85) / 0.06)
    return asked_hz_F * 2 ** (cents_F / 1200)


def cents_off(sound_S: np.ndarray, asked_hz_F: np.ndarray, voiced_F: np.ndarray) -> np.ndarray:
    """|cents| of frames that an independent tracker calls voiced, from 50 ms inside of the voiced parts."""
    from swift_f0 import SwiftF0

    heard = SwiftF0(threads=1).detect(resample(sound_S.astype(np.float32), RATE_HZ, 16000), 16000)
    frame = np.round(np.asarray(heard.timestamps) * RATE_HZ / FRAME_SAMPLES).astype(int)
    inside_F = np.convolve(voiced_F, np.ones(9), "same") == 9
    kept = (frame < NUM_FRAMES) & (np.asarray(heard.confidence) > 0.8)
    kept &= inside_F[np.minimum(frame, NUM_FRAMES - 1)]
    assert kept.sum() > 40
    return 1200 * np.abs(np.log2(np.asarray(heard.pitch_hz)[kept] / asked_hz_F[frame[kept]]))


@pytest.mark.parametrize("low_hz", [90.0, 200.0, 420.0])
def test_an_independent_tracker_hears_the_asked_f0(low_hz):
    asked_hz_F = melody(low_hz)
    voiced_F = np.arange(NUM_FRAMES) % 80 >= 8
    sound_S = voice(between(strayed(asked_hz_F)))
    before = cents_off(sound_S, asked_hz_F, voiced_F)
    after = cents_off(retune(sound_S, RATE_HZ, asked_hz_F, voiced_F, FRAME_SAMPLES), asked_hz_F, voiced_F)
    assert (before < 50).mean() < 0.95 and np.median(before) > 9
    assert (after < 30).mean() > 0.97 and np.median(after) < 6


def test_unvoiced_parts_and_the_length_stay_as_they_were_to_the_sample():
    asked_hz_F = melody(200)
    voiced_F = (np.arange(NUM_FRAMES) > 20) & (np.arange(NUM_FRAMES) < 90)
    noise_S = 0.05 * np.random.default_rng(0).standard_normal(NUM_FRAMES * FRAME_SAMPLES)
    sound_S = (voice(between(strayed(asked_hz_F))) + noise_S).astype(np.float32)
    retuned_S = retune(sound_S, RATE_HZ, asked_hz_F, voiced_F, FRAME_SAMPLES)
    voiced_S = np.repeat(voiced_F, FRAME_SAMPLES)
    assert len(retuned_S) == len(sound_S) and np.array_equal(retuned_S[~voiced_S], sound_S[~voiced_S])
    assert not np.allclose(retuned_S[voiced_S], sound_S[voiced_S], atol=0.05)
    again_S = retune(sound_S, RATE_HZ, asked_hz_F, voiced_F, FRAME_SAMPLES)
    assert retuned_S.tobytes() == again_S.tobytes()


def test_a_voice_that_did_as_asked_stays_nearly_as_it_was():
    asked_hz_F, voiced_F = np.full(NUM_FRAMES, 220.0), np.arange(NUM_FRAMES) > 8
    sound_S = voice(between(asked_hz_F))
    change_S = retune(sound_S, RATE_HZ, asked_hz_F, voiced_F, FRAME_SAMPLES) - sound_S
    assert np.square(change_S).mean() < 0.01 * np.square(sound_S).mean()


def test_what_sounds_moves_by_less_than_a_cycle():
    asked_hz_F, all_F = np.full(NUM_FRAMES, 200.0), np.ones(NUM_FRAMES, bool)
    loud_S = 1 + 3 * (np.arange(NUM_FRAMES * FRAME_SAMPLES) > 24000)
    sound_S = loud_S * voice(between(asked_hz_F * 2 ** (80 / 1200)))
    retuned_S = retune(sound_S, RATE_HZ, asked_hz_F, all_F, FRAME_SAMPLES)
    level_S = np.convolve(np.square(retuned_S), np.ones(240), "same")
    rise = int(np.argmax(level_S > level_S[40000:].mean() / 3))
    assert abs(rise - 24000) < 240


def test_cycles_are_skipped_seldom_and_never_too_late():
    ahead_S = np.cumsum(np.random.default_rng(1).normal(0, 0.01, 20000)) + np.linspace(0, 5, 20000)
    skipped_S = _whole_cycles(ahead_S)
    assert np.all(np.abs(ahead_S - skipped_S) <= _MOST_CYCLES)
    assert 5 <= np.count_nonzero(np.diff(skipped_S)) <= 25
