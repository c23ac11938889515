"""Offsets beside a tar say what its headers say, spare reading them, and can be done without."""

import hashlib
import json

import numpy as np
import pytest

from autosing.errors import InputError
from autosing.ids import clean_id
from autosing.schemas.sample import DatasetIndex, SampleMeta, write_array
from autosing.storage import offsets
from autosing.storage.offsets import offsets_path
from autosing.storage.shards import Shard, ShardFile
from dataset_builder.verify import verify
from support.datasets import make_dataset
from train.data import SampleStream
from train.order import Lane

META = SampleMeta("s", None, "en", None, 1.0, [], []).to_json()
LONG = clean_id("long " * 30)


@pytest.fixture
def shard(tmp_path):
    """(tar, its record): arrays of several kinds, an empty one, audio of several lengths, a name of 100 characters."""
    file = ShardFile(tmp_path / "x.tar")
    for k, key in enumerate(("a", LONG, "c")):
        arrays = {"semantic.npy": np.arange(k, dtype=np.int16), "singer.npy": np.asfortranarray(np.ones((2, 3)))}
        files = {name: write_array(array) for name, array in arrays.items()}
        file.add(key, {"meta.json": META, **files, **({"vocals.flac": b"f" * (7 + k)} if k else {})})
    return tmp_path / "x.tar", file.close("x.tar")


@pytest.mark.parametrize("files", [None, ("semantic.npy", "singer.npy"), ("vocals.flac",), ("meta.json",)])
def test_rows_by_offsets_are_rows_by_headers_and_no_header_is_looked_at(shard, files, monkeypatch):
    path, record = shard
    by_headers = Shard(path, files, 3)
    monkeypatch.setattr(offsets, "rows_of_headers", None)
    monkeypatch.setattr("autosing.storage.shards.rows_of_headers", None)
    by_offsets = Shard(path, files, 3, offsets=record.offsets)
    assert by_offsets._rows == by_headers._rows
    for row in range(3):
        ours, theirs = by_offsets.sample(row), by_headers.sample(row)
        assert (ours.id, ours.meta, ours.files) == (theirs.id, theirs.meta, theirs.files)
        if files is None:
            np.testing.assert_array_equal(ours.array("semantic"), np.arange(row))
            assert ours.array("singer").shape == (2, 3)


class Codes:
    name, members, length_file = "codes", ("meta", "semantic"), ""

    def prepare(self, sample, rng):
        return {"id": sample.id, "codes": sample.array("semantic").tolist()}

    def collate(self, items):
        return {"items": items}


def epoch(folder):
    split = DatasetIndex.load(folder).splits["train"]
    chunks = list(SampleStream(folder, split, Codes(), Lane(), 0, epochs=1))
    assert not any(isinstance(chunk, InputError) for chunk in chunks), chunks
    return [item for chunk in chunks for item in chunk.batch["items"]]


def test_a_dataset_without_offsets_is_read_alike_and_verified(tmp_path):
    make_dataset(tmp_path, groups=("meta", "semantic"))
    items = epoch(tmp_path)
    assert len(items) == 12 and verify(tmp_path)
    for path in tmp_path.rglob("*.offsets.json"):
        path.unlink()
    assert epoch(tmp_path) == items
    with pytest.raises(InputError, match=r"train/000000\.tar: 000000\.offsets\.json, .* is missing"):
        verify(tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    for split in index["splits"].values():
        for record in split["shards"]:
            del record["offsets"]
    (tmp_path / "index.json").write_text(json.dumps(index))
    assert epoch(tmp_path) == items and verify(tmp_path)


def test_changed_offsets_are_refused_by_the_loader_and_by_verify(tmp_path):
    make_dataset(tmp_path, groups=("meta", "semantic"))
    beside = tmp_path / "train/000001.offsets.json"
    beside.write_bytes(beside.read_bytes().replace(b"train3", b"train4"))
    with pytest.raises(InputError, match=r"000001\.tar: the digest of 000001\.offsets\.json is not the one"):
        verify(tmp_path)
    split = DatasetIndex.load(tmp_path).splits["train"]
    said = [c for c in SampleStream(tmp_path, split, Codes(), Lane(), 0, epochs=1) if isinstance(c, InputError)]
    assert "its digest is not the one in the index" in str(said[0])


def vouched(path, record, change):
    """The tar's record, once its offsets were changed and the index says so."""
    held = json.loads(offsets_path(path).read_bytes())
    change(held)
    data = json.dumps(held).encode()
    offsets_path(path).write_bytes(data)
    return record.model_copy(update={"offsets": hashlib.sha256(data).hexdigest()})


def test_verify_compares_offsets_with_the_headers_whatever_the_index_vouches_for(tmp_path):
    index = make_dataset(tmp_path, {"train": 3}, groups=("meta", "semantic"))
    (record,) = index.splits["train"].shards
    changed = vouched(tmp_path / record.path, record, lambda held: held["rows"].reverse())
    values = index.dump()
    values["splits"]["train"]["shards"] = [changed.dump()]
    (tmp_path / "index.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"000000\.offsets\.json does not match where its members lie"):
        verify(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda held: held["rows"][0].__setitem__(1, -1),
        lambda held: held["rows"][0].__setitem__(2, 1 << 40),
        lambda held: held["rows"][0].__setitem__(0, 7),
        lambda held: held["rows"][0].__setitem__(4, 1 << 40),
        lambda held: held["rows"][0].__setitem__(4, 1536.5),
        lambda held: held["rows"][0].__setitem__(3, 99),
        lambda held: held["rows"][0].pop(),
        lambda held: held["layouts"][0].__setitem__(4, "|O"),
        lambda held: held["layouts"][0].__setitem__(3, [1 << 40]),
        lambda held: held["layouts"][0].__setitem__(3, [-1, -1]),
        lambda held: held["layouts"][0].__setitem__(2, -8),
        lambda held: held["layouts"][0].__setitem__(1, 1 << 40),
        lambda held: held.pop("rows"),
    ],
)
def test_hostile_offsets_are_refused(shard, change):
    path, record = shard
    with pytest.raises(InputError, match=r"x\.offsets\.json: not as"):
        Shard(path, None, 3, offsets=vouched(path, record, change).offsets)


def test_another_number_of_rows_is_refused(shard):
    path, record = shard
    record = vouched(path, record, lambda held: held["rows"].pop())
    with pytest.raises(InputError, match="has 2 samples, the index promises 3"):
        Shard(path, None, 3, offsets=record.offsets)
