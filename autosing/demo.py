"""A folder -> songs, corpus, dataset, two trained models, a sung line and a page: the main job as a list of commands.

Each step is one `autosing ...` command in its own process, so the demo shows what a person would type. A step is
skipped if its command, its inputs, the code and its outputs are the same as when it last succeeded. Otherwise the
command runs again, and keeps what it has already done.
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

LEDGER = "_demo.json"
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SONGS = ("-n", "8", "--seed", "7", "--partitions", "2", "--lines", "2", "--voices", "mixed")
"""Natural singers too, where their weights can be had; else `autosing songs` says so and has the others sing."""
WEIGHTS = ("spleeter-2stems", "whisper-base", "ge2e")
REMARK = (
    "A clip of the training songs, sung again: minutes of training on eight short songs teach these models those songs "
    "and little else. They are told the clip's words and their times, its instrumental and its singer; what is sung is "
    "drawn code by code, first what is sung by t2s, then how it sounds by sm2a."
)
PROGRAM = (sys.executable, "-m", "autosing")


@dataclass(frozen=True)
class Step:
    """One command. `reads` and `writes` are patterns of files in the demo's folder, which decide whether the command
    must run. Every pattern of `writes` must match a file when the step has ended."""

    name: str
    says: str
    args: tuple[str, ...]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    late_args: Callable[[], tuple[str, ...]] | None = None
    """More arguments, known only after the steps before."""
    starts_anew: str | None = None
    """A folder that is removed before the step if its inputs have changed: a training run belongs to one dataset."""


def plan(out: Path, configs: Path = CONFIGS) -> list[Step]:
    """The main job, in order."""
    if not configs.is_dir():
        raise InputError(f"demo: no configs at {configs}; run it from a clone of the repository (pip install -e .)")
    corpus, dataset, runs = out / "corpus", out / "dataset", out / "runs"
    t2s, sm2a, sung = runs / "t2s", runs / "sm2a", out / "sung.wav"

    def config(room: str, name: str = "demo") -> tuple[str, str]:
        return ("--config", str(configs / room / f"{name}.yaml"))

    def train(task: str) -> Step:
        return Step(
            f"train-{task}",
            f"Train {task} until it knows these songs",
            (
                "train",
                task,
                "--data",
                str(dataset),
                "--run",
                str(runs / task),
                "--resume",
                *config("train", f"demo_{task}"),
            ),
            reads=("dataset/index.json",),
            writes=(f"runs/{task}/model.safetensors", f"runs/{task}/metrics.jsonl"),
            starts_anew=f"runs/{task}",
        )

    return [
        Step("models", "Fetch pretrained weights, once a machine", ("models", "fetch", *WEIGHTS)),
        Step(
            "songs",
            "Make songs of known truth",
            ("songs", str(out / "songs"), *SONGS),
            writes=("songs/*/index.parquet",),
        ),
        Step(
            "import",
            "Import them: balanced partitions",
            ("import", str(out / "songs"), str(corpus)),
            reads=("songs/*/index.parquet",),
            writes=("corpus/*/index.parquet",),
        ),
        Step(
            "process",
            "Separate, align, cut into clips, track pitch, hear singers, tokenise (Ray, two workers)",
            ("process", str(corpus), *config("processing")),
            reads=("corpus/*/index.parquet",),
            writes=("corpus/*/acoustic.parquet", "corpus/*/semantic.parquet", "corpus/*/singer.parquet"),
        ),
        Step(
            "build",
            "Join, split by singer and song, write shards",
            ("build", str(corpus), str(dataset), *config("dataset_builder")),
            reads=("corpus/*/*.parquet",),
            writes=("dataset/index.json", "dataset/*/*.tar"),
        ),
        train("t2s"),
        train("sm2a"),
        Step(
            "sing",
            "Sing a clip of the training songs again, over its own instrumental",
            (
                *("sing", "--t2s", str(t2s), "--sm2a", str(sm2a), "--out", str(sung), "--codes-out", "--force"),
                *config("inference"),
            ),
            reads=("runs/*/model.safetensors", "dataset/index.json"),
            writes=("sung.wav", "sung.vocals.wav", "sung.lrc", "sung.json", "sung.npz"),
            late_args=lambda: ("--reference", f"{corpus}#{clip_to_sing(dataset, out / 'songs')}", "--remark", REMARK),
        ),
        Step(
            "report",
            "Write the page",
            (
                *("report", str(out / "report.html"), "--corpus", str(corpus), "--dataset", str(dataset)),
                *("--run", str(t2s), "--run", str(sm2a), "--sung", str(sung), "--steps", str(out / LEDGER)),
            ),
            reads=("corpus/*/*.parquet", "dataset/index.json", "runs/*/metrics.jsonl", "sung.json"),
            writes=("report.html",),
        ),
    ]


def clip_to_sing(dataset: Path, songs: Path) -> str:
    """The id of the first training clip that has music and words, of a natural singer where there is one."""
    from autosing.schemas.sample import DatasetIndex
    from autosing.storage.shards import read_shard

    split = DatasetIndex.load(dataset).splits["train"]
    samples = (sample for shard in split.shards for _, sample in read_shard(dataset / shard.path))
    clips = [(s.id, s.meta.song) for s in samples if s.has("instrumental_codes") and s.meta.words]
    if not clips:
        raise InputError(f"demo: no clip with words and music in {dataset}; remove {dataset.parent} and run it again")
    return next((clip for clip, song in clips if _is_natural(songs, song)), clips[0][0])


def _is_natural(songs: Path, song: str) -> bool:
    truth = songs / "truth" / song / "truth.json"
    return truth.is_file() and json.loads(truth.read_text("utf-8")).get("voice") == "natural"


def run_steps(steps: Sequence[Step], out: Path, program: Sequence[str] = PROGRAM) -> list[dict[str, Any]]:
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
            said = _run([*program, *args, "--json"], step.name, out / "logs" / f"{number:02d}-{step.name}.log")
            missing = [pattern for pattern in step.writes if not _matches(out, pattern)]
            if missing:
                raise InputError(f"demo: step {step.name} ended but wrote no {', '.join(missing)}; see {out / 'logs'}")
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
        raise InputError(f"demo: step {name} ended with code {code}; its log is {log} and ends:\n{ends}")
    rows = said.strip().splitlines()
    return json.loads(rows[-1]) if rows else None


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
