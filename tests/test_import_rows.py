"""Parquet files with songs in them, as Hugging Face keeps data sets: each row is a song, with its facts."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from processing.importer.importer import import_corpus
from support.hostile import song
from tests.test_import_guards import rows, source, told

AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def table(path: Path, metadata: dict[bytes, bytes] | None = None, **columns: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {name: pa.array(values, AUDIO) if name == "audio" else pa.array(values) for name, values in columns.items()}
    pq.write_table(pa.table(held).replace_schema_metadata(metadata), path)


def audio(*names: str) -> list[dict[str, object]]:
    return [{"bytes": song(name, samples=200), "path": name} for name in names]


def test_rows_with_audio_are_songs_with_their_facts(tmp_path):
    first = {"text": ["la", "[00:01.00]lu"], "speaker_id": [3, 4], "language": ["EN", None]}
    table(tmp_path / "s/data/train-00000-of-00002.parquet", audio=audio("one.wav", "two.wav"), **first)
    table(
        tmp_path / "s/data/train-00001-of-00002.parquet",
        audio=audio("three.wav"),
        transcription=["li"],
        speaker=["Ann"],
    )
    report = import_corpus(tmp_path / "s", tmp_path / "c")
    held = rows(tmp_path / "c")
    assert {i: (r.raw_lyrics, r.lrc_lyrics, r.artist, r.language) for i, r in held.items()} == {
        "one": ("la", None, "3", "en"), "two": (None, "[00:01.00]lu", "4", None), "three": ("li", None, "Ann", None),
    }  # fmt: skip
    assert held["two"].audio == song("two.wav", samples=200) and not report.remarks and not report.passed_over
    again = import_corpus(tmp_path / "s", tmp_path / "c")
    assert (len(again.kept), again.new, again.changed) == (3, [], [])


def test_names_of_classes_come_from_the_metadata(tmp_path):
    features = {"info": {"features": {"singer": {"names": ["Ann", "Bo"], "_type": "ClassLabel"}}}}
    table(
        tmp_path / "s/x.parquet", {b"huggingface": json.dumps(features).encode()}, audio=audio("a", "b"), singer=[1, 0]
    )
    import_corpus(tmp_path / "s", tmp_path / "c")
    assert {row.id: row.artist for row in rows(tmp_path / "c").values()} == {"a": "Bo", "b": "Ann"}


def test_rows_without_bytes_are_told_and_audio_may_be_plain_bytes(tmp_path):
    held = audio("a.wav", "b.wav")
    held[1]["bytes"] = None
    table(tmp_path / "s/x.parquet", audio=held, text=["la", "lu"])
    plain = pa.table({"song": pa.array([song("c")]), "lyrics": ["li"]})
    pq.write_table(plain, tmp_path / "s/plain.parquet")
    report = import_corpus(tmp_path / "s", tmp_path / "c")
    assert {i: r.raw_lyrics for i, r in rows(tmp_path / "c").items()} == {"a": "la", "plain_0": "li"}
    assert [(item["file"], item["reason"]) for item in report.left_out] == [("x.parquet/1", "no_audio")]


def test_a_table_of_parquet_names_files_and_one_of_other_things_is_told(tmp_path):
    root = source(tmp_path / "s", "clips/a.wav")
    table(root / "metadata.parquet", audio=[{"bytes": None, "path": "clips/a.wav"}], text=["la"])
    table(root / "other.parquet", mood=["blue"])
    (root / "cut.parquet").write_bytes((root / "metadata.parquet").read_bytes()[:-9])
    report = import_corpus(root, tmp_path / "c")
    assert [row.raw_lyrics for row in rows(tmp_path / "c").values()] == ["la"]
    assert told(report) == {"other.parquet": {"table_not_used"}, "cut.parquet": {"table_not_used"}}


def test_one_parquet_file_is_a_source_and_files_beside_it_are_left_alone(tmp_path):
    root = source(tmp_path / "s", "other.wav")
    table(root / "x.parquet", audio=audio("a.wav"), text=["la"])
    report = import_corpus(root / "x.parquet", tmp_path / "c")
    assert report.new == ["a"] and rows(tmp_path / "c")["a"].raw_lyrics == "la"


def test_the_same_song_in_a_row_and_in_a_file_is_there_once(tmp_path):
    root = source(tmp_path / "s", "a.wav")
    table(root / "x.parquet", audio=audio("a.wav", "b.wav"))
    report = import_corpus(root, tmp_path / "c")
    assert len(report.new) == 2 and [item["reason"] for item in report.left_out] == ["duplicate"]
    assert io.BytesIO(rows(tmp_path / "c")["b"].audio).getvalue() == song("b.wav", samples=200)
