"""What a command ends with can be read on a terminal of any width."""

import json

from autosing.console import summary

LONG = "words as they were heard: The river carries every song back to the sea."


def test_one_wide_row_is_a_line_for_each_column_and_no_word_is_folded(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    row = {"file": "sung.wav", "sample_rate_hz": 24000, "seconds": 33.213, "remarks": LONG}
    summary("sung", [row], next="autosing inspect sung.wav")
    assert capsys.readouterr().out.splitlines() == [
        "sung", "file: sung.wav", "sample rate hz: 24000", "seconds: 33.21", f"remarks: {LONG}",
        "next: autosing inspect sung.wav",
    ]  # fmt: skip


def test_what_fits_and_several_rows_are_a_table(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    summary("models", [{"name": "a", "size": 1}])
    assert "┃ name ┃ size ┃" in capsys.readouterr().out
    summary("models", [{"name": "a", "remarks": LONG}, {"name": "b", "remarks": LONG}])
    assert "┃ name ┃" in capsys.readouterr().out


def test_json_is_the_same_at_any_width(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "20")
    summary("sung", [{"remarks": LONG}], as_json=True, next="x")
    assert json.loads(capsys.readouterr().out) == {"title": "sung", "rows": [{"remarks": LONG}], "next": "x"}
