"""Unpacked packages of recorded speech become tracks with speakers, licences and a card of sources."""

import csv
import json

import numpy as np
import pytest
import soundfile

from autosing.errors import InputError
from train.corpora import recordings
from train.corpora.recordings import PACKAGES, over_a_band, write_tracks


def speak(path, seconds, rate=22050, level=0.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    tone_S = level * np.sin(2 * np.pi * 180 * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, tone_S, rate)


@pytest.fixture
def unpacked(tmp_path):
    """Two languages of one package, music and a low rate among them, and a package that nobody knows."""
    sounds = tmp_path / "unpacked" / "klettres-data" / "usr" / "share" / "klettres"
    for k in range(30):
        speak(sounds / "de" / "alpha" / f"{k}.ogg", 3.0)
        speak(sounds / "fr" / "syllab" / f"{k}.wav", 1.0)
    speak(sounds / "fr" / "syllab" / "low.wav", 30.0, rate=8000)
    speak(sounds / "fr" / "syllab" / "silent.wav", 30.0, level=0.0)
    speak(sounds / "music" / "tune.ogg", 60.0)
    speak(tmp_path / "unpacked" / "other-data" / "a.wav", 20.0)
    return tmp_path / "unpacked"


def test_recordings_become_tracks_of_speakers_with_their_licence(unpacked, tmp_path):
    minutes = write_tracks(unpacked, tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "songs.csv").open()))
    assert {row["artist"] for row in rows} == {"klettres-data-de", "klettres-data-fr"}
    assert {row["licence"] for row in rows} == {PACKAGES["klettres-data"].licence}
    lengths = {row["file"]: soundfile.info(tmp_path / "out" / row["file"]).duration for row in rows}
    assert len(rows) == 3 and all(8 <= length < 49 for length in lengths.values()), lengths
    assert minutes["klettres-data"] == pytest.approx(sum(lengths.values()) / 60)
    german = sum(length for file, length in lengths.items() if "-de_" in file)
    assert german == pytest.approx(30 * 3.1, abs=0.1), "each recording once, with its gap"
    sources = json.loads((tmp_path / "out" / "sources.json").read_text())
    assert sources == {
        "klettres-data": {"licence": "GPL-2.0-or-later", "minutes": round(sum(lengths.values()) / 60, 1)}
    }
    again = tmp_path / "again"
    write_tracks(unpacked, again)
    assert all((again / file).read_bytes() == (tmp_path / "out" / file).read_bytes() for file in lengths)


def test_made_songs_join_and_some_recordings_pass_the_separator(unpacked, tmp_path, monkeypatch):
    song = tmp_path / "songs" / "truth" / "song0"
    for name in ("vocals", "speech", "instrumental"):
        speak(song / f"{name}.flac", 9.0)
    (song / "truth.json").write_text(json.dumps({"artist": "Ada Linden"}))
    passed = []
    monkeypatch.setattr(recordings, "separated", lambda audio_S: passed.append(len(audio_S)) or audio_S)
    write_tracks(unpacked, tmp_path / "out", [song.parent])
    rows = list(csv.DictReader((tmp_path / "out" / "songs.csv").open()))
    assert [row["artist"] for row in rows].count("made-Ada Linden") == 2
    assert len(passed) == 1, "the second track of a speaker"


def test_a_band_lies_below_the_voice(tmp_path):
    speak(tmp_path / "a" / "instrumental.flac", 5.0)
    voice_S = 0.3 * np.random.default_rng(0).standard_normal(24000 * 12).astype(np.float32)
    mixed_S = over_a_band(voice_S, "track", [tmp_path / "a" / "instrumental.flac"])
    assert len(mixed_S) == len(voice_S) and np.abs(mixed_S).max() <= 0.9 + 1e-6
    scale = float(mixed_S @ voice_S / (voice_S @ voice_S))
    below_db = 10 * np.log10(np.mean((mixed_S / scale - voice_S) ** 2) / np.mean(voice_S**2))
    assert -15.5 < below_db < 0.5


def test_a_folder_without_known_packages_is_refused(tmp_path):
    with pytest.raises(InputError, match="none of klettres-data"):
        write_tracks(tmp_path, tmp_path / "out")
