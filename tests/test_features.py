"""Features are declared once: a declaration is all that tables, shards, verification and the card need of one."""

import dataclasses
import json
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from autosing.errors import InputError
from autosing.schemas import features, sample
from autosing.schemas.base import Matrix, arrow_schema
from autosing.schemas.features import FEATURES, Feature, Member
from autosing.schemas.records import SemanticRecord
from autosing.schemas.sample import DatasetIndex
from autosing.storage.shards import read_shard
from autosing.storage.tables import TableWriter, read_rows
from dataset_builder import build as room
from dataset_builder import join
from dataset_builder.config import BuildConfig
from dataset_builder.verify import verify
from processing.pipeline import PipelineConfig, build_stages, stage_class
from tests.test_build import make_corpus


@dataclass(frozen=True)
class Content:
    id: str
    frames: Matrix(pa.float16(), 6)


CONTENT = Feature("content", "a content encoder's frames", Content, (
    Member("content", "frames", np.float16, rate_hz=Fraction(50), width=(6,)),
))  # fmt: skip


def frames(k: int, count: int = 50) -> np.ndarray:
    return np.random.default_rng(k).standard_normal((count, 6)).astype(np.float16)


@pytest.fixture
def content(monkeypatch):
    """A feature of T x D arrays, declared as in autosing.schemas.features."""
    monkeypatch.setitem(FEATURES, "content", CONTENT)
    monkeypatch.setitem(sample.GROUPS, "content", ("content.npy",))


@pytest.mark.parametrize("count", [0, 1, 50])
def test_an_array_of_frames_by_numbers_survives_its_table(tmp_path, count):
    assert arrow_schema(Content).field("frames").type == pa.list_(pa.list_(pa.float16(), 6))
    with TableWriter(tmp_path / "t.parquet", Content) as writer:
        for k in range(3):
            writer.add(Content(f"c{k}", frames(k, count)))
        writer.commit("content", 1, 3, {})
    rows = list(read_rows(tmp_path / "t.parquet", Content))
    for k, row in enumerate(rows):
        assert row.frames.shape == (count, 6) and row.frames.dtype == np.float16
        np.testing.assert_array_equal(row.frames, frames(k, count))


def test_a_declared_feature_goes_from_its_table_into_shards_and_index_and_card(content, tmp_path, monkeypatch):
    make_corpus(tmp_path / "c", without=())
    for number, songs in enumerate(((0, 1, 2, 3), (4, 5, 6, 7))):
        clips = [f"s{song}-{k}" for song in songs for k in range(3)]
        segment = join.read_meta(tmp_path / "c" / str(number) / "segment.parquet").fingerprint
        with TableWriter(tmp_path / "c" / str(number) / "content.parquet", Content,
                         tmp_path / "c" / str(number) / "content.rejects.parquet") as writer:  # fmt: skip
            for k, clip in enumerate(clips):
                writer.add(Content(clip, frames(k)))
            details = {"config": {"encoder": "e"}, "weights": {"e": "d" * 64}, "inputs": {"segment": segment}}
            writer.commit("content", 1, len(clips), details)
    room.build(tmp_path / "c", tmp_path / "d", BuildConfig(members=("content",)))
    index = DatasetIndex.load(tmp_path / "d")
    record = index.features["content"]
    held = record.members["content"]
    assert (held.rate_hz, held.dtype, held.width) == (50.0, "float16", (6,)) and len(record.digest) == 32
    shard = index.splits["train"].shards[0]
    for _, held in read_shard(tmp_path / "d" / shard.path, rows=shard.rows):
        song, k = held.id[1:].split("-")
        np.testing.assert_array_equal(held.array("content"), frames(3 * (int(song) % 4) + int(k)))
    assert verify(tmp_path / "d")
    assert (
        "| content | a content encoder's frames | content | 50.0 | float16 |"
        in (tmp_path / "d" / "card.md").read_text()
    )


def test_a_wide_codebooks_type_is_recorded():
    semantic = FEATURES["semantic"].members[0]
    sizes = {size: semantic.record(SemanticRecord(size=size, digest="")).dtype for size in (1 << 15, (1 << 15) + 1)}
    assert list(sizes.values()) == ["int16", "int32"]


def test_an_index_of_before_has_no_features_and_is_read(tmp_path):
    old = {"fingerprint": "x", "members": ["meta"], "splits": {}, "rows_in": 0, "dropped": {}}
    (tmp_path / "index.json").write_text(json.dumps(old))
    assert DatasetIndex.load(tmp_path).features == {}


@pytest.mark.parametrize("name", FEATURES)
def test_the_stage_of_a_feature_gives_its_record_with_the_columns_it_names(name):
    feature = FEATURES[name]
    assert stage_class(name).gives is feature.record
    columns = {field.name for field in dataclasses.fields(feature.record)}
    assert {member.column for member in feature.members} <= columns
    assert features.FEATURES[name].about


def test_a_stages_keys_stand_under_its_name():
    config = PipelineConfig.build({"pitch": {"tracker": "swiftf0"}, "workers": 2})
    (stage,) = build_stages(config, ["pitch"])
    assert stage.config.tracker == "swiftf0" and config.workers == 2
    with pytest.raises(InputError, match="did you mean 'pitch'"):
        PipelineConfig.build({"pich": {"tracker": "swiftf0"}})
    with pytest.raises(InputError, match=r"pitch: found 3, need a mapping"):
        PipelineConfig.build({"pitch": 3})
    with pytest.raises(InputError, match="did you mean 'tracker'"):
        build_stages(PipelineConfig.build({"pitch": {"traker": "x"}}), ["pitch"])
