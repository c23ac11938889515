"""Corpora of speech and singing: small copies of their layouts become songs with their words spoken."""

from pathlib import Path

import numpy as np
import pytest

from autosing.audio.io import Audio, decode, save
from autosing.schemas.tables import Song
from autosing.storage.tables import find_partitions, read_rows, table_path
from processing.importer.importer import import_corpus
from processing.importer.pairs import singer_of_pair, spoken_partners

LAYOUTS = {
    "gtsinger": {
        "English/EN-Alto-1/Vibrato/a song/Control_Group/0000.wav": "English/EN-Alto-1/Vibrato/a song/Paired_Speech_Group/0000.wav",  # noqa: E501
        "English/EN-Alto-1/Vibrato/a song/Vibrato_Group/0000.wav": "English/EN-Alto-1/Vibrato/a song/Paired_Speech_Group/0000.wav",  # noqa: E501
        "English/EN-Alto-1/Vibrato/a song/Control_Group/0001.wav": "English/EN-Alto-1/Vibrato/a song/Paired_Speech_Group/0001.wav",  # noqa: E501
    },
    "nhss": {"F01/S01/song.wav": "F01/S01/speech.wav", "M02/S03/Song/07.wav": "M02/S03/Speech/07.wav"},
    "popbutfy": {
        "Female1#singing#a song_Professional/0003.wav": None,
        "Female1#singing#a song/0003.wav": "Female1#speech#a song/0003.wav",
        "Male2#a song#sing#0.wav": "Male2#a song#speech#0.wav",
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_recording_has_its_own_words_spoken(layout, tmp_path):
    pairs = LAYOUTS[layout]
    names = sorted({*pairs, *(spoken for spoken in pairs.values() if spoken)})
    for number, name in enumerate(names):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise_1S = 0.1 * np.random.default_rng(number).standard_normal((1, 8000 + 800 * number))
        save(Audio(noise_1S.astype(np.float32), 16_000), path)
    report = import_corpus(tmp_path / "source", tmp_path / "corpus")
    corpus = tmp_path / "corpus"
    rows = [row for k in find_partitions(corpus) for row in read_rows(table_path(corpus, k, "index"), Song)]
    lengths = {decode(tmp_path / "source" / name).samples_CS.shape[1]: name for name in names}
    found = {
        lengths[decode(row.audio).samples_CS.shape[1]]: row.speech and lengths[decode(row.speech).samples_CS.shape[1]]
        for row in rows
    }
    assert found == pairs
    remarked = {item["file"] for item in report.remarks if item["reason"] == "speech"}
    assert remarked == {spoken for spoken in pairs.values() if spoken}
    again = import_corpus(tmp_path / "source", corpus)
    assert not again.new and not again.changed and len(again.kept) == len(pairs)


def test_singers_are_those_whom_the_names_say():
    assert singer_of_pair("Female1#singing#a song/0003.mp3") == "Female1"
    assert singer_of_pair("Male2#a song#sing#0.wav") == "Male2"
    assert singer_of_pair("F01/S01/song.wav") is None and singer_of_pair("C#/minor.wav") is None


def test_what_is_not_paired_stays_a_song():
    assert spoken_partners(["a/song.wav", "b/speech.wav"]) == {}
    assert spoken_partners(["anna/one.flac", "anna/one-speech.flac"]) == {}, "a folder of voices, for conversion"
    assert spoken_partners(["a/song.wav", "a/speech.wav", "a/speech.mp3"]) == {}, "which of two is not known"


def test_a_changed_speech_is_read_anew(tmp_path):
    source: Path = tmp_path / "source" / "F01" / "S01"
    source.mkdir(parents=True)
    for number, name in enumerate(("song", "speech")):
        noise_1S = 0.1 * np.random.default_rng(number).standard_normal((1, 8000))
        save(Audio(noise_1S.astype(np.float32), 16_000), source / f"{name}.wav")
    import_corpus(tmp_path / "source", tmp_path / "corpus")
    save(Audio(np.full((1, 9000), 0.1, np.float32), 16_000), source / "speech.wav")
    report = import_corpus(tmp_path / "source", tmp_path / "corpus")
    assert len(report.changed) == 1 and not report.new
