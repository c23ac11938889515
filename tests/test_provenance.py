"""What a sound carries about where it comes from: in each format, without a change of a sample, the same each time."""

import struct
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile

import autosing
from autosing.audio.io import OPUS_RATES_HZ, Audio, Writer, decode, inspect, save
from autosing.checkpoint import save_model
from autosing.errors import InputError
from autosing.storage.store import digest_of
from inference.provenance.origin import Origin, digests_of
from inference.provenance.sound import write_sound
from inference.provenance.tags import read_tags, write_tags

FORMATS = ("wav", "flac", "ogg", "opus", "mp3")
RATE_HZ = 22_050
assert RATE_HZ not in OPUS_RATES_HZ, "so that opus is resampled"
ORIGIN = Origin("autosing convert", {"svc_flow": "a" * 64, "vocoder": "b" * 64}, 7)
TAGS = {
    "AUTOSING_COMMAND": "autosing convert",
    "AUTOSING_MODELS": f"svc_flow={'a' * 64} vocoder={'b' * 64}",
    "AUTOSING_SEED": "7",
    "AUTOSING_VERSION": autosing.__version__,
    "AUTOSING_VOICE": "synthetic voice",
    "AUTOSING_WATERMARK": "none",
}


def noise(channels: int = 1, num_samples: int = 24_017) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (channels, num_samples)).astype(np.float32)


def parts(channels: int = 1) -> list[np.ndarray]:
    """Of the noise: what Vorbis makes of its first samples depends on how many come at first."""
    return np.array_split(noise(channels), 5, axis=1)


def written(path: Path, channels: int = 1, origin: Origin = ORIGIN) -> Path:
    write_sound(path, iter(parts(channels)), RATE_HZ, channels, origin, watermark=False)
    return path


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("format", FORMATS)
def test_tags_come_back_and_no_sample_changes(tmp_path: Path, format: str, channels: int) -> None:
    path = written(tmp_path / f"a.{format}", channels)
    assert read_tags(path) == TAGS
    writer = Writer(RATE_HZ, channels, format)
    for part_CS in parts(channels):
        writer.write(part_CS)
    plain, tagged = decode(writer.finish()), decode(path)
    np.testing.assert_array_equal(plain.samples_CS, tagged.samples_CS)
    assert plain.sample_rate_hz == tagged.sample_rate_hz
    found = inspect(path.read_bytes())
    assert found.promised_samples == found.num_samples == tagged.samples_CS.shape[1], "the header still says how many"


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_request_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, format: str) -> None:
    first, again = written(tmp_path / f"a.{format}"), written(tmp_path / f"b.{format}")
    assert first.read_bytes() == again.read_bytes()
    other = written(tmp_path / f"c.{format}", origin=Origin(ORIGIN.made_by, ORIGIN.models, 8))
    assert read_tags(other) == TAGS | {"AUTOSING_SEED": "8"} and other.read_bytes() != first.read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_other_programs_read_a_comment_that_says_so(tmp_path: Path, format: str) -> None:
    """libsndfile reads a wav's INFO and Vorbis comments; of an mp3 it reads ID3v1 alone, so there mutagen is asked."""
    path = written(tmp_path / f"a.{format}")
    said = f"Synthetic voice, made by 'autosing convert' {autosing.__version__}"
    if format == "mp3":
        (comment,) = mutagen.File(path).tags.getall("COMM")
        assert comment.text == [said]
    else:
        assert soundfile.SoundFile(path).copy_metadata()["comment"] == said


@pytest.mark.parametrize("num_samples", [1, 2, 1001])
def test_a_wavs_chunks_fill_it(tmp_path: Path, num_samples: int) -> None:
    path = tmp_path / "a.wav"
    write_sound(path, iter([noise(1, num_samples)]), RATE_HZ, 1, ORIGIN, watermark=False)
    data, chunks, at = path.read_bytes(), {}, 12
    assert data[:4] + data[8:12] == b"RIFFWAVE" and struct.unpack("<I", data[4:8])[0] == len(data) - 8
    while at < len(data):
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        chunks[data[at : at + 4]] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == len(data) and list(chunks) == [b"fmt ", b"data", b"id3 ", b"LIST"]
    assert len(chunks[b"data"]) == 2 * num_samples
    assert chunks[b"LIST"].startswith(b"INFOICMT") and chunks[b"id3 "].startswith(b"ID3")


def test_tags_of_others_are_left_alone_and_not_taken_for_ours(tmp_path: Path) -> None:
    for format in FORMATS:
        path = tmp_path / f"a.{format}"
        save(Audio(noise(), RATE_HZ), path)
        assert read_tags(path) == {}
    file = mutagen.File(tmp_path / "a.flac")
    file["TITLE"] = "my song"
    file.save()
    assert read_tags(tmp_path / "a.flac") == {}
    write_tags(tmp_path / "a.flac", {"AUTOSING_SEED": "1"}, "said")
    assert read_tags(tmp_path / "a.flac") == {"AUTOSING_SEED": "1"}
    assert mutagen.File(tmp_path / "a.flac")["TITLE"] == ["my song"]


def test_a_model_is_named_by_the_sha256_of_its_file_not_by_its_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_model(tmp_path / name, "t2s", {"name": "same"}, {})
    save_model(tmp_path / "c", "t2s", {"name": "other"}, {})
    a, b, c = (digests_of({"t2s": tmp_path / name, "vocoder": None}) for name in "abc")
    assert a == b != c and a == {"t2s": digest_of(tmp_path / "a" / "model.safetensors")}


def test_damaged_tags_are_said(tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac")
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(InputError, match="tags cannot be read"):
        read_tags(path)


def test_without_its_package_nothing_is_marked_and_both_file_and_user_are_told(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("inference.provenance.sound.watermark_here", lambda: None)
    tags = write_sound(tmp_path / "a.wav", iter([noise()]), RATE_HZ, 1, ORIGIN, watermark=True)
    assert tags == read_tags(tmp_path / "a.wav") == TAGS
    assert "no watermark: the package resemble-perth is not installed" in capsys.readouterr().err
    assert (tmp_path / "a.wav").read_bytes() == written(tmp_path / "b.wav").read_bytes()
