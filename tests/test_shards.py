"""A shard: what was written is read, by webdataset alone too; what is not plain is refused by whoever reads it."""

import io
import json
import re
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.audio.io import Audio, encode
from autosing.errors import InputError
from autosing.ids import clean_id
from autosing.schemas import sample as schema
from autosing.schemas.sample import (
    DatasetIndex,
    Sample,
    SampleMeta,
    ShardRecord,
    SplitRecord,
    array_layout,
    write_array,
)
from autosing.storage import shards, tars
from autosing.storage.shards import Shard, ShardFile, read_shard
from autosing.storage.store import digest_of
from dataset_builder.verify import verify
from support.datasets import make_dataset
from train.data import Batches, SampleStream
from train.order import Lane

META = SampleMeta("s", None, "en", None, 1.0, [], []).to_json()
LONG = clean_id("long " * 30)


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """Three samples, one with a name beyond 100 characters; a member of many bytes lies between two of few."""
    path = tmp_path_factory.mktemp("shard") / "x.tar"
    file = ShardFile(path)
    for k, key in enumerate(("a", LONG, "c")):
        arrays = {"semantic.npy": np.arange(k + 3), "singer.npy": np.ones((2, k), np.float32)}
        files = {name: write_array(array) for name, array in arrays.items()}
        file.add(
            key,
            {
                "meta.json": META,
                "semantic.npy": files["semantic.npy"],
                "pitch.npy": write_array(np.zeros(6000)),
                **files,
            },
        )
    return path, file.close("x.tar")


def test_what_was_written_is_read_by_row_and_by_member(shard):
    assert len(LONG) > 100
    for wanted in (None, ("semantic.npy", "singer.npy"), ("meta.json",)):
        opened = Shard(shard[0], wanted, 3)
        assert [opened.sample(row).id for row in (2, 0, 1)] == ["c", "a", LONG]
        sample = opened.sample(1)
        assert sample.has("pitch") == (wanted is None) and sample.meta.song == "s"
        if wanted is None or "singer.npy" in wanted:
            np.testing.assert_array_equal(sample.array("semantic"), np.arange(4))
            assert sample.array("singer").shape == (2, 1)
            assert opened.sizes("semantic.npy") == [len(write_array(np.arange(k))) for k in (3, 4, 5)]


def test_plain_webdataset_reads_the_same(shard):
    import webdataset as wds

    for raw, (_, sample) in zip(wds.WebDataset(str(shard[0]), shardshuffle=False), read_shard(shard[0]), strict=True):
        assert (raw["__key__"], raw["meta.json"]) == (sample.id, META)
        np.testing.assert_array_equal(np.load(io.BytesIO(raw["semantic.npy"])), sample.array("semantic"))


def test_arrays_lie_in_the_shard_outlive_it_and_cannot_be_written_to(shard):
    array = Shard(shard[0]).sample(0).array("semantic")
    np.testing.assert_array_equal(array, np.arange(3))
    with pytest.raises(ValueError, match="read-only"):
        array[:] = 7


def read_array(data):
    return array_layout(memoryview(data), 0, len(data), "a.x.npy").array(memoryview(data))


@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.asfortranarray(np.eye(3)[:2]), np.arange(4) > 2])
def test_any_plain_array_comes_back(array):
    found = read_array(write_array(np.asarray(array)))
    np.testing.assert_array_equal(found, array)
    assert found.shape == np.shape(array) and found.dtype == array.dtype


def member(name, kind=tarfile.REGTYPE, target="", size=None):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, size


def tar_of(path, *members):
    """((info, size promised or None for the data's), data) each; a promised size is not kept."""
    with path.open("wb") as file:
        for (info, size), data in members:
            info.size = len(data) if size is None else size
            file.write(info.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % 512))
        file.write(bytes(1024))
    return path


def dataset_of(folder, path, rows=1):
    """A dataset whose index vouches for this tar."""
    record = ShardRecord(path=path.name, rows=rows, bytes=path.stat().st_size, sha256=digest_of(path))
    split = SplitRecord(shards=(record,), rows=rows, seconds=rows, songs=1, singers=0)
    index = DatasetIndex(fingerprint="x", members=("meta", "semantic"), splits={"train": split}, rows_in=rows)
    (folder / "index.json").write_text(index.model_dump_json())
    return index


class Arrays:
    """A task that reads the codes and the words."""

    name, members, length_file = "arrays", ("meta", "semantic"), ""

    def prepare(self, sample, rng):
        return {"words": sample.meta.words, "codes": sample.array("semantic")}

    def collate(self, items):
        return items


def refusals(folder, path, rows=1):
    """What the reader, `autosing verify` and the loader each say."""
    index = dataset_of(folder, path, rows)

    def load():
        stream = SampleStream(folder, index.splits["train"], Arrays(), Lane(chunk=rows), 0)
        next(Batches(stream, 0))

    for read in (lambda: list(read_shard(path, rows=rows)), lambda: verify(folder), load):
        with pytest.raises(InputError) as refusal:
            read()
        yield str(refusal.value)


CODES = (member("a.semantic.npy"), write_array(np.arange(25)))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([(member("a.meta.json", tarfile.SYMTYPE, "/etc/passwd"), b"")], "is a link"),
        ([(member("a.meta.json", tarfile.LNKTYPE, "b"), b"")], "is a link"),
        ([(member("a.meta.json", tarfile.CHRTYPE), b"")], "is a device"),
        ([(member("a.meta.json", tarfile.BLKTYPE), b"")], "is a device"),
        ([(member("a.meta.json", tarfile.FIFOTYPE), b"")], "is a pipe"),
        ([(member("a.meta.json", tarfile.DIRTYPE), b"")], "is a folder"),
        ([(member("a.meta.json", tarfile.GNUTYPE_SPARSE), b"")], "is a sparse file"),
        ([(member("/a.meta.json"), META)], "is not named"),
        ([(member("../a.meta.json"), META)], "is not named"),
        ([(member("b/a.meta.json"), META)], "is not named"),
        ([(member("a\n.meta.json"), META)], "is not named"),
        ([(member("meta"), META)], "is not named"),
        ([(member("../" * 60 + "a.meta.json"), META)], "(is not named|is a pax header)"),
        ([(member("a.meta.json"), META), (member("a.meta.json"), META)], "is there twice"),
        (
            [(member(name), META) for name in ("a.meta.json", "b.meta.json", "a.semantic.npy")],
            "(is there|one too many)",
        ),
        ([CODES], "has no meta.json"),
        ([(member("a.meta.json"), b"[1]"), CODES], "is not readable"),
        ([(member("a.meta.json"), b"[" * 100_000), CODES], "is not readable"),
        ([(member("a.meta.json"), META.replace(b"1.0", b"NaN")), CODES], "is not readable"),
        ([(member("a.meta.json"), META + b" " * schema.MAX_META_BYTES), CODES], "at most 1048576 are read"),
        ([(member("a.meta.json", size=1 << 30), META)], "has 1073741824 bytes, at most"),
        ([(member("a.meta.json", size=1 << 20), META)], "not a whole tar"),
        ([(member(f"a.x{k}"), b"") for k in range(20)], "one too many, at most 16"),
        ([(member(f"a{k}.meta.json"), META) for k in range(3)], "one too many, 1 are promised"),
        ([], "has 0 samples, the index promises 1"),
    ],
)
def test_a_hostile_shard_is_refused_by_the_reader_by_verify_and_by_the_loader(tmp_path, members, words):
    for said in refusals(tmp_path, tar_of(tmp_path / "x.tar", *members)):
        assert re.search(words, said) and ("x.tar" in said or "a.meta.json" in said), said


def test_members_beyond_what_is_promised_are_not_even_looked_at(tmp_path, monkeypatch):
    """A million of them would take gigabytes as objects; what is read here is what two samples can have."""
    looked_at, sum_of = [], tars._sum_of
    path = tar_of(tmp_path / "x.tar", *[(member(f"a.x{k}"), b"") for k in range(5000)])
    monkeypatch.setattr(tars, "_sum_of", lambda tar, at: looked_at.append(at) or sum_of(tar, at))
    with pytest.raises(InputError, match="one too many, at most 32"):
        list(read_shard(path, rows=2))
    assert len(looked_at) == 33
    many = [(member(f"a{k}.meta.json"), META) for k in range(60)]
    monkeypatch.setattr(shards, "MAX_ROWS", 50)
    with pytest.raises(InputError, match="a50 is one too many, 50"):
        list(read_shard(tar_of(tmp_path / "y.tar", *many)))


def test_a_bomb_within_a_member_is_refused_before_it_is_unpacked(monkeypatch):
    head = write_array(np.zeros(3)).replace(b"(3,)", b"(300000000000,)").replace(b" " * 11, b"", 1)
    with pytest.raises(InputError, match="not a plain"):
        read_array(head)
    silence = Sample("a", META, {"vocals.flac": encode(Audio(np.zeros((1, 100_000), np.float32), 8000))})
    assert silence.audio().samples_CS.shape == (1, 100_000)
    monkeypatch.setattr(schema, "MAX_DECODED_SAMPLES", 99_999)
    with pytest.raises(InputError, match="99,999 samples"):
        silence.audio()
    sink = io.BytesIO()
    np.save(sink, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not a plain"):
        read_array(sink.getvalue())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_cut_shard_or_a_changed_header_is_refused(shard, tmp_path_factory, data):
    path, _ = shard
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        starts = [info.offset_data - 512 for info in tar]
        end = tar.offset
    damaged = bytearray(whole)
    if data.draw(st.booleans()):
        damaged = damaged[: data.draw(st.integers(0, end + 1023 - 512))]
    else:
        at = data.draw(st.sampled_from(starts)) + data.draw(st.integers(0, 511))
        damaged[at] ^= data.draw(st.integers(1, 255))
    other = tmp_path_factory.getbasetemp() / "damaged.tar"
    other.write_bytes(damaged)
    with pytest.raises(InputError, match=r"shard .*damaged\.tar"):
        list(read_shard(other))


def test_an_index_that_leads_out_or_does_not_add_up_is_refused(tmp_path):
    make_dataset(tmp_path, {"train": 3}, duration_s=0.5, groups=("meta", "semantic"))
    values = json.loads((tmp_path / "index.json").read_text())
    for change, words in (
        ({"path": "../x.tar"}, "leads out"),
        ({"path": "/x.tar"}, "leads out"),
        ({"rows": 2}, "rows"),
    ):
        held = json.loads(json.dumps(values))
        held["splits"]["train"]["shards"][0] |= change
        (tmp_path / "index.json").write_text(json.dumps(held))
        with pytest.raises(InputError, match=words):
            DatasetIndex.load(tmp_path)


def test_verify_names_every_bad_shard_and_what_is_no_member(tmp_path):
    tar_of(tmp_path / "x.tar", (member("a.meta.json"), META), CODES, (member("a.exe"), b"x"))
    dataset_of(tmp_path, tmp_path / "x.tar")
    with pytest.raises(InputError, match=r"x\.tar: a: exe is no member"):
        verify(tmp_path)
