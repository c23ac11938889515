"""Tables -> dataset: every clip is in a split or counted, no singer in two, equal inputs give equal bytes."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from autosing.audio.io import Audio, encode
from autosing.codecs import codec_digest
from autosing.errors import InputError
from autosing.models.bundled import semantic_digest
from autosing.schemas.features import FEATURES
from autosing.schemas.records import CodecRecord, SemanticRecord
from autosing.schemas.sample import DatasetIndex, write_array
from autosing.schemas.tables import Acoustic, Clip, Line, Pitch, Semantic, Singer, Word
from autosing.stage import Rejected
from autosing.storage.shards import ShardFile, read_shard
from autosing.storage.tables import TableMeta, TableWriter, fingerprint, rejects_path, table_path
from dataset_builder import build as room
from dataset_builder import shards as shards_room
from dataset_builder.config import BuildConfig
from dataset_builder.feature_records import features_of
from dataset_builder.join import Source
from dataset_builder.split import Part, assign_songs
from dataset_builder.verify import verify
from support.datasets import SEMANTIC_SIZE, SPEC, make_dataset

DECLARED = dict(FEATURES)
ALL = ("meta", "semantic", "singer", "acoustic", "pitch", "audio")


def made_clip(song, singer, k):
    rng = np.random.default_rng(k)
    audio = encode(Audio(0.1 * rng.standard_normal((1, 24000)).astype(np.float32), 24000))
    return Clip(
        f"{song}-{k}", song, singer, "en", "CC0-1.0", float(k), 1.0, 1.0, audio, audio if k % 2 else None,
        [Line("la la", 0.1, 0.9, 0.9, True)], [Word("la", 0.1, 0.4, 0.9, 0), Word("la", 0.5, 0.9, 0.9, 0)],
    )  # fmt: skip


def write(corpus, partition, table, rows, rejected=(), segment=None, **details):
    record = {"segment": Clip, "semantic": Semantic, "singer": Singer, "acoustic": Acoustic, "pitch": Pitch}[table]
    path = table_path(corpus, partition, table)
    with TableWriter(path, record, rejects_path(corpus, partition, table)) as writer:
        for row in rows:
            writer.add(row)
        for id, reason in rejected:
            writer.add(Rejected(id, reason, "measured"))
        inputs = {"inputs": {"segment": segment}} if segment else {}
        return writer.commit(table, 1, len(rows) + len(rejected), {"config": {}, **inputs, **details}).fingerprint


def make_corpus(corpus, partitions=((0, 1, 2, 3), (4, 5, 6, 7)), clips=3, without=("s2-1",)):
    """Songs k with singer k // 2; the clips in `without` are rejected by pitch."""
    for number, songs in enumerate(partitions):
        rows = [made_clip(f"s{song}", f"singer{song // 2}", k) for song in songs for k in range(clips)]
        (corpus / str(number)).mkdir(parents=True)
        table_path(corpus, number, "index").write_bytes(b"")
        segment = write(corpus, number, "segment", rows, songs=[row.id for row in rows])
        frames = SPEC.num_blocks(24000) * SPEC.block_frames
        codes = SPEC.flatten([np.arange(frames // stride) % 64 for stride in SPEC.strides])
        of = {
            "semantic": [Semantic(r.id, np.arange(25, dtype=np.int32)) for r in rows],
            "singer": [Singer(r.id, np.full(256, 1 / 16, np.float32)) for r in rows],
            "acoustic": [Acoustic(r.id, SPEC.name, codes, codes if r.instrumental else None) for r in rows],
            "pitch": [Pitch(r.id, np.full(100, 220.0, np.float32), 1.0) for r in rows if r.id not in without],
        }
        for table, held in of.items():
            lost = [(id, "mostly_unvoiced") for id in without if table == "pitch" and id in {r.id for r in rows}]
            write(corpus, number, table, held, lost, segment)
    return corpus


@pytest.fixture(autouse=True)
def books(monkeypatch):
    made = {
        "acoustic": CodecRecord(spec=SPEC, digest="0" * 64),
        "semantic": SemanticRecord(size=SEMANTIC_SIZE, digest="1" * 64),
    }
    for name, record in made.items():
        monkeypatch.setitem(FEATURES, name, replace(FEATURES[name], codes=lambda _, record=record: record))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus") / "c")


CONFIG = BuildConfig(members=ALL, valid=0.2, test=0.2, seed=1)


def digests(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()
    }


def test_every_clip_is_in_one_split_or_counted_and_verify_finds_all_promises_kept(corpus, tmp_path):
    rows = room.build(corpus, tmp_path / "d", CONFIG)
    index = DatasetIndex.load(tmp_path / "d")
    assert index.rows_in == 24 and index.rows == 23 and index.dropped == {"pitch: mostly_unvoiced": 1}
    assert sum(row["clips"] for row in rows) == 24
    assert sum(row["clips"] for row in verify(tmp_path / "d")) == 23
    samples = {
        s.id: s for split in index.splits.values() for h in split.shards for _, s in read_shard(tmp_path / "d" / h.path)
    }
    assert len(samples) == 23 and "s2-1" not in samples
    sample = samples["s3-1"]
    assert sample.meta.song == "s3" and [w.text for w in sample.meta.words] == ["la", "la"]
    assert (
        sample.array("semantic").dtype == np.int16
        and sample.has("instrumental")
        and not samples["s3-2"].has("instrumental_codes")
    )
    np.testing.assert_array_equal(SPEC.unflatten(sample.array("vocals_codes"))[0], np.arange(24) % 64)
    card = (tmp_path / "d" / "card.md").read_text()
    assert "CC0-1.0" in card and "mostly_unvoiced" in card and "consent" in card.lower()


def test_a_second_build_does_nothing_and_equal_inputs_give_equal_bytes(corpus, tmp_path):
    room.build(corpus, tmp_path / "a", CONFIG)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "a").rglob("*")}
    assert room.build(corpus, tmp_path / "a", CONFIG)[0]["status"] == "already done"
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "a").rglob("*")}
    room.build(corpus, tmp_path / "b", CONFIG)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
    room.build(corpus, tmp_path / "a", CONFIG.model_copy(update={"seed": 2}))
    assert digests(tmp_path / "a") != digests(tmp_path / "b") and verify(tmp_path / "a")


def test_partitioning_and_memory_change_no_shard(corpus, tmp_path, monkeypatch):
    room.build(corpus, tmp_path / "a", CONFIG)
    make_corpus(tmp_path / "c", partitions=((0,), (1, 2, 3, 4), (5, 6), (7,)))
    monkeypatch.setattr(room, "num_buckets", lambda num_bytes, memory: 5)
    monkeypatch.setattr(shards_room, "OPEN_FILES", 2)
    room.build(tmp_path / "c", tmp_path / "b", CONFIG)
    shards = [{k: v for k, v in digests(tmp_path / name).items() if k.endswith(".tar")} for name in "ab"]
    assert shards[0] == shards[1]


def test_shards_are_closed_when_full(corpus, tmp_path):
    room.build(corpus, tmp_path / "a", CONFIG.model_copy(update={"shard_rows": 4}))
    index = DatasetIndex.load(tmp_path / "a")
    assert [shard.rows for shard in index.splits["train"].shards[:2]] == [4, 4]
    assert verify(tmp_path / "a")


parts = st.builds(
    Part, st.sampled_from([f"s{k}" for k in range(12)]), st.none() | st.sampled_from("abcdef"), st.floats(0.5, 30)
)


@given(st.lists(parts, min_size=1, max_size=40), st.integers(0, 9))
@settings(max_examples=200)
def test_no_song_and_no_singer_is_in_two_splits_and_train_is_never_empty(clips, seed):
    """AutoSing split chunks at random: chunks of one song sat in train and validation (bug 18)."""
    split_of = assign_songs(clips, {"valid": 0.1, "test": 0.1}, seed)
    assert set(split_of) == {clip.song for clip in clips}
    of_singer = {}
    for clip in clips:
        if clip.singer is not None:
            assert of_singer.setdefault(clip.singer, split_of[clip.song]) == split_of[clip.song]
    assert "train" in split_of.values()
    shuffled = assign_songs(clips[::-1], {"valid": 0.1, "test": 0.1}, seed)
    assert shuffled == split_of


def test_many_singers_come_near_to_the_shares_and_few_still_give_each_split_one():
    many = [Part(f"song{k}", f"singer{k // 3}", 10.0) for k in range(600)]
    split_of = assign_songs(many, {"valid": 0.1, "test": 0.05}, 0)
    shares = [sum(split == name for split in split_of.values()) / 600 for name in ("train", "valid", "test")]
    assert shares == pytest.approx([0.85, 0.1, 0.05], abs=0.01)
    few = [Part(f"song{k}", f"singer{k % 4}", 10.0 + k) for k in range(24)]
    split_of = assign_songs(few, {"valid": 0.05, "test": 0.05}, 0)
    assert sorted(split_of.values()).count("train") == 12 and set(split_of.values()) == {"train", "valid", "test"}
    assert set(assign_songs(few[:1], {"valid": 0.1}, 0).values()) == {"train"}
    assert set(assign_songs(few, {"valid": 0.0, "test": 0.0}, 0).values()) == {"train"}


def test_songs_alone_may_be_held_apart(tmp_path):
    made = make_corpus(tmp_path / "c", ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),))
    room.build(made, tmp_path / "d", BuildConfig(members=ALL, valid=0.25, test=0, seed=1, apart="songs"))
    splits = DatasetIndex.load(tmp_path / "d").splits
    assert (splits["train"].songs, splits["valid"].songs) == (9, 3)
    assert splits["train"].singers + splits["valid"].singers > 6, "a singer in both"
    assert sum(row["clips"] for row in verify(tmp_path / "d")) == 35


def test_bad_corpora_are_refused_by_name(corpus, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        room.build(tmp_path / "none", tmp_path / "d", CONFIG)
    with pytest.raises(InputError, match="members lyrics: unknown"):
        room.build(corpus, tmp_path / "d", BuildConfig(members=("lyrics",)))
    shutil.copytree(corpus, tmp_path / "c")
    table_path(tmp_path / "c", 1, "singer").unlink()
    with pytest.raises(InputError, match=r"partition 1 has no singer\.parquet; run 'autosing process"):
        room.build(tmp_path / "c", tmp_path / "d", CONFIG)
    write(tmp_path / "c", 1, "singer", [], segment=fingerprint({"an": "older one"}))
    with pytest.raises(InputError, match=r"was made from another segment\.parquet"):
        room.build(tmp_path / "c", tmp_path / "d", CONFIG)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.doc").touch()
    with pytest.raises(InputError, match="not a dataset; give an empty"):
        room.build(corpus, tmp_path / "mine", CONFIG)
    with pytest.raises(InputError, match="train needs some"):
        BuildConfig.build({"valid": 0.6, "test": 0.5})


def made_with(table, partition, key, name, digest):
    details = {"config": {key: name}, "weights": {name if key == "codec" else key: digest}}
    return Source(partition, table, TableMeta(table, 1, "f", 0, 0, 0, 0, details))


@pytest.mark.parametrize(
    ("table", "key", "name", "digest_of"),
    [
        ("acoustic", "codec", "autosing-24khz", codec_digest),
        ("semantic", "codebook", "autosing-semantic", semantic_digest),
    ],
)
def test_a_dataset_is_of_one_codec_and_one_codebook_and_of_those_that_are_there(
    table, key, name, digest_of, monkeypatch
):
    """AutoSing could build a 24 kHz EnCodec's embedding for the codes of a SNAC."""
    monkeypatch.setitem(FEATURES, table, DECLARED[table])

    def record_of(made_from):
        return features_of(made_from, (table,))[1][table]

    now, other = digest_of(name), "0" * 64
    assert record_of([made_with(table, k, key, name, now) for k in range(2)]).digest == now
    with pytest.raises(InputError, match=f"{table}.parquet of partition 1 was made with"):
        record_of([made_with(table, 0, key, name, now), made_with(table, 1, key, name, other)])
    with pytest.raises(InputError, match=f"was made with another {name} .*process"):
        record_of([made_with(table, k, key, name, other) for k in range(2)])


def test_verify_finds_what_was_broken(tmp_path):
    index = make_dataset(tmp_path / "d", groups=("meta", "semantic", "acoustic", "singer", "pitch"))
    assert [row["clips"] for row in verify(tmp_path / "d")] == [12, 4]

    def broken(words, split="train", **files):
        """Put a wrong sample in place of a split's first shard, and see that verify says `words`."""
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(tmp_path / "d", copy)
        first = index.splits[split].shards[0]
        shard = ShardFile(copy / first.path)
        for _, sample in read_shard(tmp_path / "d" / first.path):
            held = {name: write_array(array) for name, array in sample._files.items()}
            shard.add(sample.id, {"meta.json": sample.meta.to_json(), **held, **(files if shard.rows == 0 else {})})
        values = index.dump()
        values["splits"][split]["shards"][0] = shard.close(first.path).dump()
        (copy / "index.json").write_text(json.dumps(values))
        with pytest.raises(InputError, match=words):
            verify(copy)

    _, sample = next(read_shard(tmp_path / "d" / "valid/000000.tar"))
    broken("song valid0 is in train and in valid", **{"meta.json": sample.meta.to_json()})
    broken("semantic has length 7", **{"semantic.npy": write_array(np.zeros(7, np.int16))})
    broken(r"holds codes 0 to 128, the codebook has 128", **{"semantic.npy": write_array(np.arange(50) % 2 * 128)})
    broken("not a whole number of blocks", **{"vocals_codes.npy": write_array(np.zeros(7, np.int32))})
    broken("singer has shape", **{"singer.npy": write_array(np.ones(192, np.float32))})
    shard = tmp_path / "d" / index.splits["train"].shards[1].path
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    shard.write_bytes(data)
    with pytest.raises(InputError, match=r"000001\.tar: its digest is not the one in the index"):
        verify(tmp_path / "d")


def test_the_command_line_builds_and_verifies(corpus, tmp_path):
    from dataset_builder import cli

    app = typer.Typer()
    app.command()(cli.build)
    app.command()(cli.verify)
    runner = CliRunner()
    words = ["build", str(corpus), str(tmp_path / "d"), "--members", "semantic,pitch", "--set", "valid=0.2", "--json"]
    shown = runner.invoke(app, words)
    assert shown.exit_code == 0 and json.loads(shown.stdout)["rows"][0]["split"] == "train"
    assert runner.invoke(app, ["verify", str(tmp_path / "d")]).exit_code == 0
