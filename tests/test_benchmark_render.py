"""The figures of rendering: the report has all its keys on an untrained model, and its controls behave."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from autosing.checkpoint import save_model
from autosing.models.acoustic import new_space
from autosing.models.visinger import Visinger, VisingerConfig, flow_config
from autosing.songs import make_songs
from inference.evaluate import clips

BENCHMARKS = Path(__file__).parents[1] / "benchmarks" / "quality"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Songs of two singers, two each, and a run of random networks."""
    folder = tmp_path_factory.mktemp("made")
    make_songs(folder / "songs", 4, seed=5, languages=["en"], singers=2, partitions=1, workers=1, lines=1)
    flow = flow_config(new_space("codec_latent"), 16, {"width": 16, "hidden": 16, "encoder_blocks": 1, "blocks": 1})
    config = VisingerConfig.build({
        "flow": flow.dump(), "content": 16, "sign_blocks": 1, "frame_blocks": 1,
        "curves": {"width": 16, "blocks": 1, "small_width": 8},
    })  # fmt: skip
    torch.manual_seed(0)
    save_model(folder / "run", "visinger", config.dump(), Visinger(config).state_dict())
    return folder


def test_the_report_has_all_figures_and_its_controls_behave(made, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    benchmark = importlib.import_module("render")
    monkeypatch.setattr("autosing.metrics.recognition.hear", lambda *_: "la")
    words = [made / "run", "--songs", made / "songs", "--clips", "1"]
    monkeypatch.setattr(sys, "argv", ["render", *map(str, words)])
    benchmark.main()
    report = json.loads(capsys.readouterr().out)
    ways = report["ways"]
    assert set(ways) == {"truth", "space", "times", "beat", "world"} and report["clips"] == 1
    for way, found in ways.items():
        assert {"wer", "cer", "mel_distance_db", "nearest", "cosine_to_target", "onset_ms"} <= set(found), way
    assert ways["truth"]["f0_rmse_cents"]["mean"] == 0 and ways["truth"]["mel_distance_db"]["mean"] == 0
    assert ways["truth"]["onset_ms"]["median_abs"] < 20 and ways["truth"]["onset_ms"]["vowels"] > 3
    assert ways["space"]["f0_rmse_cents"]["mean"] < 30 and "asked_rmse_cents" in ways["times"]
    assert ways["world"]["f0_rmse_cents"]["mean"] < 60, "the spoken line, on the song's pitch"


def test_the_spoken_line_is_laid_over_the_words_of_the_song(made, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    render = importlib.import_module("render")
    clip = clips.made_clips(made / "songs", 15.0)[0]
    lines = render.Lines.of(clip, made / "songs")
    inside = [line for line in lines.truth.lines if line.start_s < clip.start_s + clip.duration_s]
    assert len(lines.score.words) == sum(len(line.text.split()) for line in inside), "whole lines"
    sound_S = render.stretched(lines)
    assert len(sound_S) == len(clip.audio_S)
    first_s = lines.score.words and lines.score.notes[0].start_s
    sung = np.abs(sound_S[int((first_s + 0.05) * clips.RATE_HZ) :]).max()
    assert np.abs(sound_S[: int(0.1 * clips.RATE_HZ)]).max() < 0.02 * sung, "silent before the line"
