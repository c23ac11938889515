"""Scheduling: which worker does what when, who died over what, and what people see of it. Without Ray and in no time:
a pool whose clock is made up. The same with Ray and real deaths is in test_cluster.py."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.console import duration
from autosing.errors import InputError
from autosing.stage import Resources
from autosing.storage.tables import TableMeta
from processing import process as process_module
from processing.engine import record, runner
from processing.engine.progress import left, seconds_left
from processing.engine.record import last_run
from processing.engine.runner import AtWork, RunResult, drive
from processing.engine.schedule import Schedule
from processing.engine.worker import Done
from processing.engine.workers import Died, Failed, Ready, make_pools
from processing.pipeline import PipelineConfig
from processing.process import process_corpus
from support.made_workers import CHAIN, MadeUp, make_corpus, stage


class Sized(Schedule):
    """As if the partitions were so large."""

    def __init__(self, corpus, sizes):
        self.sizes = sizes
        super().__init__(corpus, CHAIN)

    def size_of(self, corpus, partition):
        return self.sizes[partition]


def made(corpus, size, **options):
    schedule = Schedule(corpus, CHAIN)
    pool, result = MadeUp(schedule, size, **options), RunResult(schedule)
    drive(pool, result, 2, lambda *_: None)
    return pool, result


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("seven"), [1] * 7)


@given(st.lists(st.integers(1, 40), min_size=7, max_size=7), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_every_job_once_inputs_first_and_nobody_idles_while_there_is_work(seven, sizes, workers):
    schedule = Sized(seven, sizes)
    pool, result = MadeUp(schedule, workers), RunResult(schedule)
    drive(pool, result, 2, lambda *_: None)
    jobs = [(job.stage, job.partition) for _, _, _, job in pool.log]
    assert sorted(jobs) == sorted((s.name, k) for s in CHAIN for k in range(len(sizes)))
    ends = {(job.stage, job.partition): end for _, end, _, job in pool.log}
    for start, _, _, job in pool.log:
        for read in {"one": [], "two": ["one"], "three": ["two"]}[job.stage]:
            assert ends[read, job.partition] <= start
    cost = [end - start for start, end, _, _ in pool.log]
    longest_chain = 3 * max(result.schedule.bytes.values()) / 1000
    assert pool.now_s <= sum(cost) / workers + longest_chain * (1 - 1 / workers) + 1e-6, "Graham's bound"
    assert not result.failures and not result.at_work and len(result.done) == len(jobs)


def test_the_largest_partition_goes_first_so_the_workers_end_together(tmp_path):
    """In the order of their numbers the large one would come last, and one worker would wait for the other."""
    corpus = make_corpus(tmp_path, [10_000, 10_000, 10_000, 10_000, 40_000])
    pool, _ = made(corpus, 2)
    assert next(job.partition for _, _, _, job in pool.log) == 4
    whole = sum(end - start for start, end, _, _ in pool.log)
    assert pool.now_s < 1.05 * whole / 2


def test_no_barrier_between_stages(tmp_path):
    pool, _ = made(make_corpus(tmp_path, [50_000, 1_000]), 2)
    first_of_three = min(start for start, _, _, job in pool.log if job.stage == "three")
    last_of_one = max(end for _, end, _, job in pool.log if job.stage == "one")
    assert first_of_three < last_of_one


def test_the_third_death_sets_a_partition_aside_and_the_rest_goes_on(tmp_path):
    death = Died("its worker died (killed)")
    events = {("two", 1): [death] * 3, ("one", 0): [death] * 2, ("three", 2): [Failed("row s2\nthe device is gone")]}
    pool, result = made(make_corpus(tmp_path, [2000, 3000, 4000]), 2, events=events)
    assert [j.partition for _, _, _, j in pool.log if j.stage == "two"].count(1) == 3
    assert sorted((j.stage, j.partition) for j, _ in result.done) == [
        ("one", 0), ("one", 1), ("one", 2), ("three", 0), ("two", 0), ("two", 2),
    ]  # fmt: skip
    first, second = sorted(result.failures, key=lambda f: f.job.partition)
    assert (first.job.stage, first.deaths, first.not_run) == ("two", 3, ("three",))
    assert str(first) == (
        "two, partition 1: set aside after 3 workers died on it; the last: its worker died (killed); "
        "not run because of it: three"
    )
    assert (second.job.stage, second.deaths, second.reason) == ("three", 0, "row s2\nthe device is gone")


def test_a_lost_node_is_not_the_partitions_fault_but_not_for_ever(tmp_path):
    lost = Died("its node was lost", with_node=True)
    corpus = make_corpus(tmp_path, [2000])
    assert not made(corpus, 1, events={("one", 0): [lost] * 5})[1].failures
    assert made(corpus, 1, events={("one", 0): [lost] * 11})[1].failures[0].deaths == 11


def test_a_worker_that_finds_no_place_holds_nothing_up(tmp_path):
    schedule = Schedule(make_corpus(tmp_path, [2000, 3000]), CHAIN)
    pool, result = MadeUp(schedule, 3), RunResult(schedule)
    pool.heap = [(0.0, 1, Ready("w1"))]
    drive(pool, result, 2, lambda *_: None)
    assert len(result.done) == 6 and {worker for _, _, worker, _ in pool.log} == {1}


def test_where_nobody_comes_up_for_what_is_left_the_run_ends_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_PATIENCE_S", -1.0)
    can = {0: frozenset({"one"}), 1: frozenset({"two", "three"})}
    schedule = Schedule(make_corpus(tmp_path, [2000]), CHAIN)
    pool, result = MadeUp(schedule, 2, can=can), RunResult(schedule)
    pool.heap = [(0.0, 0, Ready("w0"))]
    with pytest.raises(InputError, match=r"remaining stages \(two, three\).*run the same command again"):
        drive(pool, result, 2, lambda *_: None)
    assert [job.stage for job, _ in result.done] == ["one"]


def test_workers_with_a_gpu_do_what_can_use_one_and_the_others_the_rest():
    stages = [stage("a", ("index",), "auto"), stage("b", ("a",)), stage("c", ("a",), share=Resources(cpus=2))]
    config = PipelineConfig(gpu_share=0.25)
    on_gpu, others = make_pools(stages, {"CPU": 16, "GPU": 2}, config)
    assert (on_gpu.stages, on_gpu.gpus, on_gpu.size) == ({"a"}, 0.25, 8)
    assert (others.stages, others.cpus, others.gpus, others.size) == ({"b", "c"}, 2, 0, 4)
    (alone,) = make_pools(stages, {"CPU": 4}, config)
    assert (alone.stages, alone.gpus, alone.size) == ({"a", "b", "c"}, 0, 2), "no GPU: one kind of worker"
    assert [p.size for p in make_pools(stages, {"CPU": 16, "GPU": 2}, PipelineConfig(workers=3))] == [3, 3]
    third = [stage("a", ("index",), share=Resources(gpus=0.4))]
    assert make_pools(third, {"CPU": 9, "GPU": 2}, config)[0].size == 4, "a share lies on one GPU"
    assert make_pools([stage("a", ("index",), "cuda")], {"CPU": 2, "GPU": 1}, PipelineConfig(gpu_share=1))[0].size == 1
    with pytest.raises(InputError, match=r"a\.device is cuda, but Ray has no GPU"):
        make_pools([stage("a", ("index",), "cuda")], {"CPU": 8}, config)


def test_the_time_left_is_what_the_bytes_left_cost(tmp_path):
    schedule = Schedule(make_corpus(tmp_path, [10_000, 20_000]), CHAIN)
    result = RunResult(schedule, names={0: "w0", 1: "w1"})
    assert seconds_left(result, 0.0) is None
    job = schedule.next(set())
    assert (job.stage, job.partition) == ("one", 1)
    meta = TableMeta("one", 1, "f", 2, 2, 2, 0, {})
    schedule.done(job)
    per_byte = 1e-3
    result.add(job, Done(meta, schedule.bytes[1] * per_byte), "w0")
    result.at_work[0] = AtWork((schedule.next(set()),), "w0", since=100.0)
    work_s = 3 * (schedule.bytes[0] + schedule.bytes[1]) - schedule.bytes[1]
    assert seconds_left(result, 100.0) == pytest.approx(work_s * per_byte / 2)
    assert seconds_left(result, 103.0) == pytest.approx((work_s * per_byte - 3) / 2)
    assert [left(s) for s in (None, 4.4, 0.2)] == ["time left not known yet", "about 4 s left", "finishing"]
    assert [duration(s) for s in (4.4, 240, 11_100)] == ["4 s", "4 min", "3 h 05 min"]


def made_up_workers(monkeypatch, corpus, size, events=None, stop=None):
    """`autosing process` with the made-up pool in Ray's place."""

    class Tabled(MadeUp):
        def wait(self, seconds):
            if stop is not None and len(self.log) > stop:
                raise KeyboardInterrupt
            return super().wait(seconds)

    class Started:
        def __init__(self, address, corpus, stages, config):
            self.schedule = Schedule(corpus, stages)

        def __enter__(self):
            return Tabled(self.schedule, size, events=events)

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(runner, "start_workers", Started)
    monkeypatch.setattr(process_module, "build_stages", lambda config, names: CHAIN)
    monkeypatch.setattr(record, "_BEAT_S", 0.0)
    monkeypatch.setattr(record, "_WRITING", 1e9)


def test_what_was_set_aside_stands_in_the_record_and_in_status(tmp_path, monkeypatch, capsys):
    corpus = make_corpus(tmp_path, [2000, 3000])
    made_up_workers(monkeypatch, corpus, 2, events={("two", 1): [Died("its worker died (killed)")] * 3})
    assert process_corpus(corpus, as_json=True) is False
    said = capsys.readouterr().err
    assert "two partition 1: its worker died (killed); another worker will retry it" in said
    assert "failed: two, partition 1: set aside after 3 workers died on it" in said
    assert "[1/6] one partition 0: 2 in, 2 out, 0 rejected, " in said and " left" in said and "rows/s" in said
    (path,) = (corpus / "_runs").iterdir()
    content = json.loads(path.read_text())
    assert content["state"] == "incomplete" and len(content["made"]) == 4
    (given_up,) = content["set_aside"]
    assert given_up["partition"] == 1 and given_up["deaths"] == 3 and given_up["not_run"] == ["three"]
    facts = last_run(corpus)
    assert facts["set_aside"] == [given_up] and facts["last_run"]["state"] == "incomplete"
    made_up_workers(monkeypatch, corpus, 2)
    assert process_corpus(corpus, as_json=True) is True
    assert last_run(corpus)["set_aside"] == [], "a later run made it"


def test_status_shows_what_a_living_run_is_at_and_knows_a_dead_one(tmp_path, monkeypatch, capsys):
    from processing.cli import status

    corpus = make_corpus(tmp_path, [2000, 9000])
    made_up_workers(monkeypatch, corpus, 2, stop=2)
    seen = []
    monkeypatch.setattr(record.Record, "end", lambda *_: seen.append(last_run(corpus)["last_run"]))
    with pytest.raises(KeyboardInterrupt):
        process_corpus(corpus)
    assert "stopped; the tables made so far (1 in this run) are kept" in capsys.readouterr().err
    (alive,) = seen
    assert (alive["state"], alive["made"], alive["jobs"]) == ("running", 1, 6)
    assert {(a["stage"], a["partition"], a["worker"]) for a in alive["at_work"]} == {("one", 1, "w0"), ("two", 0, "w1")}
    status(corpus)
    shown = " ".join(capsys.readouterr().out.split())
    assert "running, 1 of 6 tables made in" in shown and "at work: one partition 1 (0 s, w0)" in shown
    monkeypatch.setattr(record, "_SILENT_S", -1.0)
    assert last_run(corpus)["last_run"]["state"] == "killed" and last_run(corpus)["last_run"]["at_work"] == []


def test_a_terminal_gets_a_bar(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    made_up_workers(monkeypatch, make_corpus(tmp_path, [2000, 9000]), 2)
    process_corpus(tmp_path, as_json=True)
    assert "━" in screen.getvalue() and "[6/6] three partition" in screen.getvalue()
