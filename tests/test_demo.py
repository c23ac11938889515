"""The demo keeps what is done: a step runs again only where its command, inputs, code or outputs changed."""

import json
import sys
from pathlib import Path

import pytest

from autosing.demo import plan, speech_to_sing
from autosing.errors import InputError
from autosing.steps import LEDGER, Step, run_steps

COPY = """
import json, sys
from pathlib import Path
source, target = map(Path, sys.argv[1:3])
sys.stderr.write("copying\\n")
if not source.is_file():
    sys.exit(f"{source}: no such file")
target.parent.mkdir(exist_ok=True)
target.write_text(source.read_text() + "!")
(target.parent / "runs.txt").open("a").write(target.name + "\\n")
print(json.dumps({"title": "copied"}))
"""
PROGRAM = (sys.executable, "-c", COPY)


def steps(out: Path) -> list[Step]:
    return [
        Step("first", "copies a", (str(out / "a"), str(out / "b")), reads=("a",), writes=("b",)),
        Step("second", "copies b", (str(out / "b"), str(out / "run" / "c")), reads=("b",), writes=("run/c",),
             starts_anew="run"),
    ]  # fmt: skip


def done(out: Path) -> list[str]:
    return [row["done"] for row in run_steps(steps(out), out, PROGRAM)]


def test_a_second_run_keeps_everything_and_a_change_runs_what_depends_on_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    assert done(tmp_path) == ["run", "run"]
    assert (tmp_path / "run" / "c").read_text() == "one!!"
    assert done(tmp_path) == ["kept", "kept"]
    (tmp_path / "run" / "c").unlink()
    assert done(tmp_path) == ["kept", "run"]
    (tmp_path / "run" / "left over").write_text("of the run of other inputs")
    (tmp_path / "a").write_text("two")
    assert done(tmp_path) == ["run", "run"]
    assert (tmp_path / "run" / "c").read_text() == "two!!"
    assert not (tmp_path / "run" / "left over").exists()
    ledger = json.loads((tmp_path / LEDGER).read_text())
    assert ledger["second"]["summary"] == {"title": "copied"}
    assert "copying" in (tmp_path / "logs" / "02-second.log").read_text()


def test_a_failing_step_names_its_log_and_what_was_done_before_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    broken = [steps(tmp_path)[0], Step("second", "fails", (str(tmp_path / "none"), str(tmp_path / "c")))]
    with pytest.raises(InputError, match=r"step second ended with code 1.*02-second\.log(.|\n)*no such file"):
        run_steps(broken, tmp_path, PROGRAM)
    silent = [steps(tmp_path)[0], Step("second", "forgets", (str(tmp_path / "a"), str(tmp_path / "c")), writes=("d",))]
    with pytest.raises(InputError, match="wrote no d"):
        run_steps(silent, tmp_path, PROGRAM)
    assert done(tmp_path) == ["kept", "run"]


def test_the_plans_commands_and_configs_exist(tmp_path: Path) -> None:
    from autosing.cli import COMMANDS

    for step in plan(tmp_path):
        assert step.args[0] in COMMANDS, step.name
        assert all(Path(word).is_file() for word in step.args if word.endswith(".yaml")), step.name
    with pytest.raises(InputError, match="no configs"):
        plan(tmp_path, tmp_path / "none")


def test_the_plan_of_the_weights_reads_what_an_earlier_step_writes(tmp_path: Path) -> None:
    import importlib.util

    from autosing.cli import COMMANDS
    from train.weights import plan as plan_weights

    written: set[str] = set()
    for step in plan_weights(tmp_path):
        folders = {pattern.split("/")[0] for pattern in written}
        assert all(pattern in written or pattern.split("/")[0] in folders for pattern in step.reads), step.name
        written |= set(step.writes)
        assert step.module != "autosing" or step.args[0] in COMMANDS, step.name
        assert importlib.util.find_spec(step.module), step.name
        assert all(Path(word).is_file() for word in step.args if word.endswith(".yaml")), step.name
    shipped = ("visinger", "svc_flow", "sts", "svc_vits", "t2s", "sm2a")
    assert {f"shipped/{name}/model.safetensors" for name in shipped} <= written


def test_a_step_may_be_another_modules_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Step("time", "prints nothing to stdout", ("-n", "1", "-r", "1", "pass"), module="timeit")
    assert run_steps([step], tmp_path)[0]["done"] == "run"
    assert json.loads((tmp_path / LEDGER).read_text())["time"]["summary"] is None


def test_an_english_natural_singers_speech_is_sung_where_there_is_any(tmp_path: Path) -> None:
    for name, voice, language, speaks in (
        ("a", "formants", "en", True), ("b", "natural", "ko", True), ("c", "natural", "en", False),
        ("d", "natural", "en", True), ("e", "natural", "en", True),
    ):  # fmt: skip
        home = tmp_path / "truth" / name
        home.mkdir(parents=True)
        (home / "truth.json").write_text(json.dumps({
            "voice": voice, "language": language, "lines": [{"text": f"line {name}"}, {"text": "and another"}],
        }))  # fmt: skip
        if speaks:
            (home / "speech.flac").touch()
    speech = str(tmp_path / "truth/d/speech.flac")
    assert speech_to_sing(tmp_path) == ("--speech", speech, "--lyrics", "line d\\nand another", "--language", "en")
    for name in "de":
        (tmp_path / "truth" / name / "speech.flac").unlink()
    assert speech_to_sing(tmp_path) == ()
