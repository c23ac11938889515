"""The separate stage: stems that add up to the song at any rate, level and channels, and songs that hold no music."""

import numpy as np
import pytest
import torch

from autosing.audio.io import Audio, decode, encode
from autosing.errors import InputError
from autosing.metrics.separation import sdr_db, si_sdr_db
from autosing.models.separation import split
from autosing.models.spleeter import Spleeter, join
from autosing.stage import Rejected
from processing.stages.separate import Separate, SeparateConfig, SongAudio


def song(seconds: float, rate: int = 44_100, channels: int = 2, peak: float = 0.9) -> Audio:
    samples_CS = np.random.default_rng(0).normal(size=(channels, round(seconds * rate))).astype(np.float32)
    return Audio(samples_CS * np.float32(peak / np.abs(samples_CS).max()), rate)


def at_once(change):
    """A separator that wants the song as a whole."""
    return lambda mix, known: iter([change(np.concatenate(list(mix), axis=1))])


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (44_100, 1), (48_000, 2), (22_050, 1)])
def test_the_stems_are_as_long_as_the_song_and_add_up_to_it_as_stored(rate, channels):
    mix = decode(encode(song(1.0171, rate, channels, peak=1.0)))
    stems = split(mix, at_once(lambda mix_CS: 0.7 * np.roll(mix_CS, 3, axis=1)))
    voice_CS, rest_CS = (decode(encode(stem)).samples_CS for stem in stems)
    assert voice_CS.shape == rest_CS.shape == mix.samples_CS.shape
    np.testing.assert_allclose(voice_CS + rest_CS, mix.samples_CS, atol=0.51 / 32768)


def test_a_separator_that_overshoots_still_leaves_stems_that_add_up():
    mix = decode(encode(song(0.5, peak=1.0)))
    voice, rest = split(mix, at_once(lambda mix_CS: -1.8 * mix_CS))
    assert max(np.abs(stem.samples_CS).max() for stem in (voice, rest)) <= 1
    np.testing.assert_allclose(voice.samples_CS + rest.samples_CS, mix.samples_CS, atol=1e-6)


def test_a_cappella_is_all_voice():
    stage = Separate(SeparateConfig(separator="none"))
    stage.setup()
    (row,) = stage.apply(SongAudio("a", encode(song(1.2))))
    assert row.instrumental is None and row.duration_s == pytest.approx(1.2)
    np.testing.assert_array_equal(decode(row.vocals).samples_CS, decode(encode(song(1.2))).samples_CS)


def test_silence_and_snippets_are_rejected_with_what_was_found():
    stage = Separate(SeparateConfig(separator="none"))
    stage.setup()
    silence = Audio(np.zeros((2, 88_200), np.float32), 44_100)
    found = [stage.apply(SongAudio("a", encode(audio))) for audio in (silence, song(0.3))]
    assert [(row.reason, row.measurement) for row in found if isinstance(row, Rejected)] == [
        ("silent", "peak 0.0e+00, need 0.0001"),
        ("too_short", "0.30 s, need 1.0 s"),
    ]
    with pytest.raises(InputError, match="not readable as audio"):
        stage.apply(SongAudio("a", b"these are words"))


def in_blocks(samples_CS: np.ndarray, size: int):
    return (samples_CS[:, i : i + size] for i in range(0, samples_CS.shape[1], size))


@pytest.mark.parametrize("samples", [100, 4096, 520 * 1024 + 7])
def test_a_spectrum_left_alone_is_the_signal(samples):
    mix_CS = torch.randn(2, samples)
    signals = [in_blocks(mix_CS.numpy(), 70_001), in_blocks(0 * mix_CS.numpy(), 1 << 20)]
    parts = Spleeter().through_spectrum(lambda one, other: one, 512, samples, *signals)
    np.testing.assert_allclose(np.concatenate(list(parts), axis=1), mix_CS, atol=1e-5, rtol=1e-4)


def anybodys(mask_model: Spleeter) -> Spleeter:
    """The way around the networks, with networks that anybody can work out."""
    mask_model.vocals, mask_model.accompaniment = torch.nn.AvgPool2d(3, 1, 1), torch.nn.AvgPool2d(5, 1, 2)
    return mask_model.eval()


def test_neither_level_nor_how_many_patches_are_seen_at_once_changes_anything():
    model = anybodys(Spleeter())
    mix_CS = torch.randn(2, 520 * 1024)
    first = model(mix_CS)
    assert first.shape == mix_CS.shape
    torch.testing.assert_close(model(mix_CS, 2), first, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model(0.01 * mix_CS) * 100, first, atol=1e-4, rtol=1e-3)


def test_two_views_that_agree_are_believed_and_one_that_misses_is_outvoted():
    x_CTM = torch.randn(2, 3, 2049, dtype=torch.complex64)
    torch.testing.assert_close(join(x_CTM, x_CTM), x_CTM)
    torch.testing.assert_close(join(x_CTM, 0 * x_CTM), x_CTM, atol=1e-4, rtol=1e-3)


def test_demucs_runs_from_a_folder_of_models_and_its_digest_is_part_of_the_fingerprint(tmp_path):
    from demucs.htdemucs import HTDemucs
    from demucs.states import get_state, save_with_checksum

    torch.manual_seed(0)
    small = {"channels": 8, "dconv_comp": 4, "depth": 4, "t_layers": 1, "t_heads": 2, "bottom_channels": 0}
    model = HTDemucs(["drums", "bass", "other", "vocals"], **small, nfft=1024, segment=2)
    args, kwargs = model._init_args_kwargs
    state = get_state(model, None, half=True)
    save_with_checksum({"klass": HTDemucs, "args": args, "kwargs": kwargs, "state": state}, tmp_path / "tiny.th")
    config = SeparateConfig(separator="demucs", model="tiny", repo=tmp_path)
    results = []
    for _ in range(2):
        stage = Separate(config)
        stage.setup()
        results += stage.apply(SongAudio("a", encode(song(2.5))))
    assert results[0] == results[1]
    (name,) = stage.weights()
    assert name.startswith("tiny-") and len(decode(results[0].vocals).samples_CS) == 2


def test_an_unknown_demucs_model_is_refused_before_any_work():
    with pytest.raises(InputError, match="only htdemucs is known"):
        Separate(SeparateConfig(separator="demucs", model="mdx")).setup()


def test_sdr_of_noise_twenty_decibels_below_is_twenty():
    rng = np.random.default_rng(0)
    voice_CS = rng.normal(size=(1, 44_100))
    noisy_CS = voice_CS + 0.1 * rng.normal(size=voice_CS.shape)
    assert si_sdr_db(voice_CS, noisy_CS) == pytest.approx(20, abs=0.2)
    assert sdr_db(voice_CS, noisy_CS) == pytest.approx(20, abs=0.4)
    assert sdr_db(voice_CS, np.roll(noisy_CS, 20, axis=1)) == pytest.approx(20, abs=0.4)


@pytest.mark.slow
def test_spleeter_parts_a_sung_song_and_its_level_does_not_matter():
    from autosing.songs import tiny_song

    mix, _, stems = tiny_song(seed=1, seconds=12)
    stage = Separate(SeparateConfig())
    stage.setup()
    voice, _ = split(mix, stage.vocals_of)
    true_CS = np.broadcast_to(stems.vocals.samples_CS, mix.samples_CS.shape)
    assert sdr_db(true_CS, voice.samples_CS) > sdr_db(true_CS, mix.samples_CS) + 5
    quiet, _ = split(Audio(0.1 * mix.samples_CS, mix.sample_rate_hz), stage.vocals_of)
    assert si_sdr_db(voice.samples_CS, quiet.samples_CS) > 40
