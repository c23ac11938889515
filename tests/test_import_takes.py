"""What people's folders are like: names, folders, tables and tags, each taken as a person would take it."""

import json
import unicodedata
from pathlib import Path

import pytest

from processing.importer.importer import import_corpus
from support.hostile import song
from tests.test_import_guards import rows, source, told
from tests.test_lyric_files import ULTRASTAR

LRC = "[00:01.00]la"


def lyrics(tmp_path, files: dict[str, str | bytes], *songs: str) -> tuple[dict[str, str | None], object]:
    """(song -> its words, the report) of a folder with these songs and text files."""
    root = source(tmp_path / "s", *songs)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    report = import_corpus(root, tmp_path / "c")
    held = {row.audio: row.lrc_lyrics or row.raw_lyrics for row in rows(tmp_path / "c").values()}
    return {name: held[(root / name).read_bytes()] for name in songs}, report


@pytest.mark.parametrize(
    ("song_name", "text_name"),
    [
        ("a.wav", "a.lrc"),
        ("a.wav", "a.wav.lrc"),
        ("a.wav", "a.LRC"),
        ("a.wav", "A.lrc"),
        ("a.wav", "a.lrc.txt"),
        ("a.wav", "a.en.lrc"),
        ("a.wav", "a.zh-Hans.lrc"),
        ("a.wav", "Lyrics/a.lrc"),
        ("a.wav", "lyrics/A.WAV.lrc"),
        ("album/a.wav", "album/LRC/a.lrc"),
        ("album/a.wav", "Lyrics/album/a.lrc"),
        ("audio/a.wav", "lyrics/a.lrc"),
        ("wavs/one/a.wav", "lyrics/one/a.lrc"),
        (unicodedata.normalize("NFC", "é.wav"), unicodedata.normalize("NFD", "é.lrc")),
        (unicodedata.normalize("NFD", "é.wav"), unicodedata.normalize("NFC", "É.lrc")),
    ],
)
def test_lyrics_are_found_by_any_usual_name_and_place(tmp_path, song_name, text_name):
    found, report = lyrics(tmp_path, {text_name: LRC}, song_name, "other/b.wav", "other/c.wav")
    assert found == {song_name: LRC, "other/b.wav": None, "other/c.wav": None}
    assert not report.passed_over


@pytest.mark.parametrize("text_name", ["c.lrc", "Lyrics/a/x.lrc", "deep/a.lrc", "a.part.lrc"])
def test_lyrics_of_nobody_are_passed_over_by_name_with_what_to_do(tmp_path, text_name):
    found, report = lyrics(tmp_path, {text_name: LRC}, "a.wav", "b.wav")
    assert set(found.values()) == {None}
    (item,) = report.passed_over
    assert item["file"] == text_name and item["reason"] == "no_song_of_its_name" and "give it" in item["measurement"]


def test_case_tells_songs_apart_where_both_are_there(tmp_path):
    found, report = lyrics(tmp_path, {"A.lrc": LRC, "Dup.lrc": LRC}, "a.wav", "A.wav", "dup.wav", "DUP.wav")
    assert found == {"a.wav": None, "A.wav": LRC, "dup.wav": None, "DUP.wav": None}
    assert "several songs have its name" in report.passed_over[0]["measurement"]


def test_the_closest_lyrics_count_and_those_in_another_language_are_told(tmp_path):
    far, german = LRC + " far", LRC + " de"
    files = {
        "a.lrc": LRC, "Lyrics/a.lrc": far, "a.de.lrc": german, "b.de.lrc": german, "b.en.srt": LRC, "c.de.lrc": german,
        "c.en.lrc": LRC + " en", "list.csv": "file,language\nc.wav,EN\n",
    }  # fmt: skip
    found, report = lyrics(tmp_path, files, "a.wav", "b.wav", "c.wav")
    assert found == {"a.wav": LRC, "b.wav": None, "c.wav": LRC + " en"}
    assert told(report) == {name: {"lyrics_not_used"} for name in found}


def test_the_language_in_a_name_is_the_songs(tmp_path):
    lyrics(tmp_path, {"a.fr.lrc": LRC, "b.jpn.txt": "la"}, "a.wav", "b.wav")
    assert {row.id: row.language for row in rows(tmp_path / "c").values()} == {"a": "fr", "b": "ja"}


TABLES = {
    "semicolons.csv": "\ufefffile;lyrics;singer\r\na.wav;la, la;Ann\r\n;;\r\n",
    "tabs.csv": "file\tlyrics\tsinger\na.wav\tla, la\tAnn\n",
    "excel.csv": "sep=;\r\nfile;lyrics;singer\r\na.wav;la, la;Ann\r\n",
    "unicode.csv": "file\tlyrics\tsinger\r\na.wav\tla, la\tAnn\r\n".encode("utf-16"),
    "quoted.csv": 'file, lyrics, singer\n"a.wav", "la, la", Ann\n',
    "metadata.csv": 'file_name,transcription,speaker_id\na.wav,"la, la",Ann\n',
    "metadata.jsonl": '{"file_name": "a.wav", "text": "la, la", "speaker": "Ann"}\n\n',
    "mapping.json": json.dumps({"a.wav": {"lyrics": "la, la", "singer": "Ann"}}),
    "stems.json": json.dumps({"a": {"lyrics": "la, la", "singer": "Ann"}}),
    "songs.json": json.dumps({"version": 1, "songs": [{"file": "a.wav", "text": "la, la", "singer": "Ann"}]}),
    "nested.json": json.dumps({"songs": {"a.wav": {"text": "la, la", "singer": "Ann"}}}),
    "hub.json": json.dumps([{"audio": {"path": "x/a.wav"}, "sentence": "la, la", "speaker": "Ann"}]),
    "nemo.jsonl": '{"audio_filepath": "/home/me/a.wav", "text": "la, la", "speaker": "Ann"}\n',
    "windows.csv": 'file,lyrics,singer\nC:\\Music\\a.wav,"la, la",Ann\n',
    "filelist.txt": "a.wav|Ann|la, la\nb.wav|Ann|lu\n",
    "train.list": "dataset/a.wav|Ann|EN|la, la\ndataset/b.wav|Ann|EN|lu\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_in_any_dress_tells_of_its_songs(tmp_path, name):
    found, report = lyrics(tmp_path, {name: TABLES[name]}, "a.wav", "b.wav")
    assert found["a.wav"] == "la, la" and not report.passed_over
    assert rows(tmp_path / "c")["a"].artist == "Ann" and told(report) == {}
    given = import_corpus(tmp_path / "s", tmp_path / "d", tmp_path / "s" / name)
    assert rows(tmp_path / "d")["a"].raw_lyrics == "la, la" and not given.remarks


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.txt"])
def test_ljspeech_rows_have_no_head(tmp_path, name):
    found, report = lyrics(tmp_path, {name: "a|la la 2|la la two\nb|lu|lu\n"}, "wavs/a.wav", "wavs/b.wav")
    assert found == {"wavs/a.wav": "la la 2", "wavs/b.wav": "lu"} and told(report) == {}


def test_a_singer_may_be_a_number(tmp_path):
    lyrics(
        tmp_path,
        {"m.jsonl": '{"file_name": "a.wav", "speaker_id": 7}\n{"file_name": "b.wav", "artist": true}\n'},
        "a.wav",
        "b.wav",
    )
    assert {row.id: row.artist for row in rows(tmp_path / "c").values()} == {"a": "7", "b": None}


def test_text_with_bars_that_names_no_song_is_no_table(tmp_path):
    found, report = lyrics(tmp_path, {"a.txt": "la|la\nlu|lu\n", "notes.txt": "x|y\na|z\nw|v\n"}, "a.wav")
    assert found == {"a.wav": "la|la\nlu|lu"} and told(report) == {"notes.txt": {"no_song_of_its_name"}}


def test_what_looks_like_a_song_and_is_not_taken_is_told_with_what_to_do(tmp_path):
    names = ("x.m4p", "x.mkv", "x.zip", "x.cue", "x.xlsx", "x.docx", "x.mod", "x.shn", "cover.jpg", "noending", "a.csv")
    _, report = lyrics(tmp_path, dict.fromkeys(names, b"x"), "a.wav")
    found = {item["file"]: (item["reason"], item["measurement"]) for item in report.passed_over}
    assert set(found) == set(names) and all(measurement for _, measurement in found.values())
    assert found["x.m4p"][0] == "protected" and "ffmpeg" in found["x.mkv"][1] and "CSV" in found["x.xlsx"][1]
    assert {row["outcome"] for row in report.rows()} >= {"passed over: protected", "passed over: other_file"}
    assert json.loads((tmp_path / "c" / "_import.json").read_text())["passed_over"] == report.passed_over


def test_a_song_may_be_ultrastar_with_words_and_score(tmp_path):
    found, _ = lyrics(tmp_path, {"a.txt": ULTRASTAR}, "a.wav")
    assert found["a.wav"].startswith("[00:01.00]<00:01.00>golden")
    (row,) = rows(tmp_path / "c").values()
    assert row.score is not None and (row.artist, row.title) == ("B", "A")


def test_singers_of_so_vits_svc_are_the_folders(tmp_path):
    for root, names in (
        ("one", ("dataset_raw/ann/1.wav", "dataset_raw/ann/2.wav")),
        ("dataset_raw", ("bo/1.wav", "bo/2.wav")),
    ):
        report = import_corpus(source(tmp_path / root, *names), tmp_path / f"c_{root}")
        assert {row.artist for row in rows(tmp_path / f"c_{root}").values()} == {names[0].split("/")[-2]}
        assert [item["reason"] for item in report.remarks] == ["singer_by_folder"]


def test_one_song_finds_its_lyrics_by_any_name_and_leaves_others_alone(tmp_path):
    root = source(tmp_path / "s", "a.wav", "b.wav")
    for name in ("a.wav.lrc", "b.lrc", "cover.jpg"):
        (root / name).write_text(LRC)
    report = import_corpus(root / "a.wav", tmp_path / "c")
    assert rows(tmp_path / "c")["a"].lrc_lyrics == LRC and not report.passed_over and not report.remarks
    (root / "Lyrics").mkdir()
    (root / "a.wav.lrc").rename(root / "Lyrics" / "A.lrc")
    assert import_corpus(root / "a.wav", tmp_path / "c").kept == ["a"]


def test_files_whose_kind_cannot_be_asked_for_are_opened(tmp_path, monkeypatch):
    root = source(tmp_path / "s", "a.wav", "shut/b.wav")
    is_file = Path.is_file

    def shut(path):
        if path.parent.name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", shut)
    report = import_corpus(root, tmp_path / "c")
    assert len(report.new) == 2 and not report.left_out, "opening a file tells whether it can be read"


def test_the_same_song_twice_under_two_endings_shares_its_lyrics(tmp_path):
    root = source(tmp_path / "s", "a.wav")
    (root / "a.flac").write_bytes(song("a flac", "flac"))
    (root / "a.lrc").write_text(LRC)
    import_corpus(root, tmp_path / "c")
    assert [row.lrc_lyrics for row in rows(tmp_path / "c").values()] == [LRC, LRC]
