"""The key of an accompaniment, and pitches that are kept in it."""

import numpy as np
import pytest

from autosing.audio.io import Audio
from autosing.audio.key import Key, key_of
from autosing.codecs import load_codec
from autosing.songs.compose import accompaniment, compose
from inference.singing import off_key

RATE, RNG = 24_000, np.random.default_rng(0)


def chord_S(tones: list[int], seconds: float = 1.0) -> np.ndarray:
    """MIDI notes as plucked strings: eight overtones that fade."""
    at_s = np.arange(round(seconds * RATE)) / RATE
    tone_S = [
        np.sin(2 * np.pi * k * 440 * 2 ** ((midi - 69) / 12) * at_s) * np.exp(-3 * at_s) / k
        for midi in tones for k in range(1, 9)
    ]  # fmt: skip
    return 0.05 * np.sum(tone_S, axis=0)


def cadence(tonic: int, minor: bool) -> Audio:
    """Tonic, subdominant, dominant seventh, tonic."""
    third = 3 if minor else 4
    chords = [[0, third, 7], [5, 5 + third, 12], [7, 11, 14, 17], [0, third, 7, 12]]
    return Audio(np.concatenate([chord_S([48 + tonic + t for t in chord]) for chord in chords])[None], RATE)


@pytest.mark.parametrize("minor", [False, True])
def test_a_cadence_is_in_the_key_of_its_tonic_wherever_it_is_played(minor: bool) -> None:
    for tonic in range(12):
        assert key_of(cadence(tonic, minor)) == Key(tonic, "minor" if minor else "major")


def test_drums_level_and_rate_change_no_key() -> None:
    plain = cadence(2, minor=False)
    samples_CS = plain.samples_CS
    assert key_of(Audio(samples_CS + 0.02 * RNG.normal(size=samples_CS.shape), RATE)) == Key(2, "major")
    assert key_of(Audio(samples_CS * 0.01, RATE)) == Key(2, "major")
    assert key_of(Audio(np.repeat(plain.resampled(44_100).samples_CS, 2, axis=0), 44_100)) == Key(2, "major")


def test_nothing_played_has_no_key_nor_have_drums_and_noise() -> None:
    for samples in (0, 100, RATE):
        assert key_of(Audio(np.zeros((1, samples), np.float32), RATE)) is None
    click, noise, high = np.zeros((3, 2 * RATE))
    click[RATE], noise[:] = 0.5, RNG.normal(0, 0.1, 2 * RATE)
    high[:] = np.sin(2 * np.pi * 3000 * np.arange(2 * RATE) / RATE)
    kicks = np.tile(np.exp(-30 * np.arange(RATE // 2) / RATE) * RNG.normal(size=RATE // 2), 8)
    for samples_S in (click, noise, high, kicks):
        assert key_of(Audio(samples_S[None].astype(np.float32), RATE)) is None


def test_a_composed_line_is_heard_in_its_key_or_in_a_neighbouring_one() -> None:
    """A line of a few bars may lack the tone that tells two keys apart; of seven tones, six are its own."""
    shared = []
    for number in range(12):
        tune = compose(["tell the river that the morning is golden"], "en", 220.0, number)
        band = accompaniment(tune, RATE, round(tune.score.duration_s * RATE), seed=number)
        key = key_of(band)
        assert key is not None
        shared.append(len({*key.classes} & {*Key(tune.key, "major").classes}))
    assert min(shared) >= 6 and np.mean(shared) > 6.5


def test_a_scale_has_its_tones() -> None:
    assert str(Key(9, "minor")) == "A minor" and Key(9, "minor").classes == Key(0, "major").classes
    assert Key(0, "major").classes == (0, 2, 4, 5, 7, 9, 11)
    # A4, half a semitone above it, A#4 (between A and B), B4, C5.
    hz = 440 * 2 ** (np.array([0, 0.5, 1, 2, 3, -0.3]) / 12)
    np.testing.assert_allclose(Key(0, "major").cents_off(hz), [0, 50, 100, 0, 0, 30], atol=1e-6)
    np.testing.assert_allclose(Key(10, "major").cents_off(hz[:4]), [0, 50, 0, 100], atol=1e-6)


def test_pitches_off_the_scale_are_drawn_less_and_no_others() -> None:
    codec = load_codec("autosing-24khz")
    (level, hz_V), key = codec.pitch_codes(), Key(0, "major")
    bias = off_key(codec, key, 3.0)
    assert list(bias) == [level] and bias[level].shape == hz_V.shape == (codec.spec.codebook_sizes[level],)
    off_V = np.where(hz_V.numpy() > 0, key.cents_off(np.maximum(hz_V.numpy(), 1.0)), 0)
    bias_V = bias[level].numpy()
    assert hz_V[0] == 0 and bias_V[0] == 0, "what is unvoiced is in any key"
    assert (bias_V[off_V <= 30] == 0).all() and (bias_V[off_V >= 50] == -3).all()
    between = (off_V > 30) & (off_V < 50)
    assert between.any() and ((bias_V[between] < 0) & (bias_V[between] > -3)).all()
