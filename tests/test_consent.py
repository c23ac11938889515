"""Who agreed that a voice is enrolled: asked once, kept in its card, shown; and what is there without it."""

import io
import json
import sys

import numpy as np
import pytest

from autosing.audio.io import Audio, save
from autosing.cli import main
from autosing.models import speaker
from inference.voice import singers

SAID = "Anna agreed by letter: our album"


class Encoder:
    """A voice for each length: the real one needs its weights."""

    def embed(self, mono_S, sample_rate_hz):
        return np.eye(1, 256, len(mono_S) % 256)[0]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(singers, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(speaker, "load_speaker_encoder", lambda device: Encoder())
    monkeypatch.setattr(singers, "load_tracker", lambda name, device: lambda mono_S, rate: np.full(50, 220.0))

    def call(*words: object, code: int = 0, typed: str | None = None) -> dict | str:
        stdin = io.StringIO(typed or "")
        stdin.isatty = lambda: typed is not None
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "argv", ["autosing", "voices", *map(str, words), "--json"])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        assert (stop.value.code or 0) == code, said.err
        assert not code or not said.out
        return said.err if code else json.loads(said.out) | {"asked": "Who agreed" in said.err}

    return call


def wav(path, seconds=1):
    save(Audio(np.full((1, round(24_000 * seconds)), 0.1, np.float32), 24_000), path)
    return path


def card(tmp_path, name):
    return json.loads((tmp_path / "home" / "voices" / f"{name}.json").read_text())


def test_consent_is_recorded_in_the_card_and_listed(run, tmp_path):
    row = run("enrol", "anna", wav(tmp_path / "a.wav"), "--consent", f"  {SAID}\n")["rows"][0]
    assert row["consent"] == card(tmp_path, "anna")["consent"] == SAID
    assert [row["consent"] for row in run("list")["rows"]] == [SAID]


def test_it_is_asked_on_a_terminal_once(run, tmp_path):
    said = run("enrol", "anna", wav(tmp_path / "a.wav"), typed=f"{SAID}\n")
    assert said["asked"] and said["rows"][0]["consent"] == SAID
    again = run("enrol", "anna", tmp_path / "a.wav", typed="")
    assert not again["asked"] and again["rows"][0]["consent"] == SAID
    run("enrol", "anna", tmp_path / "a.wav"), "nor where there is no terminal"
    other = run("enrol", "anna", wav(tmp_path / "b.wav", 1.5), typed="Bert, by word of mouth\n")
    assert other["asked"] and other["rows"][0]["consent"].startswith("Bert"), "other recordings, another consent"
    assert run("enrol", "anna", tmp_path / "b.wav", "--consent", "more")["rows"][0]["consent"] == "more"


def test_without_terminal_and_option_nothing_is_enrolled(run, tmp_path):
    said = run("enrol", "anna", wav(tmp_path / "a.wav"), code=2)
    assert "no consent given, and no terminal to ask on; give --consent" in said
    said = run("enrol", "anna", tmp_path / "a.wav", "--consent", "  ", code=2)
    assert "need who agreed, and to what" in said
    assert not (tmp_path / "home").exists()


def test_nobody_is_asked_about_files_that_are_not_there(run, tmp_path):
    assert "no such file" in run("enrol", "anna", tmp_path / "none.wav", code=2, typed="never read\n")


def test_a_voice_enrolled_before_is_read_and_shown_as_not_recorded(run, tmp_path):
    run("enrol", "old", wav(tmp_path / "a.wav"), "--consent", SAID)
    held = card(tmp_path, "old")
    del held["consent"]
    (tmp_path / "home" / "voices" / "old.json").write_text(json.dumps(held))
    assert run("list")["rows"][0]["consent"] == "not recorded"
    assert run("enrol", "old", tmp_path / "a.wav", typed=f"{SAID}\n")["asked"], "then it is asked"


def test_a_blend_says_who_agreed_of_each(run, tmp_path):
    run("enrol", "anna", wav(tmp_path / "a.wav"), "--consent", SAID)
    run("enrol", "bert", wav(tmp_path / "b.wav", 1.5), "--consent", "Bert")
    held = card(tmp_path, "bert") | {"consent": None}
    (tmp_path / "home" / "voices" / "bert.json").write_text(json.dumps(held))
    row = run("mix", "both", "anna=0.5", "bert=0.5")["rows"][0]
    assert row["consent"] == f"anna: {SAID}; bert: not recorded"
    assert run("mix", "alone", "bert=0.5", "bert=0.5")["rows"][0]["consent"] == "not recorded"
