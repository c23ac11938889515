"""The command line: it answers at once, and bad input ends in one clear line and exit code 2."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autosing.cli import COMMANDS, app, main


def run(monkeypatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["autosing", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_help_answers_within_half_a_second():
    """On a slow machine: within three times what typer alone takes there."""

    def cpu_s(*words: str) -> tuple[float, str]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout

    took_s, said = cpu_s("-m", "autosing", "--help")
    assert all(name in said for name in COMMANDS)
    for _ in range(3):
        if took_s < 0.5:
            return
        took_s = min(took_s, cpu_s("-m", "autosing", "--help")[0])
    typer_s = cpu_s("-c", "import typer, rich.panel; typer.Typer()")[0]
    assert took_s < max(0.5, 3 * typer_s), (took_s, typer_s)


def test_help_of_every_command_loads_nothing_heavy():
    script = (
        "import sys; from autosing.cli import main\n"
        "for name in sys.argv[1:]:\n"
        "    sys.argv = ['autosing', name, '--help']\n"
        "    try: main()\n"
        "    except SystemExit as stop: assert not stop.code, name\n"
        "heavy = {'torch', 'ray', 'numpy', 'pyarrow', 'polars', 'soundfile'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *COMMANDS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [["--help"], [], ["--quiet", "--help"], ["-h", "import"]])
def test_a_list_of_all_commands_imports_none_of_their_rooms(words):
    script = (
        "import sys; from autosing.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "rooms = {'processing', 'dataset_builder', 'train', 'inference'} & set(sys.modules)\n"
        "assert not rooms, rooms\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
    assert done.returncode == 0 and "speech-to-singing" in done.stdout + done.stderr, done.stderr


def test_a_command_is_found_by_the_words_that_it_is_given_not_by_those_of_the_process(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["autosing"])
    result = CliRunner().invoke(app, ["verify", "--help"])
    assert result.exit_code == 0 and "--json" in result.output, result.output


@pytest.fixture
def bad(tmp_path) -> Path:
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "song.mp3").write_text("these are only words")
    (tmp_path / "unknown.yaml").write_text("wrokers: 2\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("import {bad}/absent {bad}/C", "absent"),
        ("import {bad}/empty {bad}/C", "empty"),
        ("process {bad}/absent", "no such folder"),
        ("process {bad}/empty", "no <k>/index.parquet"),
        ("process {bad}/empty --config {bad}/unknown.yaml", "did you mean 'workers'"),
        ("process {bad}/empty --stages sing", "stage 'sing': unknown"),
        ("status {bad}/empty", "no <k>/index.parquet"),
        ("build {bad}/empty {bad}/D", "no <k>/index.parquet"),
        ("build {bad}/empty {bad}/D --members voice", "voice"),
        ("verify {bad}/empty", "no index.json"),
        ("train t2s --data {bad}/empty --run {bad}/R", "no index.json"),
        ("train opera --data {bad}/empty --run {bad}/R", "opera"),
        ("process {bad}/empty --set workers", "no key=value"),
        ("sing --sm2a {bad}/absent --out {bad}/o.wav --lyrics la", "--reference"),
        ("songs {bad}/S -n 0", "0"),
        ("songs {bad}/S --languages xx", "xx"),
        ("models fetch whisper-huge", "whisper-huge"),
        ("adapt --voice {bad}/empty --out {bad}/R", "no audio in it"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(monkeypatch, capsys, bad, words, says):
    code = run(monkeypatch, *[word.format(bad=bad) for word in words.split()])
    said = capsys.readouterr().err
    assert code == 2 and says in said, (code, said)
    assert "Traceback" not in said and not (bad / "C").exists() and not (bad / "R").exists()
