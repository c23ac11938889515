"""`autosing speech-to-singing`: speech and a score, a melody or a pitch in, sound and what was sung out."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from autosing.audio.io import Audio, decode, save
from autosing.checkpoint import save_model
from autosing.cli import main
from autosing.models.singers import KnownSinger, as_extra
from autosing.schemas.records import Part
from autosing.score.formats.midi import read_midi
from autosing.speech.listener import Listener
from autosing.text.lrc import parse_lrc
from inference.voice.pitch_csv import read_pitch_csv, write_pitch_csv
from support.scores import star_score
from support.speech import evenly_spoken, made_sts

WIDTH, RATE = 16, 16_000


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A run of random networks that knows rosa, a score with words, and speech-like sound of 1.5 s."""
    pytest.importorskip("pyworld")
    folder = tmp_path_factory.mktemp("made")
    model = made_sts((Part(name="whisper-own", layer=1, width=WIDTH, digest=""),))
    rosa = KnownSinger.of("rosa", np.eye(2, 256, 5)[0], 3, 9.0, (180.0, 260.0, 400.0))
    save_model(folder / "run", "sts", model.config.dump(), model.state_dict(), as_extra([rosa]))
    (folder / "star.json").write_bytes(star_score().to_json())
    (folder / "notes.json").write_bytes(star_score().replace(words=(), syllables=(), phones=(), notes=tuple(
        note.model_copy(update={"syllable": None}) for note in star_score().notes
    )).to_json())  # fmt: skip
    save(Audio(voice(1.5, 140)[None], RATE), folder / "speech.wav")
    save(Audio(voice(3.0, 220)[None], RATE), folder / "hum.wav")
    save(Audio(np.zeros((1, RATE), np.float32), RATE), folder / "silent.wav")
    return folder


def voice(seconds: float, hz: float) -> np.ndarray:
    time_S = np.arange(round(seconds * RATE)) / RATE
    return sum(np.sin(2 * np.pi * hz * k * time_S) / k for k in range(1, 12)).astype(np.float32) * 0.1


@pytest.fixture
def run(made, monkeypatch, capsys, tmp_path):
    """Ears and encoder are stand-ins: the words lie evenly in the speech, content is noise of the sound's length."""
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("inference.voice.singers.home", lambda: tmp_path / "home")

    def content(audio: Audio) -> np.ndarray:
        rows = -(-audio.samples_CS.shape[1] // 320)
        return np.random.default_rng(0).standard_normal((rows, WIDTH)).astype(np.float16)

    monkeypatch.setattr("inference.speech_to_singing.load_content", lambda *_: content)
    monkeypatch.setattr(Listener, "place", evenly_spoken)
    monkeypatch.setattr(Listener, "words", lambda self, audio_S, language, name: (["sing to me"], "en"))

    def call(*words: object, code: int = 0) -> dict | str:
        first = ("speech-to-singing", "--model", made / "run")
        if "--speech" not in words:
            first = (*first, "--speech", made / "speech.wav")
        monkeypatch.setattr(sys, "argv", ["autosing", *map(str, (*first, *words)), "--json"])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        assert (stop.value.code or 0) == code, said.err
        return said.err if code else json.loads(said.out)["rows"][0]

    return call


def test_speech_is_sung_on_a_score_in_the_speakers_voice_and_twice_the_same(made, run, tmp_path):
    row = run("--score", made / "star.json", "--out", tmp_path / "out.wav")
    audio = decode(tmp_path / "out.wav")
    assert audio.samples_CS.shape[1] == row["samples"] == 4 * 24000 and row["singer"] == "speech"
    assert [note.midi for note in read_midi(tmp_path / "out.mid").score.notes] == [60, 62, 64, 66]
    lines = parse_lrc((tmp_path / "out.lrc").read_text()).lines
    assert [(line.text, line.start_s) for line in lines] == [("sister", 0.5), ("stars", 2.0)]
    assert (read_pitch_csv(tmp_path / "out.pitch.csv", 400) > 0).any()
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["made_by"] == "autosing speech-to-singing" and record["text"] == "sister / stars"
    run("--score", made / "star.json", "--out", tmp_path / "again.wav")
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "out.wav").read_bytes()
    run("--score", made / "star.json", "--singer", "rosa", "--out", tmp_path / "rosa.wav")
    assert (tmp_path / "rosa.wav").read_bytes() != (tmp_path / "out.wav").read_bytes()


def test_on_notes_alone_the_words_that_are_heard_are_laid_and_what_does_not_fit_is_told(made, run, tmp_path):
    row = run("--score", made / "notes.json", "--out", tmp_path / "out.wav")
    assert row["words"] == 3 and "words as they were heard: sing to me" in row["remarks"]
    row = run("--score", made / "notes.json", "--lyrics", "go on", "--out", tmp_path / "two.wav")
    assert row["words"] == 2 and "held over several notes" in row["remarks"]
    row = run("--score", made / "notes.json", "--lyrics", "sing absent now", "--out", tmp_path / "three.wav")
    assert "not heard in the speech, sung by guess: absent" in row["remarks"]


def test_without_notes_a_tune_is_composed_for_what_is_said(run, tmp_path):
    row = run("--out", tmp_path / "out.wav")
    assert row["words"] == 3 and row["remarks"] == "words as they were heard: sing to me"
    notes = read_midi(tmp_path / "out.mid").score.notes
    assert [word.text for word in read_midi(tmp_path / "out.mid").score.words] == ["sing", "to", "me"]
    run("--seed", "1", "--shift", "5", "--lyrics", "sing to me", "--out", tmp_path / "other.wav")
    other = read_midi(tmp_path / "other.mid").score.notes
    assert [note.midi for note in other] != [note.midi for note in notes]
    assert np.mean([note.midi for note in other]) > np.mean([note.midi for note in notes])


def test_a_hummed_melody_and_a_pitch_curve_are_sung_as_they_are(made, run, tmp_path):
    row = run("--melody", made / "hum.wav", "--lyrics", "la", "--out", tmp_path / "hum.sung.wav")
    assert row["seconds"] == pytest.approx(3.0, abs=0.05)
    f0 = read_pitch_csv(tmp_path / "hum.sung.pitch.csv", 295)
    assert (f0 > 0).any() and np.abs(12 * np.log2(f0[f0 > 0] / 220)).max() < 0.5
    f0 = np.full(250, 330.0, np.float32)
    f0[120:130] = 0
    write_pitch_csv(f0, tmp_path / "f0.csv")
    row = run("--pitch", tmp_path / "f0.csv", "--lyrics", "la la", "--shift", "12", "--out", tmp_path / "out.wav")
    sung = read_pitch_csv(tmp_path / "out.pitch.csv", 250)
    assert row["seconds"] == 2.5 and sung[sung > 0] == pytest.approx(660, rel=1e-4)
    edited = np.full(400, 280.0, np.float32)
    write_pitch_csv(edited, tmp_path / "edited.csv")
    run("--score", made / "star.json", "--pitch", tmp_path / "edited.csv", "--out", tmp_path / "edited.wav")
    assert read_pitch_csv(tmp_path / "edited.pitch.csv", 400) == pytest.approx(280)


def test_bad_input_is_one_clear_line(made, run, tmp_path):
    out = tmp_path / "out.wav"
    said = run("--score", made / "star.json", "--melody", made / "hum.wav", "--out", out, code=2)
    assert "give one of" in said
    assert "no such file" in run("--score", made / "none.mid", "--out", out, code=2)
    said = run("--speech", made / "silent.wav", "--score", made / "star.json", "--out", out, code=2)
    assert "all below -60 dBFS" in said
    said = run("--melody", made / "silent.wav", "--lyrics", "la", "--out", out, code=2)
    assert "no pitch in 1.0 s" in said
    said = run("--score", made / "star.json", "--lyrics", "absent", "--out", out, code=2)
    assert "none of the 1 words" in said and "--lyrics" in said
    (tmp_path / "empty.csv").write_text("time_s,hz,voiced\n")
    assert "no rows" in run("--pitch", tmp_path / "empty.csv", "--out", out, code=2)
    assert "need .wav" in run("--score", made / "star.json", "--out", tmp_path / "out.txt", code=2)
    out.write_bytes(b"somebody else's")
    assert "did not write it" in run("--score", made / "star.json", "--out", out, code=2)
    save_model(tmp_path / "other", "visinger", {}, {})
    said = run("--model", tmp_path / "other", "--score", made / "star.json", "--out", tmp_path / "b.wav", code=2)
    assert "need sts; with this one sing by 'autosing render'" in said
    assert not (tmp_path / "b.wav").exists()
