"""A watermark is found in what was marked and in nothing else, changes no length, and does not depend on blocks."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from autosing.audio.io import Audio, decode, encode
from autosing.errors import InputError
from autosing.songs import tiny_song
from inference.provenance import watermark
from inference.provenance.origin import Origin
from inference.provenance.sound import write_sound
from inference.provenance.watermark import heard_in, marked, watermark_here

pytest.importorskip("perth", reason="the extra 'watermark' is not installed")
RATE_HZ = 24_000


@pytest.fixture(scope="module")
def mark():
    found = watermark_here()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def sung_S() -> np.ndarray:
    """A made voice of 13 s: one window and a part of one."""
    _, _, stems = tiny_song(seed=3, seconds=13)
    return Audio(stems.vocals.samples_CS, stems.vocals.sample_rate_hz).resampled(RATE_HZ).mono_S()


def all_of(mark, samples_CS: np.ndarray, rate_hz: int = RATE_HZ, parts: int = 1) -> np.ndarray:
    blocks = iter(np.array_split(samples_CS, parts, axis=1))
    return np.concatenate(list(marked(blocks, rate_hz, len(samples_CS), mark)), axis=1)


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3", "opus"])
def test_it_is_found_in_a_file_of_each_format_and_not_in_the_same_unmarked(mark, sung_S, tmp_path, format):
    for name, on in (("marked", True), ("plain", False)):
        path = tmp_path / f"{name}.{format}"
        tags = write_sound(path, iter([sung_S[None]]), RATE_HZ, 1, Origin("autosing sing", {}, 0), watermark=on)
        heard = heard_in(path, mark)
        assert (heard.found or heard.doubtful) if on else not heard.found
        assert not on or format != "wav" or heard.found
        assert tags["AUTOSING_WATERMARK"] == (mark.name if on else "none")


def test_it_has_every_sample_and_other_blocks_give_the_same(mark, sung_S):
    whole_CS = all_of(mark, sung_S[None])
    assert whole_CS.shape == (1, len(sung_S))
    np.testing.assert_array_equal(all_of(mark, sung_S[None], parts=17), whole_CS)
    np.testing.assert_array_equal(all_of(mark, sung_S[None]), whole_CS)
    assert 0 < np.abs(whole_CS - sung_S).max() < 0.5 * np.abs(sung_S).max()


def test_the_seam_of_windows_is_as_the_middle_of_one(mark, sung_S, monkeypatch):
    whole_CS = all_of(mark, sung_S[None])
    monkeypatch.setattr(watermark, "_STRIDE_S", 20)
    seamless_CS = all_of(mark, sung_S[None])
    at = slice(10 * RATE_HZ - 4_800, 10 * RATE_HZ + 4_800)
    apart = np.abs(whole_CS - seamless_CS)[:, at].max()
    assert apart < 0.02 * np.abs(seamless_CS - sung_S)[:, at].max()


@pytest.mark.parametrize("rate_hz, num_samples", [(8_000, 1), (24_000, 700), (32_000, 31_999), (44_100, 44_101)])
def test_any_rate_and_length(mark, rate_hz, num_samples):
    noise_CS = np.random.default_rng(0).normal(0, 0.1, (2, num_samples)).astype(np.float32)
    found_CS = all_of(mark, noise_CS, rate_hz, parts=3)
    assert found_CS.shape == noise_CS.shape and np.isfinite(found_CS).all()


def test_above_16_khz_nothing_is_lost(mark):
    t_S = np.arange(2 * 48_000) / 48_000
    tone_CS = (0.1 * np.sin(2 * np.pi * 20_000 * t_S))[None].astype(np.float32)
    np.testing.assert_allclose(all_of(mark, tone_CS, 48_000), tone_CS, atol=1e-3)


def test_silence_stays_silent_and_has_none(mark, tmp_path):
    silence_CS = np.zeros((1, 3 * RATE_HZ), np.float32)
    assert np.abs(all_of(mark, silence_CS)).max() < 1e-6
    (tmp_path / "a.wav").write_bytes(encode(Audio(silence_CS, RATE_HZ), "wav"))
    heard = heard_in(tmp_path / "a.wav", mark)
    assert (heard.found, heard.seconds) == (False, 0.0)


def test_each_channel_is_marked_by_itself(mark, sung_S, tmp_path):
    both_CS = np.stack([sung_S, -0.5 * np.roll(sung_S, 3_000)])
    path = tmp_path / "a.wav"
    write_sound(path, iter([both_CS]), RATE_HZ, 2, Origin("autosing sing", {}, 0), watermark=True)
    left_CS = decode(path).samples_CS[:1]
    (tmp_path / "left.wav").write_bytes(encode(Audio(left_CS, RATE_HZ), "wav"))
    assert heard_in(path, mark).found and heard_in(tmp_path / "left.wav", mark).found


def test_memory_does_not_grow_with_the_length(mark, monkeypatch):
    monkeypatch.setattr(type(mark), "change", lambda self, audio_CS: np.zeros_like(audio_CS))
    peaks = []
    for minutes in (2, 20):
        blocks = (np.zeros((1, RATE_HZ), np.float32) for _ in range(60 * minutes))
        tracemalloc.start()
        samples = sum(block_CS.shape[1] for block_CS in marked(blocks, RATE_HZ, 1, mark))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert samples == 60 * minutes * RATE_HZ
    assert peaks[1] < 1.5 * peaks[0]


def test_weights_that_are_not_those_we_know_are_refused(monkeypatch):
    monkeypatch.setattr(watermark, "_SHA256", "0" * 64)
    with pytest.raises(InputError, match=r"has digest a15bce457ebc, need 000000000000.*--no-watermark"):
        watermark_here.__wrapped__()


def test_loading_prints_nothing(capfd):
    assert watermark_here.__wrapped__() is not None
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_no_audio_is_refused(mark, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(InputError, match="not readable as audio"):
        heard_in(Path(tmp_path / "a.wav"), mark)
