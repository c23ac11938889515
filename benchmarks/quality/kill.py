"""SIGKILL during `process` and `build`, at every commit point and at random moments -> JSON: were the bytes the same?

    python benchmarks/quality/kill.py [--moments 50] [--no-points] [--seed 0] [--jobs 2] [--store]

Each case takes songs, kills processing or building (a first run, or a second one with another config), checks what
readers see (complete tables and a complete dataset, old or new, or none), runs again, and compares every file with an
undisturbed run. `--store` does it all in an S3 server on loopback. Stages are cheap ones: the commits are tested.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from autosing.schemas.sample import DatasetIndex
from autosing.storage.remote import Remote
from autosing.storage.store import Place, files_in, put_bytes
from autosing.storage.tables import partitions, read_meta, read_rejects, read_rows, table_path
from dataset_builder.build import build
from dataset_builder.config import BuildConfig
from processing.engine.runner import run
from processing.pipeline import PipelineConfig

sys.path.append(str(Path(__file__).parents[2] / "tests"))  # `support` is not installed
from support.killing import Outcome, in_process
from support.s3 import address, s3_server
from support.stages import Vocals, cheap_corpus, cheap_stages

FIRST = BuildConfig(members=("meta", "pitch", "audio"), valid=0.2, test=0.2, seed=1, shard_rows=6)
AGAIN = FIRST.model_copy(update={"seed": 2, "shard_rows": 4})
Action = Callable[[Place], Any]
Roots = Callable[[str], Place]


def process(home: Place, clips: int = 3) -> None:
    assert not run(home / "c", cheap_stages(clips), PipelineConfig(), "inline").failures


class Operation(NamedTuple):
    before: tuple[Action, ...]
    """What was done before."""
    action: Action
    """What is killed."""


def _build(config: BuildConfig) -> Action:
    return lambda home: build(home / "c", home / "d", config)


OPERATIONS = {
    "process": Operation((), process),
    "process, other config": Operation((process,), lambda home: process(home, 2)),
    "build": Operation((process,), _build(FIRST)),
    "build, other config": Operation((process, _build(FIRST)), _build(AGAIN)),
}


def contents(home: Place) -> dict[str, bytes]:
    return {name: (home / name).read_bytes() for name in files_in(home)}


def faults(home: Place, known: list[dict[str, bytes]]) -> list[str]:
    """What a reader would find wrong: tables or a dataset that are neither as before nor as after the operation."""
    wrong = []
    for k in partitions(home / "c"):
        for stage in ("segment", "pitch"):
            name = f"c/{k}/{stage}.parquet"
            held = read_meta(home / name)
            if held is None:
                continue
            if (home / name).read_bytes() not in [files.get(name) for files in known]:
                wrong.append(name)
            if len(read_rejects(home / "c", k, stage)) not in (0, held.rejected):
                wrong.append(f"{name}: rejects")
    if (home / "d" / "index.json").is_file():
        index = DatasetIndex.load(home / "d")
        named = [shard.path for split in index.splits.values() for shard in split.shards]
        whole = {name: (home / "d" / name).read_bytes() for name in ["index.json", *named]}
        if not any(all(files.get(f"d/{n}") == data for n, data in whole.items()) for files in known):
            wrong.append("dataset")
    elif any("d/index.json" in files for files in known[:1]):
        wrong.append("dataset is gone")
    return wrong


def rows(home: Place) -> dict[str, int]:
    """Songs in, clips, distinct clips, rejects: lost or doubled rows would show."""
    corpus = home / "c"
    songs = clips = rejects = 0
    ids = set()
    for k in partitions(corpus):
        index = read_meta(table_path(corpus, k, "index"))
        assert index is not None
        songs += index.rows
        mine = [row.id for row in read_rows(table_path(corpus, k, "segment"), Vocals)]
        clips, ids = clips + len(mine), ids | set(mine)
        rejects += len(read_rejects(corpus, k, "segment")) + len(read_rejects(corpus, k, "pitch"))
    return {"songs": songs, "clips": clips, "distinct_clips": len(ids), "rejects": rejects}


def call(home: Place, work: Callable[[], Any]) -> Any:
    """The result of `work`; for a store in a process of its own, whose clients end with it."""
    return work() if isinstance(home, Path) else in_process(work).result


def restore(home: Place, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        put_bytes(data, home / name, "run")


def case(home: Place, name: str, known: list[dict[str, bytes]], how: dict[str, Any]) -> tuple[Outcome, list[str]]:
    """Kill one operation, check what readers see, run it again, compare."""
    action = OPERATIONS[name].action
    call(home, lambda: restore(home, known[0]))
    outcome = in_process(lambda: action(home), **how)
    wrong = call(home, lambda: faults(home, known))
    call(home, lambda: action(home))
    if not call(home, lambda: contents(home) == known[-1]):
        wrong.append("bytes differ after the second run")
    return outcome, [f"{name} {how}: {what}" for what in wrong]


def undisturbed(home: Place, name: str) -> tuple[list[dict[str, bytes]], Outcome, dict[str, int]]:
    """(every file before and after the operation, how it went, its rows)."""
    before, action = OPERATIONS[name]
    call(home, lambda: [cheap_corpus(home / "c"), *(done(home) for done in before)])
    old = call(home, lambda: contents(home))
    outcome = in_process(lambda: action(home))
    return [old, call(home, lambda: contents(home))], outcome, call(home, lambda: rows(home))


class Measured(NamedTuple):
    facts: dict[str, Any]
    wrong: list[str]
    killed_at_moments: int
    ended_before: int
    """Kills at random moments that came too late."""
    passages: Counter[int]
    """Commit points passed before a kill at a random moment -> how often."""


def measure_operation(root: Roots, name: str, points: bool, moments: int, seed: int) -> Measured:
    """All kills of one operation."""
    chance = random.Random(f"{seed} {name}")
    place = name.replace(", ", "-").replace(" ", "-")
    known, outcome, counted = undisturbed(root(f"{place}-whole"), name)
    wrong: list[str] = []
    killed_there = 0
    for n in range(len(outcome.passed) if points else 0):
        result, bad = case(root(f"{place}-point{n}"), name, known, {"kill_at": n})
        killed_there, wrong = killed_there + result.killed, wrong + bad
    facts = {
        "commit_points_passed": len(outcome.passed), "killed_there": killed_there, "files": len(known[-1]),
        "seconds": round(outcome.seconds, 2), "rows": counted,
    }  # fmt: skip
    passages: Counter[int] = Counter()
    tries = killed = 0
    longest_s = outcome.seconds
    while killed < moments:
        after_s = chance.uniform(0.0, longest_s)
        tries += 1
        result, bad = case(root(f"{place}-moment{tries}"), name, known, {"kill_after_s": after_s})
        wrong += bad
        killed += result.killed
        longest_s = longest_s if result.killed else result.seconds  # it had ended: kill earlier
        passages[len(result.passed)] += result.killed
    return Measured(facts, wrong, killed, tries - killed, passages)


def measure(root: Roots, points: bool, moments: int, seed: int, jobs: int) -> dict[str, Any]:
    """All operations, `jobs` of them at a time."""
    shares = {
        name: moments // len(OPERATIONS) + (number < moments % len(OPERATIONS))
        for number, name in enumerate(OPERATIONS)
    }
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {
            name: pool.submit(measure_operation, root, name, points, share, seed) for name, share in shares.items()
        }
        found = {name: future.result() for name, future in waiting.items()}
    return {
        "operations": {name: measured.facts for name, measured in found.items()},
        "killed_at_random_moments": {name: measured.killed_at_moments for name, measured in found.items()},
        "ended_before_the_kill": sum(measured.ended_before for measured in found.values()),
        "different_places_in_the_work": len(sum((measured.passages for measured in found.values()), Counter())),
        "wrong": [what for measured in found.values() for what in measured.wrong],
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--moments", type=int, default=50)
    words.add_argument("--points", action=argparse.BooleanOptionalAction, default=True)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--jobs", type=int, default=2)
    words.add_argument("--store", action="store_true")
    given = words.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, s3_server() if given.store else nullcontext() as port:

        def root(name: str) -> Place:
            return Remote(*address(port, name).removeprefix("s3://").split("?")) if port else Path(folder) / name

        found = measure(root, given.points, given.moments, given.seed, given.jobs)
    print(json.dumps({"store": given.store, **found, "wall_s": round(time.monotonic() - started)}, indent=1))
    sys.exit(1 if found["wrong"] else 0)


if __name__ == "__main__":
    main()
