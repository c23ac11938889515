"""`autosing verify` refuses arrays that are not as the index declares their feature: type, width, frames, codes."""

import dataclasses
import json
import re

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from autosing.codecs.spec import CodecSpec
from autosing.schemas.features import FEATURES, Member
from autosing.schemas.records import CodecRecord, FeatureRecord, SemanticRecord
from autosing.schemas.sample import CODES_FIELDS, DatasetIndex, SampleMeta, SplitRecord, write_array
from autosing.storage.shards import ShardFile
from dataset_builder import cli
from tests.test_features import CONTENT

SPEC = CodecRecord(
    spec=CodecSpec(name="made", sample_rate_hz=24_000, hop_samples=256, strides=(4, 2, 1), codebook_sizes=(8, 16, 32)),
    digest="0" * 64,
)
BOOK = SemanticRecord(size=40, digest="1" * 64)
LEVELS = (24, 48, 96)
"""Codes of each level in the blocks that cover a second."""
UNIT = np.full(256, 1 / 16, np.float32)


DECLARED = {**FEATURES, "content": CONTENT}
GOOD = {
    "pitch": np.full(100, 220, np.float32), "singer": UNIT, "semantic": np.arange(25, dtype=np.int16),
    "vocals_codes": np.zeros(sum(LEVELS), np.int32), "instrumental_codes": np.zeros(sum(LEVELS), np.int32),
    "content": np.zeros((50, 6), np.float16),
}  # fmt: skip


def make(folder, **members):
    """A dataset of one clip of one second with these members; its index knows its features by itself."""
    names = ("pitch", "singer", "semantic", "acoustic", "content")
    codes = {"acoustic": SPEC, "semantic": BOOK}
    shard = ShardFile(folder / "train/000000.tar")
    meta = SampleMeta("s", None, "en", None, 1.0, [], []).to_json()
    shard.add("s-0", {"meta.json": meta, **{f"{name}.npy": write_array(array) for name, array in members.items()}})
    split = SplitRecord(shards=(shard.close("train/000000.tar"),), rows=1, seconds=1.0, songs=1, singers=0)
    records = {
        name: FeatureRecord(members={m.name: m.record(codes.get(name)) for m in DECLARED[name].members}, digest="d")
        for name in names
    }
    index = DatasetIndex(
        fingerprint="x", members=("meta", *names), features=records, splits={"train": split}, rows_in=1,
        **{field: codes[name] for name, field in CODES_FIELDS.items()},
    )  # fmt: skip
    (folder / "index.json").write_text(index.model_dump_json())


def said(folder):
    """The words with which `autosing verify` refuses the dataset; None where it does not."""
    app = typer.Typer()
    app.command()(cli.verify)
    shown = CliRunner().invoke(app, [str(folder)])
    return None if shown.exit_code == 0 else str(shown.exception)


def codes(level, value):
    """Acoustic codes of which one, of that level, has that value."""
    flat = np.zeros(sum(LEVELS), np.int32)
    flat[sum(LEVELS[:level])] = value
    return flat


def test_a_dataset_as_it_is_declared_is_accepted_with_and_without_an_accompaniment(tmp_path):
    make(tmp_path / "a", **GOOD)
    assert said(tmp_path / "a") is None
    make(tmp_path / "b", **{name: array for name, array in GOOD.items() if name != "instrumental_codes"})
    assert said(tmp_path / "b") is None
    within = {"pitch": GOOD["pitch"][1:], "content": np.zeros((51, 6), np.float16), "vocals_codes": codes(2, 31)}
    make(tmp_path / "c", **(GOOD | within))
    assert said(tmp_path / "c") is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"pitch": np.full(100, 220, np.float64)}, "pitch is of type float64, the index promises float32"),
        ({"semantic": np.arange(25, dtype=np.int64)}, "semantic is of type int64, the index promises int16"),
        ({"vocals_codes": np.zeros(sum(LEVELS), np.int16)}, "vocals_codes is of type int16, .* int32"),
        ({"content": np.zeros((50, 5), np.float16)}, r"content has shape \[50, 5\], need \[frames, 6\]"),
        ({"content": np.zeros((50,), np.float16)}, r"content has shape \[50\], need \[frames, 6\]"),
        ({"pitch": np.full((100, 1), 220, np.float32)}, r"pitch has shape \[100, 1\], need \[frames\]"),
        ({"singer": UNIT[:192]}, r"singer has shape \[192\], need \[256\]"),
        ({"singer": 2 * UNIT}, "singer has norm 2.000, need 1"),
        ({"singer": UNIT * np.float32("nan")}, "singer has norm nan, need 1"),
        ({"pitch": GOOD["pitch"][2:]}, "pitch has length 98, its clip's length asks for 100.0"),
        ({"content": np.zeros((52, 6), np.float16)}, "content has length 52, its clip's length asks for 50.0"),
        ({"semantic": np.arange(23, dtype=np.int16)}, "semantic has length 23, its clip's length asks for 25.0"),
        ({"vocals_codes": np.zeros(7 * 22, np.int32)}, r"vocals_codes \(blocks\) has length 22, .* asks for 23.4"),
        ({"vocals_codes": np.zeros(12, np.int32)}, "vocals_codes: 12 codes: not a whole number of blocks of 7"),
        ({"semantic": np.arange(16, 41, dtype=np.int16)}, "semantic holds codes 16 to 40, the codebook has 40"),
        ({"semantic": np.arange(-1, 24, dtype=np.int16)}, "semantic holds codes -1 to 23, the codebook has 40"),
        ({"vocals_codes": codes(0, 8)}, "vocals_codes, level 0, holds codes 0 to 8, the codebook has 8"),
        ({"instrumental_codes": codes(2, -3)}, "instrumental_codes, level 2, holds codes -3 to 0, the codebook has 32"),
        ({"content": None}, "content.npy is missing"),
        ({"pich": UNIT}, "pich.npy is no member"),
    ],
)
def test_what_is_not_as_declared_is_refused_by_name(tmp_path, wrong, words):
    make(tmp_path, **{name: array for name, array in (GOOD | wrong).items() if array is not None})
    assert re.search(f"train/000000.tar: s-0: .*{words}", said(tmp_path)), said(tmp_path)


def test_a_dataset_of_before_is_read_and_verified_by_what_is_declared_today(tmp_path):
    """Its index has no `features`, or none of the keys that came later."""
    known = {name: array for name, array in GOOD.items() if name != "content"}

    def of_before(folder, keys=(), **members):
        make(folder, **members)
        index = json.loads((folder / "index.json").read_text())
        index["members"].remove("content")
        del index["features"]["content"]
        for record in index["features"].values():
            record["members"] = {m: {key: held[key] for key in keys} for m, held in record["members"].items()}
        if not keys:
            del index["features"]
        (folder / "index.json").write_text(json.dumps(index))
        return said(folder)

    lone = {name: array for name, array in known.items() if name != "instrumental_codes"}
    for number, keys in enumerate(((), ("dtype", "rate_hz", "width"))):
        assert of_before(tmp_path / f"{number}a", keys, **known) is None
        assert of_before(tmp_path / f"{number}b", keys, **lone) is None
        bad = known | {"semantic": np.full(25, 40, np.int16)}
        assert "the codebook has 40" in of_before(tmp_path / f"{number}c", keys, **bad)


def test_codes_without_a_codec_are_refused(tmp_path):
    make(tmp_path, **GOOD)
    index = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps(index | {"codec": None}))
    assert "members acoustic are there, but no codec is named" in said(tmp_path)


def test_declarations_and_records_say_the_same():
    """A record has what its declaration has, so that a later key cannot be forgotten."""
    record = FEATURES["acoustic"].members[1].record(SPEC)
    assert {"name", "column", "wide_dtype"} == {f.name for f in dataclasses.fields(Member)} - set(record.dump())
    assert record.optional and record.codebook_sizes == (8, 16, 32) and record.rate_hz == 93.75
