"""A folder with all that people's folders hold: one summary, every file counted, nothing in silence."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from autosing.cli import app
from support.hostile import MEDIA, song, varying_mp3
from support.media import media, tone
from tests.test_import_guards import rows
from tests.test_lyric_files import ASS, LRCLIB, SRT, TTML, ULTRASTAR, VTT
from tests.test_tags import flac

LRC = "[00:01.00]la"
ODD = {case.file: case for case in MEDIA}


def zero_count(data: bytes) -> bytes:
    at = data.find(b"Info") if b"Info" in data else data.find(b"Xing")
    return data[: at + 8] + bytes(8) + data[at + 16 :]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("mixed") / "music"
    row = {"audio": [{"bytes": song("row", samples=400), "path": "row.wav"}], "text": ["of a row"], "speaker_id": [7]}
    held: dict[str, bytes | str] = {
        "srt.wav": song("srt"), "srt.srt": SRT, "vtt.wav": song("vtt"), "vtt.vtt": VTT, "ass.wav": song("ass"),
        "ass.ass": ASS,
        "ttml.wav": song("ttml"), "ttml.ttml": TTML, "star.wav": song("star"), "star.txt": ULTRASTAR,
        "net.wav": song("net"), "net.json": json.dumps(LRCLIB), "sub.wav": song("sub"), "sub.txt": SRT,
        "Café.wav": song("cafe"), "Cafe\u0301.lrc": LRC, "case.wav": song("case"), "Case.LRC": LRC,
        "whole.wav": song("whole"), "whole.wav.lrc": LRC, "tongue.wav": song("tongue"), "tongue.en.lrc": LRC,
        "far.wav": song("far"), "Lyrics/far.lrc": LRC, "gbk.wav": song("gbk"),
        "gbk.txt": "月亮代表我的心\n你问我爱你有多深\n".encode("gb18030"),
        "html.wav": song("html"), "html.txt": "don&#39;t",
        "apple.m4a": media(tone(hz=301), "m4a"), "loss.m4a": media(tone(hz=302), "alac.m4a"),
        "mat.mka": media(tone(hz=303), "mka"),
        "pack.wv": media(tone(hz=304), "wv"), "two.mp2": media(tone(hz=305), "mp2"), "sun.au": song("au"),
        "tags.flac": flac(LYRICS=LRC, artist="Ann"), "zero.mp3": zero_count(varying_mp3("zero", True, 2)),
        "old.flac": ODD["old tag behind.flac"].make(), "open.wav": ODD["never closed.wav"].make(),
        "...And Then/1.wav": song("dots"),
        "table.csv": "\ufefffile;lyrics;singer\r\n...And Then\\1.wav;la;Bo\r\n;;\r\n",
        "songs.json": json.dumps({"songs": {"sun.au": "of a mapping"}}), "list.txt": "two|of a list\n",
        "rip log.csv": "track,peak\n1,98.1\n", "stray.jsonl": "{", "nobody.lrc": LRC, "a.cue": "x", "b.m4p": b"x",
        "c.mkv": b"x",
        "d.zip": b"x", "cover.jpg": b"x", "bad.m4a": b"\0\0\0 ftypM4A " + bytes(99), "page.mp3": b"<html>" * 9,
        ".trash/x.wav": song("trash"), "transcriptions.txt": b"\0\1", "srt.mid": b"MThd", "vtt.txt": b"\xff\xfea",
    }  # fmt: skip
    for name, content in held.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (root / "data").mkdir()
    pq.write_table(pa.table(row), root / "data" / "train.parquet")
    other = root.with_name("other")
    other.mkdir()
    (other / "linked.wav").write_bytes(song("linked"))
    (root / "album").symlink_to("../other")
    (root / "gone.wav").symlink_to("nowhere.wav")
    return root


def test_a_mixed_folder_gives_one_summary_in_which_every_file_is_counted(folder, tmp_path):
    done = CliRunner().invoke(app, ["import", str(folder), str(tmp_path / "c"), "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "c" / "_import.json").read_text())
    held = rows(tmp_path / "c")
    known = {row.title or row.id.split("_")[0]: row.lrc_lyrics or row.raw_lyrics for row in held.values()}
    assert len(held) == len(report["new"]) == 27
    sung = {"srt", "vtt", "ass", "ttml", "A", "sub", "Cafe", "case", "whole", "tongue", "far", "gbk", "html", "tags",
            "sun", "two",
            "row"}  # fmt: skip
    assert {name for name, words in known.items() if words} >= sung and known["html"] == "don't"
    assert {item["file"]: item["reason"] for item in report["left_out"]} == {
        "bad.m4a": "not_audio", "page.mp3": "not_audio", "gone.wav": "not_readable",
    }  # fmt: skip
    assert {item["file"]: item["reason"] for item in report["passed_over"]} == {
        "nobody.lrc": "no_song_of_its_name", "a.cue": "cue_sheet", "b.m4p": "protected", "c.mkv": "film",
        "d.zip": "archive",
        "cover.jpg": "other_file",
    }  # fmt: skip
    assert {(item["file"], item["reason"]) for item in report["remarks"]} == {
        ("rip log.csv", "table_not_used"), ("stray.jsonl", "table_not_used"), (".trash", "hidden"),
        ("transcriptions.txt", "score_not_readable"), ("gbk.wav", "encoding_guessed"), ("srt.wav",
        "score_not_readable"),
        ("vtt.wav", "lyrics_not_readable"),
    }  # fmt: skip
    on_disk = sum(1 for path in folder.rglob("*") if not path.is_dir()) + 1  # of the linked album
    songs_in_rows, hidden = 1, 1
    counted = len(report["new"]) - songs_in_rows + len(report["left_out"]) + len(report["passed_over"])
    assert counted + report["read_beside"] + hidden + 1 == on_disk, "1: the file of rows"
    assert "passed over: protected" in done.output and "known: LRC" in done.output
