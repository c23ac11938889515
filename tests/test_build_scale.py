"""What grows with a corpus, and what must not: open files, memory; and what few songs make of the splits."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from autosing.errors import InputError
from autosing.ids import clean_id, clip_id
from dataset_builder import build as room
from dataset_builder.config import BuildConfig
from dataset_builder.join import sample_bytes
from dataset_builder.shards import OPEN_FILES, Shuffler, num_buckets, order_of
from dataset_builder.split import Part, assign_songs
from tests.test_build import ALL, make_corpus


def test_a_terabyte_is_shuffled_with_few_files_open(tmp_path):
    buckets = num_buckets(10**12, BuildConfig().shuffle_mb << 20)
    assert buckets > 5000
    ids = [f"s{k}" for k in range(12_000)]
    shuffler = Shuffler(order_of(ids, "train", 0), tmp_path / "spill", buckets)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for id in ids:
        shuffler.add(id, {"meta.json": id.encode()})
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= OPEN_FILES
    assert len(list((tmp_path / "spill").iterdir())) > 4000


def test_only_what_the_samples_hold_counts(tmp_path):
    make_corpus(tmp_path / "c")
    audio = pq.read_table(tmp_path / "c" / "0" / "segment.parquet", columns=["vocals"])["vocals"]
    heard = sum(len(cell.as_py()) for cell in audio)
    tokens, whole = (sample_bytes(tmp_path / "c", 0, groups) for groups in (("meta", "semantic"), ALL))
    assert tokens < 0.1 * heard and whole > heard


def test_three_songs_leave_train_the_larger_part_and_it_is_said(tmp_path):
    said = []
    make_corpus(tmp_path / "c", partitions=((0, 2, 4),), without=())
    rows = room.build(tmp_path / "c", tmp_path / "d", BuildConfig(members=("meta",)), said.append)
    assert {row["split"]: row["songs"] for row in rows} == {"train": 2, "valid": 1, "test": 0}
    assert "3 songs are few for three splits" in said[-1] and "--set valid=0 --set test=0" in said[-1]
    said.clear()
    room.build(tmp_path / "c", tmp_path / "e", BuildConfig(members=("meta",), valid=0, test=0), said.append)
    assert not said


@pytest.mark.parametrize("songs", range(2, 12))
def test_train_never_has_less_than_half(songs):
    split_of = assign_songs([Part(f"s{k}", None, 1.0) for k in range(songs)], {"valid": 0.05, "test": 0.05}, 0)
    assert 2 * list(split_of.values()).count("train") >= songs


def test_ids_of_before_that_no_file_can_be_called_by_are_refused(tmp_path, monkeypatch):
    make_corpus(tmp_path / "c", without=())
    monkeypatch.setattr(room, "_LONGEST_ID", 3)
    with pytest.raises(InputError, match=r"clip s0-0: its id has 4 bytes.*autosing import .*/c NEW_CORPUS"):
        room.build(tmp_path / "c", tmp_path / "d", BuildConfig(members=("meta",)))


def test_an_id_fits_into_a_files_name_and_still_tells_songs_apart():
    deep = "/".join(["Artist with quite a name", "Album of the Year (Super Deluxe Edition) " * 3, "01 - The Song" * 9])
    first, second = clean_id(f"{deep} a"), clean_id(f"{deep} b")
    assert first != second and len(first) <= 120 and first.startswith("Artist_with_quite_a_name_Album")
    assert len(clip_id(first, 14_400.0) + ".instrumental_codes.npy") < 255
    assert clean_id("x" * 120) == "x" * 120 and len(clean_id("x" * 121)) == 120
    assert Path(first).name == first
