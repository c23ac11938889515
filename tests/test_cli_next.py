"""What a command says beside its work: what to type next, its version, the nearest name; and nothing when told so."""

import json
import shlex
import subprocess
import sys

import pytest

from autosing import console
from autosing.cli import loaded, main
from autosing.config import load_config
from autosing.errors import InputError
from autosing.pretrained import REGISTRY
from dataset_builder.cli import next_command as after_build
from processing import report
from processing.pipeline import STAGES, build_stages
from processing.report import next_command as after_process
from support.datasets import make_dataset
from support.made_workers import make_corpus
from train.cli import next_command as after_train
from train.config import TrainConfig
from train.tasks import TASKS


@pytest.fixture
def parses():
    """A line that was said -> the command that takes it, its options known."""

    def parse(line: str) -> str:
        called, name, *words = shlex.split(line)
        assert called == "autosing"
        loaded(name).make_context(name, words)
        return name

    return parse


def test_each_command_names_the_next_one_filled_in(parses, tmp_path, monkeypatch):
    corpus = make_corpus(tmp_path / "my corpus", [2000])
    assert after_process(corpus) == f"autosing process '{corpus}'"
    for stage in STAGES:
        (corpus / "0" / f"{stage}.parquet").touch()
        said = after_process(corpus)
        assert parses(said) == ("build" if stage == "acoustic" else "process")
    assert said == f"autosing build '{corpus}' {tmp_path / 'dataset'}"
    monkeypatch.setattr(report, "of_each", None)
    looked = [{"stage": stage, "partitions": "1/1"} for stage in STAGES]
    assert after_process(corpus, looked) == said, "what status has looked at is not asked for again"
    looked[1]["partitions"] = "0/1"
    assert after_process(corpus, looked).endswith(f"--stages {list(STAGES)[1]}")
    make_dataset(tmp_path / "d")
    assert parses(after_build(tmp_path / "d")) == "train" and f"t2s --data {tmp_path / 'd'}" in after_build(
        tmp_path / "d"
    )
    make_dataset(tmp_path / "audio", groups=("meta", "audio"))
    assert "train semantic" in after_build(tmp_path / "audio")
    make_dataset(tmp_path / "svc", groups=("meta", "audio", "pitch", "loudness", "content", "singer"))
    assert "train svc_flow" in after_build(tmp_path / "svc")
    make_dataset(tmp_path / "score", groups=("meta", "audio", "pitch", "loudness", "score", "singer"))
    assert "train visinger" in after_build(tmp_path / "score")
    make_dataset(tmp_path / "speech", groups=("meta", "audio", "pitch", "loudness", "score", "speech", "singer"))
    assert "train sts" in after_build(tmp_path / "speech")
    following = {task: parses(after_train(task, tmp_path / "d", tmp_path / "runs" / task)) for task in TASKS}
    assert following == {
        "t2s": "train", "sm2a": "sing", "codec": "process", "semantic": "process", "vocoder": "train",
        "refiner": "convert", "svc_flow": "convert", "svc_vits": "convert", "visinger": "render",
        "sts": "speech-to-singing", "ctc_head": "process",
    }  # fmt: skip


def run(monkeypatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["autosing", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_the_tasks_in_help_are_those_there_are(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(monkeypatch, "train", "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"<{'|'.join(TASKS)}>" in shown


def test_a_mistyped_name_is_told_the_nearest(monkeypatch, capsys):
    assert run(monkeypatch, "procss", "c") == 2
    assert "did you mean 'process'" in capsys.readouterr().err
    with pytest.raises(InputError, match="stage 'aline': unknown; did you mean 'align'"):
        from processing.pipeline import PipelineConfig

        build_stages(PipelineConfig(), ["aline"])
    assert run(monkeypatch, "models", "fetch", "whisper-bse") == 2
    assert "did you mean 'whisper-base'" in capsys.readouterr().err


def test_version_is_said(monkeypatch, capsys):
    from importlib.metadata import version

    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"autosing {version('autosing')}\n"


def test_completion_knows_commands_and_their_options():
    def completed(line: str) -> str:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1 + line.endswith(" "))}
        env = {"PATH": "/usr/bin", "_AUTOSING_COMPLETE": "complete_bash", **words}
        program = [sys.executable, "-c", "import sys; sys.argv[0] = 'autosing'; from autosing.cli import main; main()"]
        return subprocess.run(program, env=env, capture_output=True, text=True).stdout

    assert "process" in completed("autosing pro").split()
    assert "--stages" in completed("autosing process --st").split()


@pytest.mark.parametrize("words", [["--quiet", "models", "list"], ["models", "list", "--quiet"]])
def test_quiet_leaves_the_summary_and_errors(monkeypatch, capsys, words):
    monkeypatch.setattr(console, "_quiet", False)
    monkeypatch.setattr(sys, "argv", ["autosing", *words])
    with pytest.raises(SystemExit):
        main()
    console.note("a note")
    assert list(console.progress([1, 2], "label")) == [1, 2] and not console.has_bar()
    said = capsys.readouterr()
    assert "pretrained weights" in said.out and "a note" not in said.err
    monkeypatch.setattr(console, "_quiet", False)


def test_paths_are_wrapped_and_never_cut(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    path = "/data/" + "/".join(f"a-long-folder-name-{k}" for k in range(12)) + "/song.wav"
    row = {"file": path, "samples": 1}
    console.summary("sung", [row], out=path)
    shown = capsys.readouterr().out
    assert f"file: {path}\n" in shown and f"out: {path}\n" in shown
    console.summary("sung", [row, row], out=path)
    shown = capsys.readouterr().out
    cells = "".join(line.split("│")[1].strip() for line in shown.splitlines() if line.startswith("│"))
    assert path in cells and f"out: {path}" in shown and "…" not in shown


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("x=[1", r"'\[1' is not readable as YAML .*correct or quote it"),
        ("lr=2020-01-01", "neither number, text, list nor mapping.*quote values that are text"),
        ("lr={1, 2", "not readable as YAML"),
        ("lr=!!set {a}", "neither number"),
        ("a: b=1", "unknown key"),
    ],
)
def test_words_that_are_no_values_are_refused(word, says):
    with pytest.raises(InputError, match=says):
        load_config(TrainConfig, overrides=[word])


@pytest.mark.parametrize(
    ("content", "says"), [("[1, 2]", "found a list"), ("a: [1", "not readable as YAML"), ("lr: 2020-01-01", "neither")]
)
def test_a_file_that_is_no_config_is_refused(tmp_path, content, says):
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(InputError, match=says):
        load_config(TrainConfig, tmp_path / "c.yaml")
    with pytest.raises(InputError, match="is a folder"):
        load_config(TrainConfig, tmp_path)
    (tmp_path / "empty.yaml").write_text("")
    assert load_config(TrainConfig, tmp_path / "empty.yaml") == TrainConfig()


def test_all_weights_can_be_fetched_in_one_go(monkeypatch, capsys, tmp_path):
    from autosing import pretrained

    asked = []
    monkeypatch.setattr(pretrained, "fetch", lambda name: asked.append(name) or tmp_path)
    monkeypatch.setattr(pretrained, "digest", lambda name: "d")
    assert run(monkeypatch, "models", "fetch", "--all", "--json") == 0
    usual = [name for name, weight in REGISTRY.items() if not weight.when_named]
    assert "whisper-base" in usual and "whisper-large-v3" not in usual
    assert asked == usual and len(json.loads(capsys.readouterr().out)["rows"]) == len(asked)
    assert run(monkeypatch, "models", "fetch") == 2
