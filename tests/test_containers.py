"""Containers that libsndfile does not read, through FFmpeg; and those it reads: the sound is what was encoded."""

import io

import numpy as np
import pytest
import soundfile as sf

from autosing.audio import guard
from autosing.audio.containers import why_incomplete
from autosing.audio.io import AudioReader, decode, inspect
from autosing.errors import InputError
from processing.importer.importer import import_corpus
from support.hostile import noise, song, varying_mp3
from support.media import MADE, media, tone
from tests.test_import_guards import rows

EXACT = {"alac.m4a": 1e-4, "mka": 1e-4, "wv": 1 / 128, "tta": 1 / 128}
"""Ending of lossless codecs -> a step of the samples that they were given."""


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("ending", MADE)
def test_what_was_encoded_is_heard_here_and_apart(ending, channels):
    samples_CS = tone(1.0, channels)
    data = media(samples_CS, ending)
    heard = decode(data)
    found = inspect(data)
    assert (heard.sample_rate_hz, heard.samples_CS.shape) == (48_000, (channels, found.num_samples))
    assert found.num_samples == pytest.approx(48_000, abs=4100)
    assert found.promised_samples == pytest.approx(found.num_samples, rel=0.06)
    if ending in EXACT:
        np.testing.assert_allclose(heard.samples_CS, samples_CS, atol=EXACT[ending])
    else:
        middle_CS = heard.samples_CS[:, 20_000:28_000]
        np.testing.assert_allclose(middle_CS.std(1), samples_CS.std(1), rtol=0.02)
    assert guard.inspect_apart(data) == found


@pytest.mark.parametrize(
    ("format", "subtype"), [("AU", "PCM_16"), ("AU", "FLOAT"), ("CAF", "PCM_24"), ("W64", "PCM_16"), ("RF64", "PCM_16")]
)
def test_what_libsndfile_reads_is_read(format, subtype):
    sink = io.BytesIO()
    sf.write(sink, tone().T, 48_000, format=format, subtype=subtype)
    np.testing.assert_allclose(decode(sink.getvalue()).samples_CS, tone(), atol=1e-4)


@pytest.mark.parametrize("ending", ["alac.m4a", "mka", "wv"])
def test_blocks_of_any_size_are_the_same_samples(ending):
    data = media(tone(), ending)
    with AudioReader(data) as reader:
        blocks = list(reader.blocks(1000))
    assert max(map(len, blocks)) <= 1000
    np.testing.assert_array_equal(np.concatenate(blocks).T, decode(data).samples_CS)


@pytest.mark.parametrize("ending", ["mka"])
def test_a_file_that_is_cut_is_left_out(tmp_path, ending):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "good.wav").write_bytes(song("good"))
    (tmp_path / "s" / f"cut.{ending}").write_bytes(media(tone(6.0), ending)[:-90_000])
    report = import_corpus(tmp_path / "s", tmp_path / "c")
    assert [(item["file"], item["reason"] in ("truncated", "damaged")) for item in report.left_out] == [
        (f"cut.{ending}", True)
    ]


def _cut_m4a(how: str) -> bytes:
    """FFmpeg writes ftyp, free, mdat, moov, in this order."""
    data = media(tone(3.0), "alac.m4a")
    index = data.find(b"moov") - 4
    return {
        "in its samples": data[: len(data) // 2], "before its index": data[:index], "in its index": data[: index + 300],
        "in its head": data[:20], "and filled with zeros": data[:index] + bytes(len(data) - index),
        "by a recorder that did not end": data[: (at := data.find(b"mdat")) - 4] + bytes(4) + data[at:index],
    }[how]  # fmt: skip


@pytest.mark.parametrize("how", [
    "in its samples", "before its index", "in its index", "in its head", "and filled with zeros",
    "by a recorder that did not end",
])  # fmt: skip
def test_an_m4a_that_is_cut_is_damaged_audio_and_it_is_told_what_to_do(tmp_path, how):
    """It was called no audio, and other formats were asked for."""
    with pytest.raises(InputError, match="again") as caught:
        inspect(_cut_m4a(how))
    assert caught.value.reason == "truncated" and "need wav" not in str(caught.value)
    assert caught.value.reason == _import_beside_good(tmp_path, {"cut.m4a": _cut_m4a(how)})["cut.m4a"]["reason"]


@pytest.mark.parametrize("end", [0.5, 0.93])
def test_a_streamed_m4a_that_is_cut_in_a_piece_is_left_out(tmp_path, end):
    """Its header does not say how long it is: it was taken without its end."""
    data = media(tone(6.0), "m4a", options={"movflags": "empty_moov+default_base_moof+frag_every_frame"})
    assert inspect(data).num_samples == pytest.approx(6 * 48_000, abs=4100)
    at = data.rfind(b"mdat", 0, round(len(data) * end)) + 40
    assert _import_beside_good(tmp_path, {"cut.m4a": data[:at]})["cut.m4a"]["reason"] == "truncated"


def test_an_m4a_whose_padding_is_cut_is_whole():
    data = media(tone(), "m4a")
    assert inspect(data + (99).to_bytes(4, "big") + b"free" + bytes(9)) == inspect(data)
    assert why_incomplete(data + (99).to_bytes(4, "big") + b"free" + bytes(9)) is None


@pytest.mark.parametrize("ending", ["mka", "wv"])
def test_a_file_that_is_cut_before_its_first_sample_is_not_called_empty(ending):
    with pytest.raises(InputError, match=r"0 of \d+ samples are there; copy or download the file again") as caught:
        inspect(media(tone(3.0), ending)[:1000])
    assert caught.value.reason == "truncated"


def _import_beside_good(folder, files: dict[str, bytes]) -> dict[str, dict[str, str]]:
    """The outcome of files that are left out."""
    (folder / "s").mkdir()
    for name, data in {"good.wav": song("good"), **files}.items():
        (folder / "s" / name).write_bytes(data)
    return {item["file"]: item for item in import_corpus(folder / "s", folder / "c").left_out}


def test_files_of_people_are_taken_whatever_their_ending(tmp_path):
    (tmp_path / "s").mkdir()
    for ending in ("m4a", "aac", "mka", "wv", "mp2"):
        (tmp_path / "s" / f"{ending}.{ending}").write_bytes(media(tone(hz=300 + len(ending) + ord(ending[0])), ending))
    for ending in ("au", "caf", "w64"):
        sink = io.BytesIO()
        sf.write(sink, noise(ending).T, 16_000, format=ending.upper(), subtype="PCM_16")
        (tmp_path / "s" / f"{ending}.{ending}").write_bytes(sink.getvalue())
    report = import_corpus(tmp_path / "s", tmp_path / "c")
    assert (
        sorted(rows(tmp_path / "c")) == ["aac", "au", "caf", "m4a", "mka", "mp2", "w64", "wv"] and not report.left_out
    )


PLAYLISTS = (
    b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n",
    b"ffconcat version 1.0\nfile /etc/passwd\n",
    b"<MPD></MPD>",
)


@pytest.mark.parametrize(
    "data", [*PLAYLISTS, b"\0\0\0 ftypM4A " + bytes(99), b"\x1a\x45\xdf\xa3" + bytes(99), b"wvpk" + bytes(99)]
)
def test_playlists_and_broken_containers_are_no_audio(data):
    with pytest.raises(InputError, match=r"not readable as audio .*need wav") as caught:
        inspect(data)
    assert caught.value.reason == "not_audio"


def test_limits_hold_for_any_container(monkeypatch):
    monkeypatch.setattr("autosing.audio.io.MAX_SAMPLES", 10_000)
    with pytest.raises(InputError, match="cut the file"):
        decode(media(tone(), "mka"))


@pytest.mark.parametrize("name", [b"Xing", b"Info"])
@pytest.mark.parametrize("rate", [44_100, 22_050])
def test_an_mp3_that_counts_no_frames_is_read_to_its_end(name, rate):
    """4.00 s of music, of which 1.82 s were taken."""
    data = varying_mp3("zero", True, 4, rate, 1)
    at = max(data.find(mark) for mark in (b"Xing", b"Info"))
    for zeroed in (data[: at + 8] + bytes(8) + data[at + 16 :], data[: at + 4] + bytes(4) + data[at + 8 :]):
        named = zeroed[:at] + name + zeroed[at + 4 :]
        assert decode(named).duration_s == pytest.approx(4, abs=0.1) and why_incomplete(named) is None
        assert inspect(named).promised_samples == pytest.approx(4 * rate, abs=0.1 * rate)
