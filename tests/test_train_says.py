"""What a run says of itself: what was chosen, how long still, whether it learns by heart; its config without a run."""

import pytest
import yaml
from typer.testing import CliRunner

from autosing.errors import InputError
from support.datasets import make_dataset
from train import launch
from train.cli import train as command
from train.launch import overfitting, show_config
from train.tasks.sm2a import SM2ASettings
from train.tasks.t2s import T2SSettings

DEBUG = ("task.size=debug", "task.semantic=null", "steps=6", "batch_size=4", "log_every=1", "device=cpu")


@pytest.mark.parametrize("settings", [T2SSettings(), SM2ASettings()])
def test_the_defaults_are_what_a_user_would_want(settings):
    assert settings.size == "small" and settings.semantic == "autosing-semantic"
    assert getattr(settings, "use_singer", True)


def test_a_run_says_what_was_chosen_and_how_long_it_still_takes(tmp_path, monkeypatch):
    monkeypatch.setattr("train.record._SECONDS_BETWEEN_LINES", 0.0)
    make_dataset(tmp_path / "data")
    said = []
    launch.train("t2s", tmp_path / "data", tmp_path / "run", overrides=DEBUG, say=said.append)
    assert "size: debug; codebook: none, random vectors" in said[0] and "singer: told to the model" in said[0]
    assert "train 12, valid 4" in said[0]
    assert " left" in said[1] and "step 1/6" in said[1] and " left" not in said[-1]


def test_a_valid_loss_that_rises_is_a_warning():
    rows = [{"step": step, "valid/loss": loss} for step, loss in ((100, 3.0), (200, 2.0), (300, 2.9))]
    assert "2 at step 200, 2.9 now" in overfitting([*rows, {"step": 300, "loss": 0.1}])
    assert overfitting(rows[:2]) is None and overfitting([]) is None


def test_the_config_can_be_seen_without_a_run():
    shown = yaml.safe_load(show_config("t2s", overrides=["lr=0.5", "task.size=tiny"]))
    assert shown["lr"] == 0.5 and shown["task"]["size"] == "tiny" and shown["task"]["context_s"] == 30.0
    with pytest.raises(InputError, match="did you mean 'lr'"):
        show_config("t2s", overrides=["lrr=0.5"])


def test_without_data_or_run_the_command_says_what_is_needed():
    import typer

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    assert "warmup_steps: 0" in CliRunner().invoke(app, ["codec", "--show-config"]).output
    error = CliRunner().invoke(app, ["codec"]).exception
    assert isinstance(error, InputError) and "--data DATASET and --run FOLDER are needed" in str(error)
