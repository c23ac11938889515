"""A new voice over a song's music, block by block: as it would be with everything in memory."""

import math

import numpy as np
import pytest
import torch

from autosing.audio.io import Audio, decode, save
from autosing.audio.loudness import LoudnessMeter, PeakMeter, integrated_lufs, true_peak_db
from inference.mix import balance_lu
from inference.mix import lay_over as lay_over_whole
from inference.voice.over_music import Stems, lay_over

RATE = 22_050


def noise(seconds: float, channels: int, level: float, seed: int = 0, rate: int = RATE) -> Audio:
    rng = np.random.default_rng(seed)
    wave_CS = rng.normal(0, level, (channels, round(seconds * rate))) * np.sin(np.arange(round(seconds * rate)) / 9000)
    return Audio(wave_CS.astype(np.float32), rate)


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_and_peak_of_blocks_are_those_of_the_whole_and_of_another_implementation(rate, channels):
    from torchaudio.functional import loudness

    audio = noise(7.3, channels, 0.08, rate=rate)
    audio.samples_CS[:, 2 * rate : 4 * rate] *= 0.003  # below the relative gate
    meter, peak, at = LoudnessMeter(rate), PeakMeter(rate, channels), 0
    for size in (1, 70_001, 13, 30_000, 1 << 20):
        for each in (meter, peak):
            each.push(audio.samples_CS[:, at : at + size])
        at += size
    assert meter.lufs() == pytest.approx(integrated_lufs(audio), abs=1e-4)
    assert meter.lufs() == pytest.approx(float(loudness(torch.from_numpy(audio.samples_CS), rate)), abs=0.02)
    assert peak.peak_db() == pytest.approx(true_peak_db(audio), abs=1e-4)


def test_silence_has_no_loudness_and_short_sounds_have_one():
    for samples in (0, 5, RATE):
        assert integrated_lufs(Audio(np.zeros((1, samples), np.float32), RATE)) == -math.inf
    assert math.isfinite(integrated_lufs(noise(0.05, 2, 0.5)))


@pytest.mark.parametrize("channels", [1, 2])
def test_a_voice_laid_over_block_by_block_is_that_laid_over_whole(tmp_path, channels):
    old, music, new = noise(6, channels, 0.3, 1), noise(6, channels, 0.2, 2), noise(6.01, 1, 0.02, 3, rate=24_000)
    for name, audio in (("vocals", old), ("music", music)):
        save(audio, tmp_path / f"{name}.wav")
    old, music = (decode(tmp_path / f"{name}.wav") for name in ("vocals", "music"))
    samples = music.samples_CS.shape[1]
    stems = Stems(
        tmp_path / "vocals.wav", tmp_path / "music.wav", RATE, channels, samples, integrated_lufs(old),
        integrated_lufs(music),
    )  # fmt: skip
    blocks = np.split(new.samples_CS[0], [10, 100_000])
    made_CS = np.concatenate(list(lay_over(iter(blocks), 24_000, stems, tmp_path)), axis=1)
    moved = Audio(new.resampled(RATE).samples_CS[:, :samples], RATE)
    wanted = lay_over_whole(moved, music, balance_lu(old, music)).mix
    assert made_CS.shape == wanted.samples_CS.shape == (channels, samples)
    np.testing.assert_allclose(made_CS, wanted.samples_CS, atol=2e-5)
