"""A voice in opposite phase on two channels is heard; of ordinary audio, one channel is the mean to the bit."""

import numpy as np
import pytest

from autosing.audio.encoded import Stem
from autosing.audio.io import Audio, AudioReader, decode, encode, inspect
from autosing.models.separation import split
from autosing.schemas.tables import LyricLine, Word
from processing.stages.segment import Aligned, Segment, SegmentConfig

RATE = 16_000


def buzz(seconds: float, f0_hz: float = 220.0, level: float = 0.1) -> np.ndarray:
    t_S = np.arange(round(seconds * RATE)) / RATE
    return (level * sum(np.sin(2 * np.pi * f0_hz * k * t_S) / k for k in range(1, 6))).astype(np.float32)


def noise(seconds: float, seed: int, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def streamed(data: Stem) -> np.ndarray:
    with AudioReader(data) as reader:
        return np.concatenate(list(reader.mono_blocks(RATE)), axis=1)[0]


VOICE_S, RESIDUE_S = buzz(8.0), noise(8.0, 0, 0.01)
WIDTH_S = noise(8.0, 1, 0.15)
ORDINARY = {
    "mono": VOICE_S[None],
    "both alike": np.stack([VOICE_S, VOICE_S]),
    "one side": np.stack([VOICE_S, 0 * VOICE_S]),
    "unlike": np.stack([noise(8.0, 1), noise(8.0, 2)]),
    "wide, the difference louder than the mean": VOICE_S + np.stack([WIDTH_S, -WIDTH_S]),
    "silent": np.zeros((2, 8 * RATE), np.float32),
    "three channels": np.stack([VOICE_S, -VOICE_S, RESIDUE_S]),
}  # fmt: skip


@pytest.mark.parametrize("samples_CS", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_audio_becomes_its_mean_to_the_bit(samples_CS):
    audio = decode(encode(Audio(samples_CS, RATE), "wav"))
    mean_S = audio.samples_CS.mean(axis=0, dtype=np.float32)
    np.testing.assert_array_equal(audio.mono_S(), mean_S)
    np.testing.assert_array_equal(streamed(encode(audio, "wav")), mean_S)
    found = inspect(encode(audio, "wav"))
    assert (found.mono_mean, found.mono_std) == pytest.approx((mean_S.mean(), mean_S.std()), abs=1e-6)


@pytest.mark.parametrize("weight", [1.0, 0.7], ids=["equal", "one quieter"])
def test_an_opposed_voice_is_heard_wherever_two_channels_become_one(weight):
    opposed = Audio(np.stack([VOICE_S + RESIDUE_S, RESIDUE_S - weight * VOICE_S]), RATE)
    voice_S = VOICE_S * (1 + weight) / 2
    data = encode(opposed, "flac")
    for mono_S in (opposed.mono_S(), streamed(data), streamed((data, data))[: len(VOICE_S)]):
        np.testing.assert_allclose(mono_S, voice_S, atol=1e-4)
    assert inspect(data).mono_std == pytest.approx(voice_S.std(), rel=1e-2)


def test_it_is_decided_once_so_that_no_sign_changes_within():
    """Silence and residue before the voice do not count, nor does what follows a loud minute."""
    ahead_S, voice_S = noise(20.0, 3, 1e-3), buzz(70.0)
    samples_CS = np.stack(
        [np.concatenate([ahead_S, voice_S, buzz(5.0)]), np.concatenate([ahead_S, -voice_S, buzz(5.0)])]
    )
    mono_S = streamed(encode(Audio(samples_CS, RATE), "flac"))
    np.testing.assert_allclose(mono_S[20 * RATE : 90 * RATE], voice_S, atol=1e-4)
    assert np.abs(mono_S[90 * RATE :]).max() < 1e-4


def test_a_song_of_which_all_is_opposed_is_separated_at_its_own_level():
    mix = Audio(np.stack([VOICE_S, -VOICE_S]), RATE)
    heard = []

    def vocals_of(blocks, known):
        heard.append(known.mono_std)
        return blocks

    split(mix, vocals_of)
    assert heard == [pytest.approx(VOICE_S.std(), rel=1e-3)]


def test_clips_are_cut_from_an_opposed_voice():
    song = Aligned("s", "en", [LyricLine("la", 0.0, 8.0, 1.0, True)], [Word("la", 0.0, 4.0, 1.0, 0)],
                   encode(Audio(np.stack([VOICE_S, -VOICE_S]), RATE)), None, None, None)  # fmt: skip
    (clip,) = Segment(SegmentConfig()).apply(song)
    assert clip.singing_fraction > 0.9
