"""Import: every file of a source is in the corpus or listed with its reason, and a second run changes nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile as sf

from autosing.audio.io import Audio, encode
from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.storage.tables import partitions, read_rows, table_path
from processing.importer.facts import facts_of
from processing.importer.importer import ImportReport, import_corpus

LRC = "[00:01.00]one\n[00:02.00]two"


def sound(seed: int, format: str = "wav", seconds: float = 0.5) -> bytes:
    rng = np.random.default_rng(seed)
    return encode(Audio((0.1 * rng.standard_normal((1, round(16_000 * seconds)))).astype(np.float32), 16_000), format)


def write(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def songs(corpus: Path) -> dict[str, Song]:
    rows = [row for k in partitions(corpus) for row in read_rows(table_path(corpus, k, "index"), Song)]
    assert len({row.id for row in rows}) == len(rows)
    return {row.id: row for row in rows}


def reasons(report: ImportReport) -> dict[str, str]:
    return {item["file"]: item["reason"] for item in report.left_out}


def files(corpus: Path) -> dict[str, bytes]:
    return {str(p.relative_to(corpus)): p.read_bytes() for p in corpus.rglob("*") if p.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with sf.SoundFile(tmp_path / "tagged.flac", "w", 16_000, 1) as file:
        file.title, file.artist = "Tïtle", "Ann"
        file.write(np.full(8000, 0.1, np.float32))
    return write(tmp_path / "source", {
        "plain.wav": sound(1), "plain.txt": "one\ntwo\n", "deep/er/song.mp3": sound(2, "mp3"), "deep/er/song.lrc": LRC,
        "labels.ogg": sound(3, "ogg"), "labels.json": json.dumps({"syllables": [
            {"text": "So", "line": 0}, {"text": " far", "line": 0}, {"text": " a", "line": 1},
            {"text": "way", "line": 1},
        ]}),
        "opus.opus": sound(4, "opus"), "stamped.flac": sound(5, "flac"), "stamped.txt": LRC,
        "tagged.flac": (tmp_path / "tagged.flac").read_bytes(), "ＵＰ.WAV": sound(6), ".hidden.wav": sound(7),
        "lyrics.csv": "file,lyrics,singer,language,license\nopus.opus,sung,Bo,KO,CC0\nabsent.wav,x,,,\n",
        "more.jsonl": '{"file": "deep/er/song.mp3", "artist": "Cleo"}\n',
    })  # fmt: skip


def test_a_folder_of_any_depth_with_all_that_lies_beside(folder, tmp_path):
    report = import_corpus(folder, tmp_path / "corpus")
    held = songs(tmp_path / "corpus")
    assert len(held) == len(report.new) == 7 and not report.left_out
    assert held["plain"].raw_lyrics == "one\ntwo" and held["plain"].audio == sound(1)
    (deep,) = [song for song in held.values() if song.id.startswith("deep_er_song_")]
    assert (deep.lrc_lyrics, deep.artist) == (LRC, "Cleo")
    assert held["labels"].raw_lyrics == "So far\naway"
    assert (held["stamped"].lrc_lyrics, held["stamped"].raw_lyrics) == (LRC, None)
    assert (held["tagged"].title, held["tagged"].artist) == ("Tïtle", "Ann")
    opus = held["opus"]
    assert (opus.raw_lyrics, opus.artist, opus.language, opus.licence) == ("sung", "Bo", "ko", "CC0")
    remarks = [(item["file"], item["reason"]) for item in report.remarks]
    assert remarks == [(".hidden.wav", "hidden"), ("absent.wav", "listed_but_absent")]


def test_what_cannot_be_read_is_listed_and_the_rest_goes_on(tmp_path):
    sink = tmp_path / "empty.wav"
    sf.write(sink, np.zeros((0, 1), np.float32), 16_000)
    source = write(tmp_path / "source", {
        "good.wav": sound(1), "copy.wav": sound(1), "lyrics.mp3": "la la la\n" * 99, "empty.wav": sink.read_bytes(),
        "zero.ogg": b"", "cut.wav": sound(2)[:9000], "cut.mp3": sound(3, "mp3", 4)[:9000],
        "cut.flac": sound(4, "flac")[:6000],
        "music.m4a": b"\0\0\0 ftypM4A " + bytes(99), "nulls.wav": sound(5), "nulls.txt": b"a\0b",
    })  # fmt: skip
    report = import_corpus(source, tmp_path / "corpus")
    assert set(songs(tmp_path / "corpus")) == {"copy", "nulls"}
    assert reasons(report) == {
        "good.wav": "duplicate", "lyrics.mp3": "not_audio", "empty.wav": "no_samples", "zero.ogg": "no_samples",
        "cut.wav": "truncated", "cut.mp3": "truncated", "cut.flac": "damaged", "music.m4a": "not_audio",
    }  # fmt: skip
    assert report.remarks[0]["reason"] == "lyrics_not_readable"
    listed = json.loads((tmp_path / "corpus" / "_import.json").read_text())["left_out"]
    assert {item["file"]: item["reason"] for item in listed} == reasons(report)
    assert all(item["measurement"] for item in listed)


def test_a_second_run_keeps_all_and_a_third_adds_only_what_is_new(folder, tmp_path):
    corpus = tmp_path / "corpus"
    import_corpus(folder, corpus, partition_mb=0.02)
    before = files(corpus)
    again = import_corpus(folder, corpus, partition_mb=0.02)
    assert (again.new, again.changed, len(again.kept)) == ([], [], 7)
    tables = {name: data for name, data in before.items() if name.endswith("parquet")}
    assert {name: data for name, data in files(corpus).items() if name.endswith("parquet")} == tables
    write(folder, {"plain.txt": "three\n", "added.wav": sound(8)})
    third = import_corpus(folder, corpus, partition_mb=0.02)
    assert (third.new, third.changed, len(third.kept)) == (["added"], ["plain"], 6)
    assert songs(corpus)["plain"].raw_lyrics == "three" and len(songs(corpus)) == 8
    touched = [name for name, data in tables.items() if (corpus / name).read_bytes() != data]
    assert len(touched) == 1, "only the partition of the changed song is written anew"


def test_the_same_files_give_the_same_bytes_wherever_they_lie(folder, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    import_corpus(folder, tmp_path / "a")
    import_corpus(moved, tmp_path / "b")
    a, b = files(tmp_path / "a"), files(tmp_path / "b")
    del a["_import.json"], b["_import.json"]
    assert a == b


def test_partitions_are_balanced_by_bytes(tmp_path):
    write(tmp_path / "source", {f"s{i}.wav": sound(i, seconds=0.1 * (1 + i % 7)) for i in range(40)})
    import_corpus(tmp_path / "source", tmp_path / "corpus", partition_mb=0.05)
    sizes = [
        sum(len(song.audio) for song in read_rows(table_path(tmp_path / "corpus", k, "index"), Song))
        for k in partitions(tmp_path / "corpus")
    ]
    assert len(sizes) == -(-sum(sizes) // 50_000) and max(sizes) < 1.1 * min(sizes)


def test_songs_of_one_name_from_two_sources_live_side_by_side(tmp_path):
    write(tmp_path / "a", {"song.wav": sound(1), "song.flac": sound(2, "flac")})
    write(tmp_path / "b", {"song.wav": sound(3)})
    import_corpus(tmp_path / "a", tmp_path / "corpus")
    import_corpus(tmp_path / "b", tmp_path / "corpus")
    held = songs(tmp_path / "corpus")
    assert len(held) == 3 and all(song_id.startswith("song") for song_id in held)
    assert {song.audio for song in held.values()} == {sound(1), sound(2, "flac"), sound(3)}


def autosing_corpus(root: Path) -> Path:
    """As AutoSing writes it: ids with dots and slashes, nulls, columns that we do not know, two rows of one id."""
    for k, rows in enumerate([
        [("a.b/c", sound(1), LRC), ("null", None, None), ("twice", sound(2), None)],
        [("twice", sound(3), None), (None, sound(4), None), ("bad", b"text", None)],
    ]):  # fmt: skip
        (root / str(k)).mkdir(parents=True)
        ids, audio, lrc = zip(*rows, strict=True)
        columns = {"id": ids, "audio": audio, "lrc_lyrics": lrc, "mood": ["blue"] * 3, "artist": ["ann", None, "bo"]}
        pq.write_table(
            pa.table({name: list(values) for name, values in columns.items()}), root / str(k) / "index.parquet"
        )
    return root


def test_an_autosing_corpus_is_taken_as_it_is(tmp_path):
    source = autosing_corpus(tmp_path / "source")
    report = import_corpus(source, tmp_path / "corpus")
    held = songs(tmp_path / "corpus")
    assert len(held) == 4 and partitions(tmp_path / "corpus") == [0, 1]
    assert reasons(report) == {"0/1": "no_audio", "1/2": "not_audio"}
    (first,) = [song for song in held.values() if song.lrc_lyrics]
    assert first.artist == "ann" and first.id.startswith("a_b_c_")
    assert [item["reason"] for item in report.remarks] == ["renamed"]
    again = import_corpus(source, tmp_path / "corpus")
    assert (again.new, len(again.kept)) == ([], 4)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "no audio in it"),
        ({"notes.txt": "hello"}, r"no audio in it \(1 files\)"),
        ({"a.mp3": "text"}, r"none of its 1 songs can be used \(not_audio 1\)"),
    ],
)
def test_sources_that_cannot_be_used_say_so(tmp_path, content, words):
    (tmp_path / "source").mkdir()
    with pytest.raises(InputError, match=words):
        import_corpus(write(tmp_path / "source", content), tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_paths_that_cannot_be_used_say_so(tmp_path):
    with pytest.raises(InputError, match="does not exist; give a folder"):
        import_corpus(tmp_path / "absent", tmp_path / "corpus")
    with pytest.raises(InputError, match=r"none of its 1 songs can be used \(not_audio 1\)"):
        import_corpus(write(tmp_path, {"x.mp3": "x"}) / "x.mp3", tmp_path / "corpus")
    with pytest.raises(InputError, match="one folder"):
        import_corpus(tmp_path, tmp_path)
    write(tmp_path / "source", {"a.wav": sound(1)})
    with pytest.raises(InputError, match="no such file"):
        import_corpus(tmp_path / "source", tmp_path / "corpus", tmp_path / "absent.csv")
    for name, content, words in (("t.csv", "name,lyrics\na.wav,x\n", "names no file"), ("t.jsonl", "{", "as JSON")):
        with pytest.raises(InputError, match=f"--table .*{words}"):
            import_corpus(tmp_path / "source", tmp_path / "corpus", write(tmp_path, {name: content}) / name)
    (tmp_path / "bad" / "0").mkdir(parents=True)
    pq.write_table(pa.table({"id": ["a"], "sound": [b""]}), tmp_path / "bad" / "0" / "index.parquet")
    with pytest.raises(InputError, match="columns audio missing"):
        import_corpus(tmp_path / "bad", tmp_path / "corpus")


def test_facts_under_other_names():
    facts = facts_of({"Lyrics": LRC, "SINGER": " Ann ", "lang": "EN", "license": "CC0", "text": 3})
    assert (facts.lrc_lyrics, facts.raw_lyrics, facts.artist, facts.language) == (LRC, None, "Ann", "en")
    assert facts_of({"words": [{"word": "soy"}, {"word": ""}, {"word": "un"}]}).raw_lyrics == "soy un"
    assert facts_of({"lyrics": "given", "words": [{"word": "labels"}]}).raw_lyrics == "given"
