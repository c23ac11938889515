"""The runner: every row counted, done work kept, and the same bytes whatever the workers."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.config import Config, load_config
from autosing.errors import InputError
from autosing.stage import Rejected, Stage
from autosing.storage.tables import TableMeta, read_meta, read_rows, rejects_path, table_path
from processing.engine import runner
from processing.engine.runner import run
from processing.engine.worker import process_partition
from processing.pipeline import PipelineConfig, build_stages, details_of, why_stale
from processing.process import process_corpus
from processing.report import status
from processing.stages.pitch import PitchConfig, TrackPitch
from processing.stages.singer import EmbedSinger, SingerConfig


class LoudConfig(Config):
    gain: int = 2


@dataclass(frozen=True)
class Heard:
    id: str
    audio: bytes
    artist: str | None = None


@dataclass(frozen=True)
class Loud:
    id: str
    size: int
    artist: str | None


class Measure(Stage[Heard, Loud]):
    name, version, reads, takes, gives, Settings = "measure", 1, ("index",), Heard, Loud, LoudConfig
    weights_held = "aa"

    def weights(self) -> dict[str, str]:
        return {"scales": self.weights_held}

    def setup(self) -> None:
        self.loads = getattr(self, "loads", 0) + 1

    def apply(self, row: Heard) -> Loud | Rejected:
        if row.audio == b"broken":
            raise InputError("not readable", "not_audio")
        if row.audio == b"crash":
            raise ZeroDivisionError("the device is gone")
        if row.audio == b"quiet":
            return Rejected(row.id, "quiet", "0 dB")
        return Loud(row.id, len(row.audio) * self.config.gain, row.artist)


@dataclass(frozen=True)
class Sized:
    id: str
    size: int
    title: str | None = None


@dataclass(frozen=True)
class Part:
    id: str
    title: str | None


class Cut(Stage[Sized, Part]):
    """Several rows for one; reads two tables."""

    name, version, reads, takes, gives = "cut", 1, ("measure", "index"), Sized, Part

    def apply(self, row: Sized) -> list[Part]:
        return [Part(f"{row.id}-{i}", row.title) for i in range(row.size % 3 + 1)]


def stages(gain: int = 2) -> list:
    return [Measure(LoudConfig(gain=gain)), Cut(Config())]


def make_corpus(folder: Path, partitions: list[list[tuple[str | None, bytes | None]]]) -> Path:
    """As AutoSing writes it: no metadata of ours, nulls allowed, columns that we do not know."""
    for k, rows in enumerate(partitions):
        (folder / str(k)).mkdir(parents=True)
        columns = {"id": [i for i, _ in rows], "audio": [a for _, a in rows], "title": [f"t{i}" for i, _ in rows]}
        table = pa.table(
            columns | {"mood": ["blue"] * len(rows)},
            schema=pa.schema(
                [("id", pa.string()), ("audio", pa.binary()), ("title", pa.string()), ("mood", pa.string())]
            ),
        )
        pq.write_table(table, folder / str(k) / "index.parquet")
    return folder


def tables(corpus: Path) -> dict[str, bytes]:
    return {str(p.relative_to(corpus)): p.read_bytes() for p in sorted(corpus.glob("*/*.parquet"))}


@given(st.lists(st.sampled_from([b"a", b"bcd", b"quiet", b"broken", None]), min_size=1, max_size=23))
@settings(max_examples=25, deadline=None)
def test_no_row_is_lost_or_doubled(tmp_path_factory, audio):
    """AutoSing dropped up to 7 rows a partition (workers x floor(rows / workers)), and a null row took all with it."""
    corpus = make_corpus(tmp_path_factory.mktemp("corpus"), [[(f"s{i}", a) for i, a in enumerate(audio)]])
    result = run(corpus, stages(), PipelineConfig(), "inline")
    assert not result.failures
    measured = [row.id for row in read_rows(table_path(corpus, 0, "measure"), Loud)]
    rejected = [row.id for row in read_rows(rejects_path(corpus, 0, "measure"), Rejected)]
    assert sorted(measured + rejected) == sorted(f"s{i}" for i in range(len(audio)))
    assert measured == [f"s{i}" for i, a in enumerate(audio) if a in (b"a", b"bcd")]
    parts = [row.title for row in read_rows(table_path(corpus, 0, "cut"), Part)]
    assert set(parts) == {f"t{i}" for i in measured}, "the second table's columns were joined by id"
    held = read_meta(table_path(corpus, 0, "cut"))
    assert held is not None and held.rows_in == held.sources + held.rejected == len(measured)


def test_rejects_carry_their_reason(tmp_path):
    corpus = make_corpus(tmp_path, [[("a", b"broken"), ("b", None), (None, b"x"), ("d", b"quiet")]])
    run(corpus, stages(), PipelineConfig(), "inline")
    reasons = {r.id: r.reason for r in read_rows(rejects_path(corpus, 0, "measure"), Rejected)}
    assert reasons == {"a": "not_audio", "b": "no_audio", "row-2": "no_id", "d": "quiet"}
    (row,) = [row for row in status(corpus) if row["stage"] == "index"]
    assert row["rows_out"] == 4


def test_what_is_no_data_stops_the_partition_and_names_the_song(tmp_path):
    """AutoSing's message lacked its format prefix: nobody learnt which song it was."""
    corpus = make_corpus(tmp_path, [[("fine", b"a"), ("song_7", b"crash")]])
    with pytest.raises(ZeroDivisionError) as caught:
        process_partition(stages()[0], corpus, 0)
    assert any("stage measure, partition 0, row song_7" in note for note in caught.value.__notes__)
    assert not table_path(corpus, 0, "measure").exists() and not list(corpus.glob("*/.*part"))


def test_a_second_run_makes_nothing_and_a_change_says_why(tmp_path, monkeypatch):
    corpus = make_corpus(tmp_path, [[("a", b"a")], [("b", b"b")]])
    assert len(run(corpus, stages(), PipelineConfig(), "inline").done) == 4
    before = tables(corpus)
    monkeypatch.setattr(runner, "start_workers", lambda *_: pytest.fail("nothing to do, so no worker is started"))
    again = run(corpus, stages(), PipelineConfig(), "local")
    assert (again.done, again.kept) == ([], 4)
    monkeypatch.undo()
    changed = run(corpus, stages(gain=4), PipelineConfig(), "inline")
    reasons = {job.stage: job.why for job, _ in changed.done}
    assert reasons == {"measure": "config changed: gain 2 -> 4", "cut": "input measure changed"}
    run(corpus, stages(), PipelineConfig(), "inline")
    assert tables(corpus) == before, "the same config gives the same bytes again"


def test_why_a_table_is_stale(monkeypatch, tmp_path):
    corpus = make_corpus(tmp_path, [[("a", b"a")]])
    measure = stages()[0]
    held = process_partition(measure, corpus, 0).meta
    inputs = held.details["inputs"]
    assert why_stale(None, details_of(measure, inputs), measure) == "new"
    assert why_stale(held, details_of(measure, inputs), measure) is None
    monkeypatch.setattr(Measure, "weights_held", "bb")
    assert why_stale(held, details_of(measure, inputs), measure) == "weights changed: scales aa -> bb"
    assert "input index changed" in why_stale(held, details_of(measure, {"index": "other"}), measure)
    monkeypatch.setattr(Measure, "version", 2)
    assert why_stale(held, details_of(measure, inputs), measure) == "measure v1 -> v2"


def test_a_table_of_before_a_key_or_made_on_another_device_is_not_stale(tmp_path):
    stage = TrackPitch(PitchConfig(device="cpu"))
    inputs = {"segment": "f"}
    wanted = details_of(stage, inputs)
    config = {"tracker": "fcpe", "min_voiced_fraction": 0.05, "device": "cuda"}
    old = TableMeta("pitch", 1, "f", 1, 1, 1, 0, {**wanted, "config": config})
    assert "device" not in wanted["config"] and why_stale(old, wanted, stage) is None
    singer = EmbedSinger(SingerConfig())  # nothing but its device
    wanted = details_of(singer, inputs)
    old_singer = TableMeta("singer", 1, "f", 1, 1, 1, 0, {**wanted, "config": {"device": "cpu"}})
    assert why_stale(old_singer, wanted, singer) is None
    low = TrackPitch(PitchConfig(min_hz=60))
    assert why_stale(old, details_of(low, inputs), low) == "config changed: min_hz None -> 60.0"


@pytest.mark.parametrize(
    ("partitions", "words"),
    [([[("a.b", b"a")]], "autosing import"), ([[("a", b"a")], [("a", b"b")]], "id a is in partitions 0 and 1")],
)
def test_ids_that_would_break_later_are_refused_before_any_work(tmp_path, partitions, words):
    with pytest.raises(InputError, match=words):
        run(make_corpus(tmp_path, partitions), stages(), PipelineConfig(), "inline")
    assert not list(tmp_path.glob("*/measure*"))


def test_bad_input_of_the_command(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        process_corpus(tmp_path / "absent", ["segment"], address="inline")
    with pytest.raises(InputError, match=r"no <k>/index\.parquet"):
        process_corpus(tmp_path, ["segment"], address="inline")
    with pytest.raises(InputError, match="did you mean 'workers'"):
        load_config(PipelineConfig, None, ["worker=2"])
    with pytest.raises(InputError, match="did you mean 'min_s'"):
        build_stages(load_config(PipelineConfig, None, ["segment.min_ss=2"]), ["segment"])
    with pytest.raises(InputError, match="stage 'segmnt': unknown"):
        build_stages(PipelineConfig(), ["segmnt"])
    make_corpus(tmp_path / "c", [[("a", b"a")]])
    with pytest.raises(InputError, match=r"reads separate\.parquet, which is not there"):
        process_corpus(tmp_path / "c", ["segment"], address="inline")
    with pytest.raises(InputError, match="no Ray answers there"):
        run(tmp_path / "c", stages(), PipelineConfig(), "127.0.0.1:9")
    (tmp_path / "d" / "0").mkdir(parents=True)
    pq.write_table(pa.table({"id": ["a"], "sound": [b"a"]}), tmp_path / "d" / "0" / "index.parquet")
    with pytest.raises(InputError, match="no column audio"):
        run(tmp_path / "d", stages(), PipelineConfig(), "inline")
