"""The figures of speech to singing: the benchmark has all its keys on an untrained model, and `evaluate` takes it."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from autosing.checkpoint import save_model
from autosing.cli import main
from autosing.models.content import EncoderConfig, parts_of
from autosing.songs import make_songs
from autosing.speech.listener import Listener
from support.speech import evenly_spoken, made_sts
from tests.test_content import whisper_file

BENCHMARKS = Path(__file__).parents[1] / "benchmarks" / "quality"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Songs of two singers, two each, sung and spoken, and a run of random networks with its encoder's file."""
    folder = tmp_path_factory.mktemp("made")
    make_songs(folder / "songs", 4, seed=5, languages=["en"], singers=2, partitions=1, workers=1, lines=1)
    weights = whisper_file(folder / "whisper.pt")
    model = made_sts(parts_of([EncoderConfig(name="whisper-own", layer=2)], {"whisper-own": str(weights)}))
    save_model(folder / "run", "sts", model.config.dump(), model.state_dict())
    return folder


def test_the_report_has_all_figures_and_its_controls_behave(made, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    benchmark = importlib.import_module("sts")
    monkeypatch.setattr("autosing.metrics.recognition.hear", lambda *_: "la")
    monkeypatch.setattr(Listener, "place", evenly_spoken)
    words = [made / "run", "--songs", made / "songs", "--clips", "1"]
    files = f"content_files={{whisper-own: {made / 'whisper.pt'}}}"
    monkeypatch.setattr(sys, "argv", ["sts.py", *map(str, words), "--set", files])
    benchmark.main()
    report = json.loads(capsys.readouterr().out)
    assert list(report["ways"]) == ["truth", "space", "times", "beat", "pitch", "world", "world_f0"]
    assert report["ways"]["truth"]["mel_distance_db"]["mean"] == 0
    assert report["ways"]["pitch"]["f0_rmse_cents"]["mean"] < 60
    assert {"wer", "chroma", "onset_ms"} <= set(report["ways"]["beat"])


def test_evaluate_gives_it_speech_and_refuses_clips_without(made, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("inference.evaluate.run.home", lambda: tmp_path / "home")
    monkeypatch.setattr(Listener, "place", evenly_spoken)
    files = f"speech.content_files={{whisper-own: {made / 'whisper.pt'}}}"

    def call(data: Path) -> int | str | None:
        typed = ["evaluate", data, "--model", made / "run", "--out", tmp_path / "page.html", "--set", files]
        monkeypatch.setattr(sys, "argv", ["autosing", *map(str, typed), "--clips", "1", "--no-words", "--json"])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code

    assert not call(made / "songs"), capsys.readouterr().err
    found = json.loads((tmp_path / "page.json").read_text())["systems"]["run"]
    assert {"f0_rmse_cents", "mel_distance_db", "cosine_to_target", "rtf"} <= set(found)
    for path in (made / "songs" / "truth").glob("*/speech.flac"):
        path.rename(path.with_suffix(".bak"))
    assert call(made / "songs") == 2 and "takes speech, clip" in capsys.readouterr().err
