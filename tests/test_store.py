"""A corpus and a dataset in an S3 store: the same bytes as on a disk, through any network, and only whole objects."""

import json
import pickle
import threading
from dataclasses import dataclass

import numpy as np
import pytest
import typer
import webdataset.writer  # noqa: F401  (imports torch: once here, not in each fork)
from typer.testing import CliRunner

from autosing.audio.encoded import Stem
from autosing.audio.io import Audio, decode, encode
from autosing.errors import InputError
from autosing.schemas.sample import DatasetIndex
from autosing.schemas.tables import Song
from autosing.storage.remote import Remote
from autosing.storage.shards import read_shard
from autosing.storage.store import files_in, of_each, place, put_bytes
from autosing.storage.tables import TableWriter, table_path
from dataset_builder import build as room
from dataset_builder.config import BuildConfig
from processing.engine.rows import joined
from processing.engine.runner import run
from processing.engine.worker import process_partition
from processing.pipeline import PipelineConfig
from processing.plan import Target, forecast, measure
from processing.stages.separate import Separate, SeparateConfig
from support.datasets import make_dataset
from support.faults import FAULTS, FaultyProxy
from support.killing import in_process
from support.s3 import address, s3_server
from support.stages import cheap_corpus, cheap_stages
from train import cluster, launch

CONFIG = BuildConfig(members=("meta", "pitch", "audio"), valid=0.2, test=0.2, seed=1, shard_rows=6)
OTHER = CONFIG.model_copy(update={"seed": 2})


@pytest.fixture(scope="module")
def port():
    with s3_server() as port:
        yield port


@dataclass(frozen=True)
class Sung:
    id: str
    vocals: Stem


def all_of_it(home):
    cheap_corpus(home / "c", partitions=2, songs=4)
    assert not run(home / "c", cheap_stages(), PipelineConfig(), "inline").failures
    room.build(home / "c", home / "d", CONFIG)


def contents(home):
    """Every object or file by name."""
    return {name: (home / name).read_bytes() for name in files_in(home)}


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory):
    home = tmp_path_factory.mktemp("disk")
    all_of_it(home)
    first = contents(home)
    room.build(home / "c", home / "d", OTHER)
    return first, contents(home)


def test_killed_in_a_store_and_run_again_the_bytes_are_the_same(port, on_disk):
    """In forks, before this process has a client of its own. Every commit point: benchmarks/quality/kill.py."""
    home = address(port, "killed")
    in_process(lambda: cheap_corpus(place(home) / "c", partitions=2, songs=4))
    killed = [in_process(lambda: all_of_it(place(home)), kill_at=n).killed for n in (12, 20, 11, 13, 16, 19, 21)]
    assert sum(killed) >= 6
    in_process(lambda: all_of_it(place(home)))
    assert in_process(lambda: contents(place(home))).result == on_disk[0]


def test_a_bad_network_changes_no_byte(port, on_disk):
    faults = tuple(fault for fault in FAULTS if fault != "hang")
    with FaultyProxy(port, rate=0.15, seed=3, faults=faults) as proxy:
        home = place(address(proxy.port, "bad"))
        all_of_it(home)
        assert contents(home) == on_disk[0]
        room.build(home / "c", home / "d", OTHER)
        assert contents(home) == on_disk[1]
        assert set(proxy.met) == {"", *faults}, proxy.met


def test_a_server_that_hangs_is_asked_again(port):
    with FaultyProxy(port, rate=0.2, seed=1, faults=("hang",)) as proxy:
        target = place(address(proxy.port, "slow/x"))
        put_bytes(b"abc", target, "run")
        assert target.read_bytes() == b"abc" and proxy.met["hang"] > 0


def test_the_verbs_of_a_path(port):
    home = place(address(port, "verbs"))
    assert isinstance(home, Remote) and place(str(home)) == home == pickle.loads(pickle.dumps(home))
    assert not home.exists() and not home.is_dir() and list(home.iterdir()) == [] and files_in(home) == {}
    put_bytes(b"0123456789" * 1000, home / "a" / "x.bin", "run")
    assert home.is_dir() and [p.name for p in home.iterdir()] == ["a"] and list(files_in(home)) == ["a/x.bin"]
    found = home / "a" / "x.bin"
    assert (found.name, found.stem, found.parent, found.stat().st_size) == ("x.bin", "x", home / "a", 10000)
    with found.open() as file:
        file.seek(-3, 2)
        assert file.read() == b"789" and file.seek(5) == 5 and file.read(7) == b"5678901"
    found.unlink()
    found.unlink(missing_ok=True)
    assert not found.is_file() and files_in(home) == {}
    for read in (found.stat, found.unlink, found.read_bytes):
        with pytest.raises(FileNotFoundError):
            read()


def test_addresses_that_cannot_be_are_refused(port):
    for wrong, words in (
        ("s3:///x", "not an address"), ("s3://b//x", "not an address"), ("s3://b/x?colour=red", "colour"),
        ("s3://key:secret@b/x", "credentials"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words) as caught:
            place(wrong)
        assert "secret" not in str(caught.value)


def test_songs_in_a_store_are_separated_into_parts_as_on_a_disk(port, tmp_path):
    hum_CS = 0.1 * np.sin(np.arange(130 * 8000, dtype=np.float32))[None]
    cells, stems = [encode(Audio(hum_CS[:, :end], 8000)) for end in (16_000, None)], []
    for corpus in (tmp_path, place(address(port, "parts"))):
        with TableWriter(table_path(corpus, 0, "index"), Song) as writer:
            for number, cell in enumerate(cells):
                writer.add(Song(f"s{number}", cell))
            writer.commit("index", 1, len(cells), {})
        stage = Separate(SeparateConfig(separator="none"))
        assert process_partition(stage, corpus, 0).meta.rows == 3
        stems.append(table_path(corpus, 0, "separate").read_bytes())
        songs = [song for _, song in joined([table_path(corpus, 0, name) for name in ("separate", "index")], Sung)]
        assert [len(song.vocals) for song in songs] == [1, 2]
        np.testing.assert_array_equal(decode(songs[1].vocals).samples_CS, decode(cells[1]).samples_CS)
    assert stems[0] == stems[1]


def test_a_dataset_in_a_store_is_verified_and_read_from_there(port):
    home = place(address(port, "read"))
    all_of_it(home)
    from dataset_builder import cli
    from processing import cli as processing_cli

    app = typer.Typer()
    for command in (cli.verify, cli.build, processing_cli.status):
        app.command()(command)
    runner = CliRunner()
    shown = runner.invoke(app, ["verify", str(home / "d"), "--json"])
    assert shown.exit_code == 0, shown.output
    assert sum(row["clips"] for row in json.loads(shown.stdout)["rows"]) == 14
    shown = runner.invoke(app, ["status", str(home / "c"), "--json"])
    assert [row["rows_out"] for row in json.loads(shown.stdout)["rows"] if row["stage"] in ("index", "pitch")] == [
        8,
        14,
    ]
    words = ["build", str(home / "c"), str(home / "d2"), "--members", "pitch", "--json"]
    assert runner.invoke(app, words).exit_code == 0
    index = DatasetIndex.load(home / "d")
    shard = home / "d" / index.splits["train"].shards[0].path
    here = [sample.id for _, sample in read_shard(shard)]
    assert len(here) == index.splits["train"].shards[0].rows
    fork = in_process(lambda: [sample.id for _, sample in read_shard(shard)], kill_after_s=120, start="fork")
    assert fork.result == here, "a loader's forked worker reads it as well"


def test_a_corpus_in_a_store_is_planned_for(port):
    corpus = place(address(port, "planned")) / "c"
    cheap_corpus(corpus, partitions=3, songs=2)
    held = set(files_in(corpus))
    known = measure(corpus, cheap_stages(), PipelineConfig(), 2, "inline")
    assert (known.songs, known.sampled_songs, len(known.index_bytes)) == (6, 4, 3)
    assert [row["stage"] for row in forecast(known, Target(600))[0]] == [stage.name for stage in cheap_stages()]
    assert set(files_in(corpus)) == held, "nothing is written there"


def test_training_from_a_store_is_training_from_a_disk(port, tmp_path, monkeypatch):
    make_dataset(tmp_path / "d", {"train": 3}, groups=("meta", "semantic", "acoustic", "singer"))
    home = place(address(port, "learnt")) / "d"
    for name in files_in(tmp_path / "d"):
        put_bytes((tmp_path / "d" / name).read_bytes(), home / name, "run")
    words = ["steps=2", "batch_size=2", "task.size=debug", "task.semantic=null", "log_every=1"]
    near, far = (
        launch.train("t2s", data, tmp_path / f"run{k}", None, words) for k, data in enumerate((tmp_path / "d", home))
    )
    assert far["loss"] == near["loss"] != 0
    plan = launch.make_plan("t2s", home, tmp_path / "other", None, words)
    carried = []
    monkeypatch.setattr(cluster, "run_rank", lambda plan, say: carried.append(plan))
    cluster._run_rank(cluster._as_dict(plan) | {"folder": "."})
    assert carried == [plan], "a rank on another node knows the store as well"


def test_a_store_is_asked_side_by_side_and_answers_in_order():
    both = threading.Barrier(2)
    far = Remote("bucket/prefix")
    assert list(of_each(range(40), lambda k: (both.wait(60), k)[1], far)) == list(range(40))
    with pytest.raises(InputError, match="seven"):
        list(of_each(range(40), lambda k: _refuse() if k == 7 else k, far))


def _refuse():
    raise InputError("seven")
