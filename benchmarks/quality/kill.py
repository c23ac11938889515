"""SIGKILL during `process` and `build`, at every commit point and at random moments -> JSON: were the bytes the same?

    python benchmarks/quality/kill.py [--moments 50] [--no-points] [--seed 0] [--store]

Each case takes songs, kills processing or building (first, or again under another config), looks at what readers see
(whole tables and a whole dataset, old or new, or none), runs again, and compares every file with an undisturbed run.
`--store` does it all in an S3 server on loopback. Stages are cheap ones: what is tested is the commit.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import webdataset.writer  # noqa: F401  (imports torch: once here, not in each fork)

from autosing.schemas.sample import DatasetIndex
from autosing.storage.remote import Remote
from autosing.storage.store import Place, files_in, put_bytes
from autosing.storage.tables import partitions, read_meta, read_rejects, read_rows, table_path
from dataset_builder import build as room
from dataset_builder.config import BuildConfig
from processing.engine.runner import run
from processing.pipeline import PipelineConfig

sys.path.append(str(Path(__file__).parents[2] / "tests"))  # `support` is not installed
from support.killing import Outcome, in_process
from support.s3 import address, s3_server
from support.stages import Vocals, cheap_corpus, cheap_stages

FIRST = BuildConfig(members=("meta", "pitch", "audio"), valid=0.2, test=0.2, seed=1, shard_rows=6)
AGAIN = FIRST.model_copy(update={"seed": 2, "shard_rows": 4})
Deed = Callable[[Place], Any]


def process(home: Place, clips: int = 3) -> None:
    assert not run(home / "c", cheap_stages(clips), PipelineConfig(), "inline").failures


DEEDS: dict[str, tuple[list[Deed], Deed]] = {
    "process": ([], process),
    "process, other config": ([process], lambda home: process(home, 2)),
    "build": ([process], lambda home: room.build(home / "c", home / "d", FIRST)),
    "build, other config": (
        [process, lambda home: room.build(home / "c", home / "d", FIRST)],
        lambda home: room.build(home / "c", home / "d", AGAIN),
    ),
}
"""name -> (what was done before, the deed that is killed)."""


def contents(home: Place) -> dict[str, bytes]:
    return {name: (home / name).read_bytes() for name in files_in(home)}


def seen(home: Place, known: list[dict[str, bytes]]) -> list[str]:
    """What a reader would find wrong: a table or dataset that is neither as before nor as wanted."""
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
    """Songs in, clips, clips told apart, rejects: what was lost or doubled would show."""
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


def aside(home: Place, deed: Callable[[], Any]) -> Any:
    """The deed's result. What talks to a store is done in a fork: a process with a client cannot be forked well."""
    return deed() if isinstance(home, Path) else in_process(deed).result


def restore(home: Place, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        put_bytes(data, home / name, "run")


def case(home: Place, name: str, known: list[dict[str, bytes]], how: dict[str, Any]) -> tuple[Outcome, list[str]]:
    """Kill one deed, look, run it again, compare."""
    deed = DEEDS[name][1]
    aside(home, lambda: restore(home, known[0]))
    outcome = in_process(lambda: deed(home), **how)
    wrong = aside(home, lambda: seen(home, known))
    aside(home, lambda: deed(home))
    if not aside(home, lambda: contents(home) == known[-1]):
        wrong.append("bytes differ after the second run")
    return outcome, [f"{name} {how}: {what}" for what in wrong]


def undisturbed(home: Place, name: str) -> tuple[list[dict[str, bytes]], Outcome, dict[str, int]]:
    """(every file before and after the deed, how it went, its rows)."""
    before, deed = DEEDS[name]
    aside(home, lambda: [cheap_corpus(home / "c"), *(done(home) for done in before)])
    old = aside(home, lambda: contents(home))
    outcome = in_process(lambda: deed(home))
    return [old, aside(home, lambda: contents(home))], outcome, aside(home, lambda: rows(home))


def measure(root: Callable[[str], Place], points: bool, moments: int, seed: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    wrong: list[str] = []
    chance = random.Random(seed)
    killed_in: Counter[str] = Counter()
    passages: Counter[int] = Counter()
    tries = 0
    for number, name in enumerate(DEEDS):
        known, outcome, counted = undisturbed(root(f"whole{number}"), name)
        killed = 0
        for n in range(len(outcome.passed) if points else 0):
            result, bad = case(root(f"point{number}-{n}"), name, known, {"kill_at": n})
            killed, wrong = killed + result.killed, wrong + bad
        found[name] = {
            "commit_points_passed": len(outcome.passed), "killed_there": killed, "files": len(known[-1]),
            "seconds": round(outcome.seconds, 2), "rows": counted,
        }  # fmt: skip
        mine = moments // len(DEEDS) + (number < moments % len(DEEDS))
        longest_s = outcome.seconds
        while killed_in[name] < mine:
            after_s = chance.uniform(0.0, longest_s)
            tries += 1
            result, bad = case(root(f"moment{tries}"), name, known, {"kill_after_s": after_s})
            wrong += bad
            killed_in[name] += result.killed
            longest_s = longest_s if result.killed else result.seconds  # it had ended: look earlier
            passages[len(result.passed)] += result.killed
    return {
        "deeds": found, "killed_at_random_moments": dict(killed_in), "ended_before_the_kill": tries - moments,
        "different_places_in_the_work": len(passages), "wrong": wrong,
    }  # fmt: skip


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--moments", type=int, default=50)
    words.add_argument("--points", action=argparse.BooleanOptionalAction, default=True)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--store", action="store_true")
    given = words.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, s3_server() if given.store else nullcontext() as port:

        def root(name: str) -> Place:
            return Remote(*address(port, name).removeprefix("s3://").split("?")) if port else Path(folder) / name

        found = measure(root, given.points, given.moments, given.seed)
    print(json.dumps({"store": given.store, **found, "wall_s": round(time.monotonic() - started)}, indent=1))
    sys.exit(1 if found["wrong"] else 0)


if __name__ == "__main__":
    main()
