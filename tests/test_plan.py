"""`autosing plan`: what is measured on a few partitions tells what ten times as many take."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from autosing.config import Config
from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.stage import Stage
from autosing.storage.tables import TableWriter, partitions, table_path
from processing import plan
from processing.engine import worker
from processing.engine.runner import run
from processing.pipeline import PipelineConfig
from processing.plan import Measure, StageMeasure, Target, forecast, measure


@dataclass(frozen=True)
class Heard:
    id: str
    audio: bytes


@dataclass(frozen=True)
class Named:
    id: str


class Hours:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> float:
        return self.now

    monotonic = process_time = time


CLOCK = Hours()


@pytest.fixture
def hours(monkeypatch):
    for module in (worker, plan):
        monkeypatch.setattr(module, "time", CLOCK)
    return CLOCK


class Slow(Stage[Heard, Named]):
    """Takes 1 s a kilobyte."""

    name, version, reads, takes, gives = "slow", 1, ("index",), Heard, Named

    def setup(self) -> None:
        CLOCK.sleep(5)

    def apply(self, row: Heard) -> Named:
        CLOCK.sleep(len(row.audio) / 1000)
        return Named(row.id)


class After(Stage[Named, Named]):
    name, version, reads, takes, gives = "after", 1, ("slow",), Named, Named

    def apply(self, row: Named) -> Named:
        CLOCK.sleep(0.1)
        return row


def make_corpus(folder: Path, count: int) -> Path:
    for k in range(count):
        with TableWriter(table_path(folder, k, "index"), Song) as writer:
            for i in range(3):
                writer.add(Song(f"s{k}-{i}", os.urandom(1000 + 400 * (k % 5))))
            writer.commit("index", 1, 3, {})
    return folder


def stages():
    return [Slow(Config()), After(Config())]


def test_the_plan_of_a_corpus_ten_times_as_large_is_within_a_twentieth(tmp_path, hours):
    """Of partitions of uneven size, some measured. In real time and by two workers: benchmarks/plan.py."""
    config = PipelineConfig()
    known = measure(make_corpus(tmp_path / "small", 10), stages(), config, 4, "inline")
    assert known.start_s == pytest.approx(0, abs=0.5)
    _, planned = forecast(known, Target(300))
    large = make_corpus(tmp_path / "large", 100)
    began = hours.now
    run(large, stages(), config, "inline")
    assert planned["partitions"] == 100 and planned["wall_seconds"] == pytest.approx(hours.now - began, rel=0.05)


def test_measuring_changes_nothing_and_names_what_is_missing(tmp_path, hours):
    corpus = make_corpus(tmp_path, 6)
    before = sorted(tmp_path.rglob("*"))
    known = measure(corpus, stages(), PipelineConfig(), 2, "inline")
    assert sorted(tmp_path.rglob("*")) == before and partitions(corpus) == list(range(6))
    assert len(known.sampled) == 2 and known.songs == 18 and known.sampled_songs == 6
    slow, after = known.stages
    assert slow.rows_out == after.rows_in == 6 and slow.setup_s >= 5
    assert 6 * 1000 <= slow.read_bytes <= known.sampled_bytes and after.read_bytes < slow.read_bytes
    with pytest.raises(InputError, match=r"slow\.parquet: not there"):
        measure(corpus, stages()[1:], PipelineConfig(), 2, "inline")


def known() -> Measure:
    """Ten songs of 1 MB in two partitions; one stage: 60 s, half of it in models, 8 of 10 rows out."""
    stage = StageMeasure("separate", ("index",), False, 60, 58, 5, 0.5, 10_000_000, 30_000_000, 10, 8)
    return Measure(
        [stage], [5_000_000, 5_000_000], 10, [0, 1], 10_000_000, 10, [(frozenset({"separate"}), 2)], 0, 40, 10
    )


def test_a_forecast_by_hand():
    (row,), found = forecast(known(), Target(1000, machines=4))
    assert (found["partitions"], found["workers"]) == (200, 8)
    assert found["wall_seconds"] == pytest.approx(10 + 5 + 6000 / 8)
    assert row["cpu_hours"] == pytest.approx(5800 / 3600) and row["gpu_hours"] is None
    assert [found[key] for key in ("gb_read", "gb_written", "gb_stored")] == pytest.approx([1, 3, 4])
    assert found["binds"] == "stage separate"
    _, slow = forecast(known(), Target(1000, machines=4, storage_mb_s=2))
    assert slow["binds"] == "storage" and slow["wall_seconds"] == pytest.approx(10 + 2000)


def test_gpu_hours_are_told_only_where_a_gpu_was_measured():
    on_cpu = known()
    _, told = forecast(on_cpu, Target(1000, gpus=64))
    assert told["gpu_hours"] == "not measured" and "64 GPUs are not in these figures" in told["note"]
    assert told["workers"] == 2
    on_gpu = replace(on_cpu, gpus=1, stages=[replace(on_cpu.stages[0], on_gpu=True)])
    _, told = forecast(on_gpu, Target(1000, gpus=64))
    assert told["workers"] == 128 and told["gpu_hours"] == pytest.approx(6000 / 3600 / 2)


def test_more_jobs_than_can_be_played_are_bounded(monkeypatch):
    _, played = forecast(known(), Target(4000, machines=4))
    monkeypatch.setattr(plan, "_MAX_SIMULATED_JOBS", 10)
    _, bounded = forecast(known(), Target(4000, machines=4))
    assert played["wall_hours"] <= bounded["wall_hours"] < 1.02 * played["wall_hours"]


def test_a_gpu_node_s_other_workers_do_not_count_for_the_gpu():
    """Four workers share the GPU, twelve take the other cores: 64 such make 256, not 1024."""
    on_gpu = replace(known().stages[0], on_gpu=True)
    cut = replace(known().stages[0], name="segment", reads=("separate",), seconds=6.0)
    kinds = [(frozenset({"separate"}), 4), (frozenset({"segment"}), 12)]
    node = replace(known(), gpus=1, stages=[on_gpu, cut], kinds=kinds)
    _, found = forecast(node, Target(10_000, gpus=64))
    assert found["workers"] == 64 * 16 and found["binds"] == "stage separate"
    assert found["wall_seconds"] == pytest.approx(10 + 5 + 60_000 / 256, rel=0.1)
    assert found["gpu_hours"] == pytest.approx(60_000 / 3600 / 4)
