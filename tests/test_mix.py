"""Loudness after BS.1770, and a mix that keeps the reference's balance and stays under full scale."""

import math

import numpy as np
import pytest

from autosing.audio.io import Audio
from autosing.audio.loudness import amplified, integrated_lufs, true_peak_db
from inference.mix import balance_lu, lay_over

RATE = 24_000


def sine(db: float, hz: float = 997, channels: int = 1, duration_s: float = 3, rate: int = RATE) -> Audio:
    wave_S = 10 ** (db / 20) * np.sin(2 * np.pi * hz * np.arange(round(duration_s * rate)) / rate)
    return Audio(np.repeat(wave_S[None].astype(np.float32), channels, axis=0), rate)


def noise(seed: int, channels: int = 1, scale: float = 0.1) -> Audio:
    return Audio(np.random.default_rng(seed).normal(0, scale, (channels, 2 * RATE)).astype(np.float32), RATE)


@pytest.mark.parametrize("db", [0.0, -23.0, -50.0])
@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_a_sine_of_known_level_has_its_known_loudness(db: float, rate: int) -> None:
    """EBU Tech 3341: 997 Hz at full scale is -3.01 LUFS in one channel, 3 more in two; loud audio is not clipped."""
    assert integrated_lufs(sine(db, rate=rate)) == pytest.approx(db - 3.01, abs=0.1)
    assert integrated_lufs(sine(db, channels=2, rate=rate)) == pytest.approx(db, abs=0.1)


def test_silence_and_very_short_audio_have_a_loudness_too() -> None:
    assert integrated_lufs(Audio(np.zeros((2, 100), np.float32), RATE)) == -math.inf
    assert math.isfinite(integrated_lufs(sine(-10, duration_s=0.05)))
    assert true_peak_db(Audio(np.zeros((1, 9), np.float32), RATE)) == -math.inf


def test_the_peak_between_samples_is_seen() -> None:
    """A sine at a quarter of the rate, sampled 45 degrees off its peaks: samples at -3 dB, the wave at 0."""
    wave_S = np.sin(np.pi / 2 * np.arange(2400) + np.pi / 4).astype(np.float32)
    assert true_peak_db(Audio(wave_S[None], RATE)) == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_voice_is_as_far_above_the_music_as_in_the_reference(channels: int) -> None:
    own, music = noise(0, channels, 0.08), noise(1, channels, 0.05)
    wanted = balance_lu(own, music)
    assert wanted == pytest.approx(20 * math.log10(0.08 / 0.05), abs=0.3)
    sung = noise(2, 1, 0.3)
    mixed = lay_over(sung, music, wanted)
    spread = Audio(np.repeat(mixed.vocals.samples_CS, channels, axis=0), RATE)
    assert mixed.instrumental is not None
    assert balance_lu(spread, mixed.instrumental) == pytest.approx(wanted, abs=0.05)
    quieter = lay_over(sung, music, wanted, music_gain_db=-6)
    assert quieter.balance_lu == pytest.approx(wanted + 6, abs=1e-6)


def test_stems_add_up_to_the_mix_and_no_peak_passes_the_ceiling() -> None:
    mixed = lay_over(noise(3, 1, 0.5), amplified(noise(4, 2), 12), 3.0)
    assert mixed.instrumental is not None
    total_CS = mixed.vocals.samples_CS + mixed.instrumental.samples_CS
    np.testing.assert_allclose(total_CS, mixed.mix.samples_CS, atol=1e-6)
    assert true_peak_db(mixed.mix) <= -0.99
    alone = lay_over(noise(3, 1, 0.5), None, None)
    assert alone.instrumental is None and true_peak_db(alone.mix) <= -0.99


def test_silence_on_either_side_has_no_balance_and_still_mixes() -> None:
    silence = Audio(np.zeros((1, 2 * RATE), np.float32), RATE)
    assert balance_lu(silence, noise(0)) is None
    np.testing.assert_array_equal(lay_over(silence, noise(0), None).mix.samples_CS, noise(0).samples_CS)
    assert lay_over(noise(0), silence, None).balance_lu is None
