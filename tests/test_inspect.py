"""`autosing inspect`: what it finds of a sound, what it does not conclude, and what it refuses."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from autosing.audio.io import Audio, decode, save
from autosing.cli import main
from inference.output import check_out, write
from inference.provenance import look as looking
from inference.provenance.watermark import Heard
from tests.test_sing_files import sung


@pytest.fixture(autouse=True)
def no_watermark(monkeypatch):
    """As where its package is not installed."""
    monkeypatch.setattr(looking, "watermark_here", lambda: None)
    monkeypatch.setattr("inference.provenance.sound.watermark_here", lambda: None)


@pytest.fixture
def inspect(monkeypatch, capsys):
    def call(path: Path, *words: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["autosing", "inspect", str(path), *words])
        monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        assert (stop.value.code or 0) == code, said.err
        return " ".join((said.err if code else said.out).split())

    return call


def made(folder: Path, format: str = "wav", **options: object) -> Path:
    out = folder / f"out.{format}"
    what = sung(**options)
    write(what, check_out(out, what.resolved.request.config))
    return out


def recording(path: Path) -> Path:
    save(Audio(np.random.default_rng(0).normal(0, 0.1, (1, 24_000)).astype(np.float32), 24_000), path)
    return path


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3"])
def test_what_was_sung_says_so(inspect, tmp_path, format):
    out = made(tmp_path, format)
    for path in (out, tmp_path / f"out.vocals.{format}"):
        said = json.loads(inspect(path, "--json"))
        (row,) = said["rows"]
        assert row["tags"]["AUTOSING_VOICE"] == "synthetic voice" and row["tags"]["AUTOSING_SEED"] == "0"
        assert row["record"] == {
            "file": str(tmp_path / "out.json"), "made_by": "autosing sing", "finished": True, "same": True,
        }  # fmt: skip
        assert row["watermark"] is None and "its tags say so" in said["verdict"]
    assert json.loads((tmp_path / "out.json").read_text())["tags"] == row["tags"]
    shown = inspect(out)
    assert "out.json holds its digest" in shown and "not looked for: the package resemble-perth" in shown


def test_each_of_several_candidates_finds_its_record(inspect, tmp_path):
    made(tmp_path, candidates=2)
    for name in ("out.1.wav", "out.2.vocals.wav"):
        assert json.loads(inspect(tmp_path / name, "--json"))["rows"][0]["record"]["same"]


def test_what_was_edited_is_told_from_what_was_written(inspect, tmp_path):
    out = made(tmp_path)
    save(decode(out), out)
    said = inspect(out)
    assert "no tags of autosing: that does not show that it is a recording" in said
    assert "out.json names it with another digest: it was changed since 'autosing sing' wrote it" in said
    assert "verdict: nothing found" in said


def test_tags_that_were_taken_out_are_not_needed_where_the_record_holds(inspect, tmp_path):
    out = made(tmp_path)
    renamed = tmp_path / "other.wav"
    out.rename(renamed)
    assert json.loads(inspect(renamed, "--json"))["rows"][0]["record"] is None, "a record names its files"
    record = json.loads((tmp_path / "out.json").read_text())
    save(decode(renamed), tmp_path / "plain.wav")
    from autosing.storage.store import digest_of

    record["files"] = {"plain.wav": digest_of(tmp_path / "plain.wav")}
    (tmp_path / "plain.json").write_text(json.dumps(record))
    assert "plain.json beside it says so" in inspect(tmp_path / "plain.wav")


def test_a_recording_is_not_called_one(inspect, tmp_path):
    said = inspect(recording(tmp_path / "a.flac"))
    assert "verdict: nothing found: that does not show that it is a recording" in said
    assert "none beside it names this file" in said


@pytest.mark.parametrize("heard, words", [
    (Heard(0.97, 1.0, 3.0), "found, Perth's (confidence 0.97, 100% of 3.0 s)"),
    (Heard(0.55, 0.5, 3.0), "in doubt (confidence 0.55, 50% of 3.0 s): a mark that suffered, or none"),
    (Heard(0.02, 0.0, 3.0), "not found (confidence 0.02, 0% of 3.0 s): that does not show"),
    (Heard(0.0, 0.0, 0.0), "none: nothing sounds in this file"),
])  # fmt: skip
def test_a_watermark_is_of_a_machine_not_of_autosing(inspect, tmp_path, monkeypatch, heard, words):
    monkeypatch.setattr(looking, "watermark_here", lambda: "perth")
    monkeypatch.setattr(looking, "heard_in", lambda path, mark: heard)
    said = inspect(recording(tmp_path / "a.wav"))
    assert words in said
    assert ("by autosing or another program that uses Perth" in said) is heard.found


@pytest.mark.parametrize("record", [
    b"{", b"[]", b'{"made_by": "autosing sing", "files": ["a.wav"]}', b'{"made_by": 3, "files": {"a.wav": "0"}}',
    b'{"made_by": "another program", "files": {"a.wav": "0"}}',
    b'{"made_by": "autosing sing", "files": {}, "replaces": 1}',
    b"\xff\xfe",
])  # fmt: skip
def test_a_json_of_another_hand_is_no_record(inspect, tmp_path, record):
    recording(tmp_path / "a.wav")
    (tmp_path / "a.json").write_bytes(record)
    assert json.loads(inspect(tmp_path / "a.wav", "--json"))["rows"][0]["record"] is None


def test_what_is_no_sound_is_refused(inspect, tmp_path):
    assert "no such file" in inspect(tmp_path / "none.wav", code=2)
    assert "is a folder, need an audio file" in inspect(tmp_path, code=2)
    (tmp_path / "a.wav").write_text("words")
    assert "not readable as audio" in inspect(tmp_path / "a.wav", code=2)
