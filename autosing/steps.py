"""A job as a list of commands, each in its own process: a step runs again only where something has changed.

A step is skipped if its command, its inputs, the code and its outputs are the same as when it last succeeded. Otherwise
the command runs again, and keeps what it has already done: a job that was killed goes on where it stopped.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any

from autosing.console import note
from autosing.errors import InputError
from autosing.storage.store import digest_of, write_whole

LEDGER = "_steps.json"


@dataclass(frozen=True)
class Step:
    """One command: `autosing` and its arguments, or another module's.

    `reads` and `writes` are patterns of files in the job's folder, which decide whether the command must run. Every
    pattern of `writes` must match a file when the step has ended.
    """

    name: str
    says: str
    args: tuple[str, ...]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    late_args: Callable[[], tuple[str, ...]] | None = None
    """More arguments, known only after the steps before."""
    module: str = "autosing"
    starts_anew: str | None = None
    """A folder that is removed before the step if its inputs have changed: a training run belongs to one dataset."""


def run_steps(steps: Sequence[Step], out: Path, program: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Run the steps that must be run, in order. Returns a row for each: its name, seconds, and whether it was kept.

    Raises InputError if a step fails: the end of its log is shown, and the log is kept in `<out>/logs`.
    """
    out.mkdir(parents=True, exist_ok=True)
    ledger_path = out / LEDGER
    held: dict[str, Any] = json.loads(ledger_path.read_text("utf-8")) if ledger_path.is_file() else {}
    ledger: dict[str, Any] = {}
    code = _digest_of_code()
    rows = []
    for number, step in enumerate(steps, start=1):
        label = f"{number}/{len(steps)} {step.name}"
        args = step.args + (step.late_args() if step.late_args else ())
        wanted = {"args": list(args), "inputs": _digests(out, step.reads) | _config_digests(args), "code": code}
        old = held.get(step.name, {})
        kept = all(old.get(key) == value for key, value in wanted.items())
        kept = kept and old["outputs"] == _digests(out, step.writes)
        if kept:
            note(f"{label}: kept")
            ledger[step.name] = old
        else:
            if step.starts_anew and old and old["inputs"] != wanted["inputs"]:
                shutil.rmtree(out / step.starts_anew, ignore_errors=True)
            # What it was started with: after a kill, this tells whether unfinished files belong to these inputs.
            _write(ledger_path, held | ledger | {step.name: wanted | {"code": "begun"}})
            note(f"{label}: {step.says}")
            started = time.monotonic()
            command = [*(program or (sys.executable, "-m", step.module)), *args]
            command += ["--json"] if step.module == "autosing" else []
            said = _run(command, step.name, out / "logs" / f"{number:02d}-{step.name}.log")
            missing = [pattern for pattern in step.writes if not _matches(out, pattern)]
            if missing:
                raise InputError(f"step {step.name} ended but wrote no {', '.join(missing)}; see {out / 'logs'}")
            seconds = round(time.monotonic() - started, 1)
            ledger[step.name] = wanted | {"outputs": _digests(out, step.writes), "seconds": seconds, "summary": said}
            _write(ledger_path, held | ledger)
        rows.append({"step": step.name, "seconds": ledger[step.name]["seconds"], "done": "kept" if kept else "run"})
    return rows


def _run(command: Sequence[str], name: str, log: Path) -> Any:
    """Run one command; its notes are passed on and kept in the log. Returns its --json summary."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stderr is not None
        lines: list[str] = []
        listener = Thread(target=_pass_on, args=(process.stderr, file, lines))
        listener.start()
        try:
            said = process.stdout.read()
            code = process.wait()
        finally:
            process.terminate()
            process.wait()
            listener.join()
        file.write(said)
    if code != 0:
        ends = "\n".join(lines[-12:])
        raise InputError(f"step {name} ended with code {code}; its log is {log} and ends:\n{ends}")
    rows = said.strip().splitlines()
    return json.loads(rows[-1]) if rows and command[-1] == "--json" else None


def _pass_on(stderr: IO[str], log: IO[str], lines: list[str]) -> None:
    for line in stderr:
        lines.append(line.rstrip())
        log.write(line)
        log.flush()
        note(f"    {line.rstrip()}")


def _matches(out: Path, pattern: str) -> list[Path]:
    return sorted(path for path in out.glob(pattern) if path.is_file())


def _digests(out: Path, patterns: Sequence[str]) -> dict[str, str]:
    paths = {path for pattern in patterns for path in _matches(out, pattern)}
    return {str(path.relative_to(out)): _digest(path) for path in sorted(paths)}


def _config_digests(args: Sequence[str]) -> dict[str, str]:
    return {Path(word).name: _digest(Path(word)) for word in args if word.endswith(".yaml")}


def _digest(path: Path) -> str:
    return digest_of(path)[:32]


def _digest_of_code() -> str:
    """Changes with any line of the five packages and any bundled weight; then every step runs again."""
    root = Path(__file__).resolve().parents[1]
    rooms = ("autosing", "processing", "dataset_builder", "train", "inference")
    found = [path for room in rooms for path in (root / room).rglob("*")]
    paths = sorted(path for path in found if path.suffix in (".py", ".css", ".js", ".safetensors", ".json"))
    text = "\n".join(f"{path.relative_to(root)} {_digest(path)}" for path in paths)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _write(path: Path, values: dict[str, Any]) -> None:
    write_whole(path, json.dumps(values, indent=1, ensure_ascii=False).encode())
