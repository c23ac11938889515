"""One bad side file costs its own song its own facts, is told with what to do, and never stops an import."""

import json
from pathlib import Path

import pytest

from autosing.schemas.tables import Song
from autosing.storage.tables import partitions, read_rows, table_path
from processing.importer.importer import ImportReport, import_corpus
from support.hostile import song

DEEP = b"[" * 99_999
BAD = {
    "nothing": b"",
    "binary": bytes(range(256)) * 9,
    "deep": DEEP,
    "cut": b'[{"item_name": "Alto#a#0000", "phs": ["a"',
    "nulls": b"a\0b|c|d|e|f|g|h",
    "half a character": b'[{"file": "a.wav", "lyrics": "\\ud83d", "item_name": "\\ud83d#a#0", "phs": []}]',
    "numbers": b'[{"item_name": 3, "phs": 4, "file": 5}, {"item_name": "A#b#0", "phs": 1e999, "txt": {}}]',
    "entities": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><tt>&b;</tt>',
    "bars": b"|||||||\nA|B|C|D|E|F|G|H\n",
}
SIDE = (
    "a.lrc", "a.txt", "a.json", "a.srt", "a.vtt", "a.ass", "a.ssa", "a.ttml", "a.mid", "a.musicxml", "a.mxl", "a.ustx",
    "a.ds", "a.TextGrid", "transcriptions.txt", "transcriptions.csv", "meta.json", "list.csv", "list.tsv", "list.json",
    "list.jsonl", "metadata.csv", "metadata.jsonl", "rows.parquet",
)  # fmt: skip


def source(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(song(name, samples=200))
    return root


def rows(corpus: Path) -> dict[str, Song]:
    return {row.id: row for k in partitions(corpus) for row in read_rows(table_path(corpus, k, "index"), Song)}


def told(report: ImportReport) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for item in (*report.remarks, *report.passed_over):
        found.setdefault(item["file"], set()).add(item["reason"])
    return found


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_no_content_of_a_side_file_stops_an_import(tmp_path, content):
    root = source(tmp_path / "s", "a.wav", "b.wav", "wavs/x.wav")
    for name in SIDE:
        (root / name).write_bytes(content)
    (root / "b.txt").write_text("la la")
    report = import_corpus(root, tmp_path / "c")
    assert len(report.new) == 3 and not report.left_out and rows(tmp_path / "c")["b"].raw_lyrics == "la la"
    assert all(item["measurement"] for item in (*report.remarks, *report.passed_over))


def test_side_files_that_may_not_be_opened_stop_nobody(tmp_path, monkeypatch):
    root = source(tmp_path / "s", "a.wav", "b.wav", "CSD/korean/wav/k1.wav")
    for name in SIDE:
        (root / name).write_bytes(b"la")
    for folder, suffix in (("csv", "csv"), ("lyric", "txt")):
        (root / "CSD/korean" / folder).mkdir()
        (root / f"CSD/korean/{folder}/k1.{suffix}").write_bytes(b"la")
    read, opens = Path.read_bytes, Path.open

    def forbid(path):
        if path.is_relative_to(root) and path.suffix != ".wav":
            raise PermissionError(13, "Permission denied", str(path))

    def read_bytes(path):
        forbid(path)
        return read(path)

    def opened(path, *args, **more):
        forbid(path)
        return opens(path, *args, **more)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(Path, "open", opened)
    report = import_corpus(root, tmp_path / "c")
    assert len(report.new) == 3
    assert {"lyrics_not_readable", "score_not_readable"} & told(report)["a.wav"]


@pytest.mark.parametrize(
    ("name", "reason"), [("transcriptions.txt", "score_not_readable"), ("meta.json", "table_not_used")]
)
def test_a_layout_that_cannot_be_read_is_told_by_its_name(tmp_path, name, reason):
    root = source(tmp_path / "s", "a.wav")
    (root / name).symlink_to("nowhere")
    report = import_corpus(root, tmp_path / "c")
    assert report.new == ["a"] and told(report)[name] == {reason}


def test_csd_lyrics_that_cannot_be_read_cost_only_their_song(tmp_path):
    root = source(tmp_path / "s", "CSD/korean/wav/k1.wav", "CSD/korean/wav/k2.wav")
    for folder, suffix, content in (("csv", "csv", b"start,end,pitch,syllable\n"), ("lyric", "txt", b"a\0b")):
        (root / "CSD/korean" / folder).mkdir()
        (root / f"CSD/korean/{folder}/k1.{suffix}").write_bytes(content)
    report = import_corpus(root, tmp_path / "c")
    assert len(report.new) == 2
    assert any("not readable as text" in item["measurement"] for item in report.remarks)


def test_an_m4singer_list_is_parsed_once(tmp_path, monkeypatch):
    root = source(tmp_path / "s", "Alto#a/0000.wav")
    (root / "meta.json").write_text(json.dumps([{"item_name": "Alto#a#0000", "txt": "la", "phs": []}]))
    parse, parsed = json.loads, []
    monkeypatch.setattr(json, "loads", lambda text, **more: parsed.append(text) or parse(text, **more))
    import_corpus(root, tmp_path / "c")
    assert len([text for text in parsed if b"item_name" in (text if isinstance(text, bytes) else text.encode())]) == 1
