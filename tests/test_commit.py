"""Commits: killed at any point and run again, everything is as if nothing had happened; readers see whole things."""

import os
import shutil
import time

import pytest

from autosing.errors import InputError
from autosing.schemas.sample import DatasetIndex
from autosing.storage import store
from autosing.storage.store import POINTS, attempt, digest_of, others_at_work
from autosing.storage.tables import read_meta, read_rejects, read_rows, rejects_path, table_path
from dataset_builder import build as room
from dataset_builder.commit import begin, committed_index
from dataset_builder.config import BuildConfig
from processing.engine.record import Record
from processing.engine.runner import run
from processing.engine.schedule import Schedule
from processing.engine.worker import process_partition
from processing.importer.importer import import_corpus
from processing.pipeline import PipelineConfig
from processing.report import status
from support import stages as cheap
from support.killing import in_process
from support.stages import cheap_corpus, cheap_stages, folder_bytes

CONFIG = BuildConfig(members=("meta", "pitch", "audio"), valid=0.2, test=0.2, seed=1, shard_rows=8)
OTHER = CONFIG.model_copy(update={"seed": 2, "shard_rows": 6})


def process(corpus, clips=3):
    stages = cheap_stages(clips)
    result = run(corpus, stages, PipelineConfig(), "inline")
    assert not result.failures
    Record(corpus, stages, PipelineConfig()).end(result, "done")


def tables(corpus):
    """Every file of a corpus but the records of runs, hidden ones included."""
    return {name: data for name, data in folder_bytes(corpus).items() if not name.startswith("_runs/")}


@pytest.fixture(scope="module")
def index_only(tmp_path_factory):
    corpus = tmp_path_factory.mktemp("index") / "c"
    cheap_corpus(corpus, partitions=2, songs=4)
    return corpus


@pytest.fixture(scope="module")
def processed(index_only, tmp_path_factory):
    corpus = tmp_path_factory.mktemp("processed") / "c"
    shutil.copytree(index_only, corpus)
    process(corpus)
    return corpus


def check_readable(corpus, *whole):
    """Each table is one of the whole ones or absent, and no rejects are taken for those of another attempt."""
    for partition in range(2):
        for stage in ("segment", "pitch"):
            path = table_path(corpus, partition, stage)
            held = read_meta(path)
            if held is not None:
                assert path.read_bytes() in [tables[f"{partition}/{stage}.parquet"] for tables in whole]
                assert len(read_rejects(corpus, partition, stage)) in (0, held.rejected)
    assert status(corpus)[0]["rows_out"] == 8


def test_process_killed_at_every_commit_point_ends_in_the_same_bytes(index_only, processed, tmp_path):
    whole = tables(processed)
    shutil.copytree(index_only, tmp_path / "counted")
    passed = in_process(lambda: process(tmp_path / "counted")).passed
    assert {f"{when} {what}" for when in ("before", "after") for what in ("attempt", "rejects", "table", "run")} == set(
        passed
    )
    for n in range(len(passed)):
        corpus = tmp_path / str(n)
        shutil.copytree(index_only, corpus)
        assert in_process(lambda corpus=corpus: process(corpus), kill_at=n).killed
        check_readable(corpus, whole)
        process(corpus)
        assert tables(corpus) == whole, passed[n]
        shutil.rmtree(corpus)
    ids = {row.id for k in range(2) for row in read_rows(table_path(processed, k, "segment"), cheap.Vocals)}
    assert len(ids) == 21 and [len(read_rejects(processed, k, "pitch")) for k in range(2)] == [4, 3]


def test_process_after_a_change_killed_at_every_commit_point_is_old_or_new(processed, tmp_path):
    old = tables(processed)
    shutil.copytree(processed, tmp_path / "counted")
    passed = in_process(lambda: process(tmp_path / "counted", clips=2)).passed
    new = tables(tmp_path / "counted")
    assert old != new
    for n in range(0, len(passed), 3):
        corpus = tmp_path / str(n)
        shutil.copytree(processed, corpus)
        assert in_process(lambda corpus=corpus: process(corpus, clips=2), kill_at=n).killed
        check_readable(corpus, old, new)
        back = tmp_path / f"{n} back"
        shutil.copytree(corpus, back)
        process(corpus, clips=2)
        assert tables(corpus) == new, passed[n]
        process(back)
        assert tables(back) == old, "back to the old config: rejects of the killed run do not stay"


def dataset_state(dataset):
    """The fingerprint that readers see, every shard of it checked; None where there is no dataset."""
    if not (dataset / "index.json").is_file():
        return None
    index = DatasetIndex.load(dataset)
    for split in index.splits.values():
        for shard in split.shards:
            assert digest_of(dataset / shard.path) == shard.sha256
    return index.fingerprint


def test_build_killed_at_every_commit_point_is_absent_or_whole_and_ends_in_the_same_bytes(processed, tmp_path):
    passed = in_process(lambda: room.build(processed, tmp_path / "d", CONFIG)).passed
    whole = folder_bytes(tmp_path / "d")
    assert {"train/000000.tar", "valid/000000.tar", "card.md", "index.json"} <= set(whole)
    assert not [name for name in whole if name.startswith(("unfinished", "."))]
    seen = set()
    for n in range(len(passed)):
        place = tmp_path / str(n)
        assert in_process(lambda place=place: room.build(processed, place / "d", CONFIG), kill_at=n).killed
        seen.add(dataset_state(place / "d"))
        room.build(processed, place / "d", CONFIG)
        assert folder_bytes(place) == {f"d/{name}": data for name, data in whole.items()}, passed[n]
    assert seen == {None, dataset_state(tmp_path / "d")}


def test_a_rebuilt_dataset_is_never_absent_or_mixed(processed, tmp_path):
    """It was absent when a build died between two renames, until the next build."""
    room.build(processed, tmp_path / "d", CONFIG)
    old = dataset_state(tmp_path / "d")
    shutil.copytree(tmp_path / "d", tmp_path / "counted")
    passed = in_process(lambda: room.build(processed, tmp_path / "counted", OTHER)).passed
    whole = folder_bytes(tmp_path / "counted")
    assert "before sweep" in passed and "card.md" not in whole, "the old edition is gone"
    seen = set()
    for n in range(len(passed)):
        place = tmp_path / str(n)
        shutil.copytree(tmp_path / "d", place / "d")
        assert in_process(lambda place=place: room.build(processed, place / "d", OTHER), kill_at=n).killed
        seen.add(dataset_state(place / "d"))
        room.build(processed, place / "d", OTHER)
        assert folder_bytes(place) == {f"d/{name}": data for name, data in whole.items()}, passed[n]
    assert seen == {old, dataset_state(tmp_path / "counted")}


def test_killed_at_random_moments(index_only, processed, tmp_path):
    """More of these: benchmarks/quality/kill.py."""
    whole = tables(processed)
    for n in range(4):
        corpus = tmp_path / str(n)
        shutil.copytree(index_only, corpus)
        in_process(lambda corpus=corpus: process(corpus), kill_after_s=0.02 + 0.03 * n)
        process(corpus)
        assert tables(corpus) == whole


def test_every_point_in_the_list_is_passed_and_every_passage_is_in_the_list(processed, tmp_path, monkeypatch):
    passed = []
    monkeypatch.setattr(store, "watch", passed.append)
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "a.flac").write_bytes(next(read_rows(table_path(processed, 0, "index"), cheap.Heard)).audio)
    import_corpus(tmp_path / "songs", tmp_path / "c")
    process(tmp_path / "c")
    room.build(processed, tmp_path / "d", CONFIG)
    assert set(passed) == {f"{when} {point}" for point in POINTS for when in ("before", "after")}
    with pytest.raises(AssertionError), store.commit_point("unheard of"):
        pass


def test_an_import_killed_before_its_report_knows_its_songs_again(processed, tmp_path):
    (tmp_path / "songs").mkdir()
    sounds = [row.audio for row in read_rows(table_path(processed, 0, "index"), cheap.Heard)]
    (tmp_path / "songs" / "a.flac").write_bytes(sounds[0])

    def work():
        return import_corpus(tmp_path / "songs", tmp_path / "c")

    shutil.rmtree(tmp_path / "c", ignore_errors=True)
    outcome = in_process(work, kill_at=in_process(work).passed.index("before import"))
    assert not outcome.killed or not (tmp_path / "c" / "_import.json").exists()
    shutil.rmtree(tmp_path / "c")
    assert in_process(work, kill_at=4).killed and not (tmp_path / "c" / "_import.json").exists()
    assert work().kept == ["a"]
    (tmp_path / "songs" / "a.flac").write_bytes(sounds[1])
    assert work().changed == ["a"], "the song was changed; it is not another one of that name"


def test_two_attempts_side_by_side_are_one_commit(index_only, processed, tmp_path):
    shutil.copytree(index_only, tmp_path / "c")
    segment = cheap_stages()[0]

    def first():
        """Stands still before its table is put, while a second attempt does all the work."""

        def wait(name):
            if name == "before table":
                monkeypatched.pop()
                process(tmp_path / "c")

        monkeypatched = [1]
        store.watch = lambda name: wait(name) if monkeypatched else None
        process_partition(segment, tmp_path / "c", 0)

    in_process(first)
    assert tables(tmp_path / "c") == tables(processed)


def test_a_living_attempt_is_not_swept_however_old_and_a_dead_one_is_however_young(tmp_path):
    target = tmp_path / "t.parquet"
    with attempt(target) as living:
        (living / "table").write_bytes(b"half")
        for path in (living, living / "table", living / "lock"):
            os.utime(path, (0, 0))

        def other():
            with attempt(target) as mine:
                return others_at_work(target, mine)

        assert in_process(other).result is True
        assert (living / "table").read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == []

    def dies():
        with attempt(target):
            os.kill(os.getpid(), 9)

    assert in_process(dies).killed and len(list(tmp_path.iterdir())) == 1
    assert in_process(other).result is False
    assert list(tmp_path.iterdir()) == []


def test_two_builds_at_once_share_no_names(processed, tmp_path):
    dataset = tmp_path / "d"
    with attempt(dataset) as one, attempt(dataset) as two:
        first, second = begin(dataset, "a" * 32, one), begin(dataset, "b" * 32, two)
        assert second.prefix == f"{'b' * 16}/" and first.prefix == f"{'a' * 16}/"
        room.build(processed, dataset, CONFIG)
        assert committed_index(dataset) is not None and (dataset / f"unfinished-{'a' * 16}.json").exists()
    held = dataset_state(dataset)
    room.build(processed, dataset, CONFIG)
    assert dataset_state(dataset) == held and not list(dataset.glob("unfinished*")), "the last one sweeps"


def test_a_build_whose_files_were_taken_away_is_not_committed(processed, tmp_path, monkeypatch):
    room.build(processed, tmp_path / "d", CONFIG)
    held = dataset_state(tmp_path / "d")

    def lose(name):
        if name == "after card":
            next((tmp_path / "d").glob("*/train/000000.tar")).unlink()

    monkeypatch.setattr(store, "watch", lose)
    with pytest.raises(InputError, match="another build deleted files"):
        room.build(processed, tmp_path / "d", OTHER)
    assert dataset_state(tmp_path / "d") == held


def test_a_file_of_ones_own_in_the_dataset_survives(processed, tmp_path):
    room.build(processed, tmp_path / "d", CONFIG)
    (tmp_path / "d" / "notes.txt").write_text("mine")
    (tmp_path / "d" / "train" / "mine.tar").write_text("mine")
    room.build(processed, tmp_path / "d", OTHER)
    assert (tmp_path / "d" / "notes.txt").exists() and (tmp_path / "d" / "train" / "mine.tar").exists()


def test_a_damaged_dataset_is_built_again_under_the_same_names(processed, tmp_path):
    room.build(processed, tmp_path / "d", CONFIG)
    whole = folder_bytes(tmp_path / "d")
    (tmp_path / "d" / "train" / "000000.tar").write_bytes(b"")
    assert room.build(processed, tmp_path / "d", CONFIG)[0]["status"] == "built"
    assert folder_bytes(tmp_path / "d") == whole


def test_tables_that_change_while_they_are_read_are_noticed(processed, tmp_path, monkeypatch):
    shutil.copytree(processed, tmp_path / "c")
    other = tmp_path / "other"
    shutil.copytree(processed, other)
    process(other, clips=2)

    def swap(*_):
        for file in other.glob("*/*.parquet"):
            shutil.copy(file, tmp_path / "c" / file.relative_to(other))

    tone = cheap_stages()[1]
    apply = tone.apply
    monkeypatch.setattr(tone, "apply", lambda row: (swap(), apply(row))[1])
    with pytest.raises(InputError, match="another run replaced segment while they were read"):
        process_partition(tone, tmp_path / "c", 0)
    assert tables(tmp_path / "c")["0/pitch.parquet"] == tables(other)["0/pitch.parquet"], "ours was not put"
    shutil.rmtree(tmp_path / "c")
    shutil.copytree(processed, tmp_path / "c")
    monkeypatch.setattr(room, "card_text", lambda *_: swap() or "")
    with pytest.raises(InputError, match="tables changed while they were read"):
        room.build(tmp_path / "c", tmp_path / "d", CONFIG)
    assert committed_index(tmp_path / "d") is None


def test_missing_rejects_are_a_reason_to_run_again(processed, tmp_path):
    shutil.copytree(processed, tmp_path / "c")
    rejects_path(tmp_path / "c", 1, "pitch").unlink()
    (job,) = Schedule(tmp_path / "c", cheap_stages()).jobs
    assert (job.stage, job.partition) == ("pitch", 1) and "rejects are missing" in job.why


def test_a_new_version_says_so_and_what_depends_on_it_follows(processed, tmp_path, monkeypatch):
    shutil.copytree(processed, tmp_path / "c")
    monkeypatch.setattr(cheap.Cut, "version", 2)
    why = {(job.stage, job.why) for job in Schedule(tmp_path / "c", cheap_stages()).jobs}
    assert why == {("segment", "segment v1 -> v2"), ("pitch", "input segment changed")}


def test_a_stopped_attempt_goes_on(tmp_path):
    """An hour's sleep of the machine is no death."""
    with attempt(tmp_path / "t") as folder:
        os.utime(folder, (time.time() - 1e6,) * 2)
        with attempt(tmp_path / "t"):
            assert folder.is_dir()
