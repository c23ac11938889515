"""`autosing plan` against a run of ten times the size, in real time by two Ray workers, as JSON.

    python -P benchmarks/plan.py [--partitions 20] [--times 10] [--workers 2] [--seconds 0.5]
    python -P benchmarks/plan.py --real [--partitions 6] [--lines 3]

-P: else this folder's processing.py hides the package. Stages sleep: a partition takes `--seconds` on the average, a
quarter of that in the next stage, so what else the machine does tells little. `--real`: all stages of the pipeline on
made songs, one a partition; nothing else should run. Three partitions a worker are measured.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosing.config import Config
from autosing.schemas.tables import Song
from autosing.songs.corpus import make_songs
from autosing.stage import Stage
from autosing.storage.tables import TableWriter, table_path
from processing.engine.runner import run
from processing.pipeline import PipelineConfig, build_stages
from processing.plan import Target, forecast, measure

_SONGS = 3
_BYTES = 2000


@dataclass(frozen=True)
class Heard:
    id: str
    audio: bytes


@dataclass(frozen=True)
class Key:
    id: str


class Pace(Config):
    seconds_a_byte: float = 0.0
    seconds_a_row: float = 0.0


class First(Stage[Heard, Key]):
    """As long as a song is."""

    name, version, reads, takes, gives, Settings = "first", 1, ("index",), Heard, Key, Pace
    config: Pace

    def apply(self, row: Heard) -> Key:
        time.sleep(len(row.audio) * self.config.seconds_a_byte)
        return Key(row.id)


class Second(Stage[Key, Key]):
    """As many as there are."""

    name, version, reads, takes, gives, Settings = "second", 1, ("first",), Key, Key, Pace
    config: Pace

    def apply(self, row: Key) -> Key:
        time.sleep(self.config.seconds_a_row)
        return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--lines", type=int, default=3, help="of the verse and of the chorus of a made song")
    given = parser.parse_args()
    partitions = given.partitions or (6 if given.real else 20)
    config = PipelineConfig(workers=given.workers)
    stages: list[Stage[Any, Any]] = [
        First(Pace(seconds_a_byte=given.seconds / _SONGS / _BYTES)),
        Second(Pace(seconds_a_row=given.seconds / 4 / _SONGS)),
    ]
    if given.real:
        stages = build_stages(config)
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        for corpus, count, seed in ((small, partitions, 1), (large, partitions * given.times, 2)):
            if given.real:
                make_songs(corpus, count, seed, partitions=count, workers=given.workers, lines=given.lines)
            else:
                make_corpus(corpus, count)
        known = measure(small, stages, config, None)
        _, planned = forecast(known, Target(known.songs * given.times))
        began = time.monotonic()
        failures = run(large, stages, config).failures
        took_s = time.monotonic() - began
        assert not failures, failures
    print(
        json.dumps(
            {
                "stages": [stage.name for stage in stages],
                "songs": known.songs * given.times,
                "measured_partitions": len(known.sampled),
                "measuring_s": round(known.wall_s, 1),
                "partitions": planned["partitions"],
                "planned_s": planned["wall_seconds"],
                "of_it_start_s": planned["of_it_start_seconds"],
                "took_s": round(took_s, 1),
                "planned_to_took": round(planned["wall_seconds"] / took_s, 3),
            }
        )
    )


def make_corpus(folder: Path, count: int) -> Path:
    """Partitions of half to one and a half times the mean size."""
    for k in range(count):
        with TableWriter(table_path(folder, k, "index"), Song) as writer:
            for i in range(_SONGS):
                writer.add(Song(f"s{k}-{i}", os.urandom(round(_BYTES * (0.5 + k * 7 % 11 / 10)))))
            writer.commit("index", 1, _SONGS, {})
    return folder


if __name__ == "__main__":
    main()
