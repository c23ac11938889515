"""What an error advises can be followed: by the command that was run, whichever it was."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from autosing.errors import InputError
from autosing.models.separation import SeparatorConfig, load_separator
from dataset_builder.cli import build
from inference import adapt_cli, cli, evaluate_cli, provenance_cli, render_cli, speech_cli, ui_cli, voice_cli
from processing.cli import import_songs, process
from train.cli import train

HOUSE = Path(__file__).parents[1]


def texts(*rooms: str) -> Iterator[tuple[Path, str]]:
    """(file, text) of each string in these folders, docstrings and messages, values left out."""
    for path in (path for room in rooms for path in sorted((HOUSE / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path, node.value


def options_of(*functions: object) -> set[str]:
    found: set[str] = set()
    for function in functions:
        app = typer.Typer()
        app.command()(function)  # type: ignore[type-var]
        command = typer.main.get_command(app)
        found |= {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    return found


def test_what_a_command_advises_are_options_of_its_own() -> None:
    voice = {path for path, _ in texts("inference/voice")} | {HOUSE / "inference" / "voice_cli.py"}
    named: dict[bool, set[str]] = {True: set(), False: set()}
    adapting: set[str] = set()
    for path, text in texts("inference"):
        if path.stem == "sung_corpus":  # a program of its own, with options of its own
            continue
        found = adapting if path.stem in ("adapt", "adapt_cli") else named[path in voice]
        found |= set(re.findall(r"--[a-z][a-z0-9-]*", text))
    assert len(named[False]) > 15 and len(named[True]) > 10
    others = (
        cli.sing, cli.report, cli.merge, cli.export, render_cli.render, evaluate_cli.evaluate,
        speech_cli.speech_to_singing, provenance_cli.inspect, ui_cli.ui,
    )  # fmt: skip
    of_pip = {"--force-reinstall"}
    assert named[False] - of_pip <= options_of(*others)
    assert named[True] <= options_of(voice_cli.convert, voice_cli.index, voice_cli.enrol)
    called = (import_songs, process, build, train, voice_cli.convert, render_cli.render)
    assert adapting and adapting <= options_of(adapt_cli.adapt, *called)


def test_what_several_commands_share_advises_no_option_of_one_of_them() -> None:
    """`process` has no --codec, `sing` no `separate.model`, `build` neither."""
    rooms = ("autosing/codecs", "autosing/models", "autosing/generation", "autosing/text")
    for path, text in texts(*rooms):
        assert not re.findall(r"(?:^|\s)(--[a-z]+|(?:separate|separation|acoustic|semantic)\.[a-z]+)", text), (
            path,
            text,
        )


def test_a_separator_that_cannot_be_is_told_in_the_words_of_its_own_settings(tmp_path: Path) -> None:
    for wrong, found in (
        (SeparatorConfig(separator="demucs", model="other"), r"model 'other'.*`repo`"),
        (SeparatorConfig(separator="demucs", repo=tmp_path / "none"), r"repo .*none.*no such folder"),
    ):
        with pytest.raises(InputError, match=found):
            load_separator(wrong)
