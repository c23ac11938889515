"""`autosing adapt`: one person's recordings become a run that sings as that person; and what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from autosing.audio.io import Audio, decode, save
from autosing.checkpoint import describe_model, load_model, save_model
from autosing.cli import COMMANDS, loaded, main
from autosing.config import load_config
from autosing.demo import CONFIGS
from autosing.errors import InputError
from autosing.models.acoustic import MelConfig, new_space
from autosing.models.singers import singers_of_run
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.pretrained.cache import home
from autosing.steps import LEDGER
from autosing.storage.store import write_whole
from inference.adapt import AdaptConfig, AdaptRequest, Begun, checked, fitting_steps, plan
from inference.provenance.tags import read_tags
from inference.voice.singers import enrolled
from support.conversion import make_conversion
from support.datasets import make_dataset
from support.runs import make_visinger
from train.config import TrainConfig
from train.schedules import lr_factor

SAID = "Anna agreed by letter"
STEPS = ("import", "process", "build", "begin", "early", "train", "sung")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """run/ (random networks, to begin with), whisper.pt, songs/ of one singer, and anna/ with two recordings of 6 s."""
    folder = make_conversion(tmp_path_factory.mktemp("made"), songs=3, singers=1, seconds=6)
    (folder / "anna").mkdir()
    for number in (0, 1):
        (dry,) = (folder / "songs" / "truth" / f"song{number}").glob("*.flac")
        dry.rename(folder / "anna" / f"take{number}.flac")
    return folder


@pytest.fixture
def run(made, monkeypatch, capsys, tmp_path):
    """Calls `autosing adapt`, with an enrolment of its own, and the weights that are here."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "weights").symlink_to(home() / "weights")
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path / "home"))
    usual = {
        "--voice": made / "anna", "--out": tmp_path / "run", "--base": made / "run", "--consent": SAID,
        "--source": made / "songs" / "truth" / "song2" / "vocals_dry.flac",
    }  # fmt: skip

    def typed(*words: object, **given: object) -> list[str]:
        options = {**usual, **{f"--{key}": value for key, value in given.items()}}
        said = [str(word) for key, value in options.items() if value is not None for word in (key, value)]
        files = f"content_files={{whisper-own: {made / 'whisper.pt'}}}"
        return ["adapt", *said, "--set", files, *map(str, words), "--json"]

    def call(*words: object, code: int = 0, **given: object) -> dict | str:
        monkeypatch.setattr(sys, "argv", ["autosing", *typed(*words, **given)])
        with pytest.raises(SystemExit) as stop:
            main()
        heard = capsys.readouterr()
        assert (stop.value.code or 0) == code, heard.err
        assert "Traceback" not in heard.err
        return heard.err if code else json.loads(heard.out)

    call.typed = typed
    return call


def request(made: Path, out: Path, **given: object) -> AdaptRequest:
    config = AdaptConfig.build({"least_s": 10, "content_files": {"whisper-own": str(made / "whisper.pt")}, **given})
    return AdaptRequest(made / "anna", out, "anna", made / "run", config=config)


def killed_in_training(words: list[str], run: Path, step: int) -> None:
    """The command as a process, killed with all its own once its training has saved so many steps."""
    process = subprocess.Popen([sys.executable, "-m", "autosing", *words], start_new_session=True)
    try:
        while not any(int(path.stem[-9:]) >= step for path in (run / "checkpoints").glob("step-*.pt")):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_recordings_become_a_voice_that_converts_and_the_same_command_goes_on(made, run, tmp_path):
    tiny = ("--set", "least_s=5", "--set", "early_steps=2", "--set", "training.batch_size=2", "--set",
            "training.task={heard_weight: 0, crop_frames: 32}", "--set", "training.save_every=4")  # fmt: skip
    killed_in_training(run.typed(*tiny, steps=24), tmp_path / "run", step=4)
    assert not enrolled()
    said = run(*tiny, steps=24, consent=None)
    done = [("run" if name in ("train", "sung") else "kept", name) for name in STEPS]
    assert [(row["done"], row["step"]) for row in said["rows"]] == done
    ledger = json.loads((tmp_path / "run" / LEDGER).read_text())
    assert ledger["train"]["summary"]["rows"][0]["status"] == "resumed"
    out, source = tmp_path / "run", made / "songs" / "truth" / "song2" / "vocals_dry.flac"
    assert said["singer"] == "anna" and said["next"].startswith(f"autosing convert --model {out}")
    (singer,), (voice,) = singers_of_run(out), enrolled()
    assert singer.name == voice.name == "anna" and voice.consent == SAID and len(voice.sources) == 2
    np.testing.assert_array_equal(voice.vector_E, singer.vector_E)
    for name in ("early", "sung"):
        assert abs(decode(out / f"{name}.wav").duration_s - decode(source).duration_s) < 0.01
        assert read_tags(out / f"{name}.wav")["AUTOSING_COMMAND"] == "autosing convert"
    base, tuned = load_model(made / "run"), load_model(out)
    assert tuned.extra["training"]["step"] == 24 and tuned.config["content"] == base.config["content"]
    assert any(not torch.equal(tensor, base.state[name]) for name, tensor in tuned.state.items())

    early = (out / "early.wav").read_bytes()
    again = run(*tiny, steps=24, consent=None)
    assert {row["done"] for row in again["rows"]} == {"kept"} and enrolled()[0].consent == SAID
    more = run(*tiny, steps=25, consent=None)
    assert [row["step"] for row in more["rows"] if row["done"] == "run"] == ["train", "sung"]
    assert describe_model(out).extra["training"]["step"] == 25 and (out / "early.wav").read_bytes() == early
    other = tmp_path / "bert"
    other.mkdir()
    (other / "a.flac").write_bytes((made / "anna" / "take0.flac").read_bytes())
    refused = run("--set", "least_s=1", voice=other, code=2)
    assert "was begun with another --name (it is the voice anna)" in refused
    refused = run("--set", "least_s=1", voice=other, name="anna", code=2)
    assert "was begun with another --voice" in refused
    refused = run("--set", "least_s=1", voice=other, name="anna", out=tmp_path / "third", code=2)
    assert "--name anna: a voice of that name is enrolled from other recordings" in refused


def test_too_little_is_refused_before_any_work(made, run, tmp_path):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "song.txt").write_text("words")
    assert "--voice" in (said := run(voice=tmp_path / "words", code=2)) and "no audio in it" in said
    assert "no such file" in run(voice=tmp_path / "none", code=2)
    assert "12.0 s of audio in 2 files, need 20 s of singing" in run(code=2)
    (tmp_path / "words" / "broken.wav").write_bytes(b"no audio at all")
    assert "0.0 s of audio in 1 files" in run(voice=tmp_path / "words", code=2)
    assert not (tmp_path / "run").exists()


def test_folders_of_others_and_a_missing_consent_are_refused(made, run, tmp_path):
    assert "no consent given, and no terminal to ask on" in run("--set", "least_s=5", consent=None, code=2)
    assert "need who agreed" in run("--set", "least_s=5", consent=" ", code=2)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "diary.txt").write_text("mine")
    assert "is not empty, and 'autosing adapt' did not make it" in run("--set", "least_s=5", code=2)
    assert "lies in --voice" in run("--set", "least_s=5", out=made / "anna" / "run", code=2)
    assert "id 'a b'" in run("--set", "least_s=5", name="a b", code=2)


def test_a_base_that_cannot_be_trained_on_is_refused(made, run, tmp_path):
    assert "found a visinger model, need svc_flow" in run(base=make_visinger(tmp_path / "other"), code=2)
    assert "no model.safetensors in it" in run(base=tmp_path / "none", code=2)
    config = SvcFlowConfig.build(describe_model(made / "run").config)

    def saved(**change: object) -> Path:
        asked = config.model_copy(update=change)
        save_model(tmp_path / "base", "svc_flow", asked.dump(), SvcFlow(asked).state_dict())
        return tmp_path / "base"

    mel = saved(space=new_space("log_mel", mel=MelConfig(bands=48)))
    assert "makes frames of log_mel" in run(base=mel, code=2)
    distilled = saved(flow=config.flow.model_copy(update={"steps": 2}))
    assert "is distilled to 2 steps" in run(base=distilled, code=2)
    strange = saved(content=(config.content[0].model_copy(update={"digest": "1" * 64}),))
    assert "hears by other weights of whisper-own" in run(base=strange, code=2)


def test_too_little_singing_is_refused_before_training(made, tmp_path):
    (begin,) = (step for step in plan(request(made, tmp_path), 12.0) if step.name == "begin")
    make_dataset(tmp_path / "dataset", {"train": 4}, duration_s=2.0, groups=("meta", "audio"))
    with pytest.raises(InputError, match=r"only 8\.0 s of it are singing, need 10 s.*autosing status"):
        begin.late_args()
    make_dataset(tmp_path / "dataset", {"train": 5}, duration_s=2.0, groups=("meta", "audio"))
    assert begin.late_args() == ()


def test_the_plans_commands_are_what_the_program_takes(made, tmp_path):
    asked = request(made, tmp_path, separate=True, training={"lr": 1e-4})
    steps, written = plan(asked, 5000.0), set()
    for step in steps:
        assert step.args[0] in COMMANDS
        loaded(step.args[0]).make_context(step.args[0], list(step.args[1:]))
        folders = {pattern.split("/")[0] for pattern in written}
        assert all(pattern.split("/")[0] in folders for pattern in step.reads), step.name
        written |= set(step.writes)
    words = {step.name: " ".join(step.args) for step in steps}
    assert '{"name": "whisper-own", "layer": 2}' in words["process"], "what the base hears by, not what svc.yaml says"
    assert "separate.separator=spleeter" in words["process"] and "--address local" in words["process"]
    assert "lr=0.0001" in words["begin"] and "line.wav" in words["line"]
    short = {step.name: " ".join(step.args) for step in plan(replace(asked, source=Path("a.wav")), 60.0)}
    assert "--address inline" in short["process"] and "line" not in short and "--source a.wav" in short["sung"]


def test_minutes_leave_out_the_steps_that_do_not_fit(made, tmp_path):
    """40 early steps took 60 s of the 70 of their command, a conversion 10, what was before 20: of 3 minutes 60 s are
    left beside the start of training and the last conversion."""
    write_whole(tmp_path / "config.yaml", yaml.safe_dump({"batch_size": 6}).encode())
    rows = [{"step": 20, "samples_per_s": 1.0}, {"step": 40, "samples_per_s": 4.0}, {"step": 60, "samples_per_s": 99.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    took = {"process": 20, "begin": 70, "early": 10}
    ledger = {name: {"seconds": seconds} for name, seconds in took.items()} | {"train": {"code": "begun"}}
    (tmp_path / LEDGER).write_text(json.dumps(ledger))
    for minutes, steps in ((3, 40 + 40), (30, 300), (1, 40), (None, 300)):
        assert fitting_steps(request(made, tmp_path, minutes=minutes, early_steps=40)) == steps


def test_the_stop_for_the_early_sound_changes_nothing_of_what_is_learnt():
    config = load_config(TrainConfig, CONFIGS / "train" / "svc_flow_tune.yaml")
    early = AdaptConfig().early_steps

    def rates(steps: int) -> list[float]:
        return [lr_factor(k, steps, config.schedule, config.warmup_steps, config.final_lr_ratio) for k in range(early)]

    assert rates(early) == rates(config.steps) and config.steps == AdaptConfig().steps


def test_consent_that_was_given_is_not_asked_for_again(made, tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path / "home"))
    asked = request(made, tmp_path / "run")
    begun = checked(asked)
    assert begun.consent is None and begun.seconds == 12.0 and len(begun.sources) == 2
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "adapt.json").write_text(json.dumps({"made_by": "x", **vars(replace(begun, consent=SAID))}))
    assert checked(asked) == Begun(**{**vars(begun), "consent": SAID})
    with pytest.raises(InputError, match="begun with another --separate"):
        checked(request(made, tmp_path / "run", separate=True))
    (tmp_path / "run" / "adapt.json").write_text("{}")
    with pytest.raises(InputError, match="not as 'autosing adapt' wrote it"):
        checked(asked)


def test_recordings_of_a_phone_are_audio(tmp_path):
    from inference.voice.singers import audio_in

    save(Audio(np.zeros((1, 2400), np.float32), 24_000), tmp_path / "a.wav")
    (tmp_path / "memo.M4A").write_bytes(b"")
    assert [path.name for path in audio_in(tmp_path)] == ["a.wav", "memo.M4A"]
