"""A stream that is resumed at any point, by any ranks and workers, gives what the uninterrupted one had left."""

import copy
from collections import namedtuple
from itertools import islice
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import train.data
from autosing.errors import InputError
from autosing.schemas.sample import SampleMeta, ShardRecord, SplitRecord, write_array
from autosing.storage.shards import Shard, ShardFile
from train.data import Batches, SampleStream, finite_batches
from train.order import Lane, Order, Position

LENGTHS = [5, 90, 7, 41, 40, 6, 88, 42, 9, 39, 86, 8, 43]
"""Codes of each clip: 13 clips in 4 shards, which no number of ranks or workers divides."""
ROWS = len(LENGTHS)
BEGIN = Position()


def make(folder, lengths, rows_per_shard):
    shards = []
    for first in range(0, len(lengths), rows_per_shard):
        shard = ShardFile(folder / f"{first}.tar")
        for k in range(first, min(first + rows_per_shard, len(lengths))):
            meta = SampleMeta("s", None, "en", None, lengths[k] / 25, [], [])
            codes = np.random.default_rng(k).integers(99, size=lengths[k])
            shard.add(f"c{k}", {"meta.json": meta.to_json(), "semantic.npy": write_array(codes)})
        shards.append(shard.close(f"{first}.tar"))
    return folder, SplitRecord(shards=tuple(shards), rows=len(lengths), seconds=1, songs=1, singers=0)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"), LENGTHS, 4)


class Codes:
    """A task whose items are bits: the codes, and a draw. Some samples are of no use to it."""

    name, members, length_file = "codes", ("semantic",), "semantic.npy"

    def __init__(self, useless=(), mark=None):
        self.useless, self.mark = useless, mark

    def prepare(self, sample, rng):
        if sample.id in self.useless:
            return self.mark
        return {"id": sample.id, "codes": sample.array("semantic").tobytes(), "draw": rng.random(3).tobytes()}

    def collate(self, items):
        return items


def stream_of(made, rank=0, world=1, start=BEGIN, chunk=2, task=None, seed=3, **how):
    return SampleStream(*made, task or Codes(), Lane(rank, world, start, chunk), seed, **{"window": 2, **how})


Info = namedtuple("Info", "id num_workers")


class InTurn:
    """torch's DataLoader without its processes: each worker has a stream of its own, and is asked in turn."""

    def __init__(self, stream, num_workers, **how):
        self._streams = [copy.deepcopy(stream) for _ in range(num_workers)]

    def __iter__(self):
        readers = []
        for k, stream in enumerate(self._streams):
            with mock.patch.object(train.data, "get_worker_info", lambda k=k: Info(k, len(self._streams))):
                reader = iter(stream)
                readers.append((next(reader, None), reader))
        firsts = [first for first, _ in readers]
        while readers:
            for first, (_, reader) in zip(firsts, list(readers), strict=True):
                chunk = first if first is not None else next(reader, None)
                if chunk is None:
                    return
                yield chunk
            firsts = [None] * len(readers)


def all_of(made, workers=0, task=None, **how):
    """Every item of the stream, None where it is of no use."""
    stream = stream_of(made, task=Codes(task.useless if task else (), mark={}), epochs=2, **how)
    return [item or None for chunk in train.data._chunks(stream, workers) for item in chunk.batch]


def take(made, world, workers, start, batches, batch_size, **how):
    """The items that each rank takes in so many batches, and the position after."""
    found, taken = [], []
    for rank in range(world):
        stream = stream_of(made, rank, world, start, chunk=batch_size, **how)
        lane = Batches(stream, workers)
        found.append([item for batch in islice(lane, batches) for item in batch])
        taken.append(lane.taken)
    return found, taken, start.after(taken)


def rest_of(made, world, workers, start, batch_size, **how):
    """What is left of two epochs, in the order of all ranks together; None where it is of no use."""
    lanes = []
    for rank in range(world):
        lanes.append(all_of(made, workers, rank=rank, world=world, start=start, chunk=batch_size, **how))
    assert max(map(len, lanes)) - min(map(len, lanes)) <= 1
    return [lane[place] for place in range(max(map(len, lanes))) for lane in lanes if place < len(lane)]


ranks, workers = st.integers(1, 4), st.integers(0, 3)


@given(
    saved=st.tuples(ranks, workers), resumed=st.tuples(ranks, workers), batches=st.tuples(*[st.integers(0, 5)] * 2),
    batch_size=st.integers(1, 3), useless=st.sets(st.integers(0, ROWS - 1), max_size=5), seed=st.integers(0, 9),
    window=st.integers(1, 4), bucket=st.sampled_from([0, 0, 3, 6]),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_what_is_left_of_two_epochs_is_left_bit_for_bit(
    made, saved, resumed, batches, batch_size, useless, seed, window, bucket
):
    """Saved by a ranks x b workers, gone on with by c x d, saved again, and resumed by one."""
    how = {"task": Codes({f"c{k}" for k in useless}), "seed": seed, "window": window, "bucket": bucket}
    whole = all_of(made, **how)
    left, position = list(range(len(whole))), Position()
    with mock.patch.object(train.data, "DataLoader", InTurn):
        for (world, count), some in zip((saved, resumed), batches, strict=True):
            assert rest_of(made, world, count, position, batch_size, **how) == [whole[n] for n in left]
            found, taken, position = take(made, world, count, position, some, batch_size, **how)
            for rank, items in enumerate(found):
                lane = [whole[n] for n in left[rank::world][: taken[rank]] if whole[n] is not None]
                assert items[: len(lane)] == lane  # a lane may have gone on into the third epoch
            done = {n for rank in range(world) for n in left[rank::world][: taken[rank]]}
            left = [n for n in left if n not in done]
            assert Position.of_state(position.state_dict()) == position
            assert not position.ahead or useless
    assert rest_of(made, 1, 0, position, batch_size, **how) == [whole[n] for n in left]


@pytest.mark.parametrize("bucket", [0, 6])
def test_processes_save_and_resume_as_well(made, bucket):
    how = {"task": Codes({"c4", "c11"}), "bucket": bucket}
    whole = all_of(made, **how)
    found, taken, position = take(made, 2, 2, Position(), 3, 2, **how)
    assert taken == [6, 6] and sum(map(len, found)) == sum(item is not None for item in whole[:12]) < 12
    left = [n for n in range(2 * ROWS) if n // 2 >= taken[n % 2]]
    assert rest_of(made, 3, 1, position, 2, **how) == [whole[n] for n in left]


@given(st.lists(st.tuples(st.integers(1, 4), st.lists(st.integers(0, 9), min_size=4, max_size=4)), max_size=4))
@settings(deadline=None)
def test_a_position_is_the_set_of_what_is_done(saves):
    done, position = set(), Position()
    for world, taken in saves:
        left = [n for n in range(200) if n not in done]
        done |= {n for rank in range(world) for n in left[rank::world][: taken[rank]]}
        position = position.after(taken[:world])
        assert set(range(position.next)) | set(position.ahead) == done
        left = [n for n in range(200) if n not in done]
        places = position.places(0, 200)
        assert [position.left(m) for m in range(len(left))] == left == np.nonzero(places >= 0)[0].tolist()
        assert places[left].tolist() == list(range(len(left)))


def test_a_resume_opens_its_own_window_of_shards_and_reads_no_sample_but_its_own(tmp_path):
    made = make(tmp_path, [9] * 40, 2)
    opened, read = [], []
    opens, reads = Shard.__init__, Shard.sample
    for start in (0, 1, 19, 39, 40, 77):
        opened.clear(), read.clear()
        with (
            mock.patch.object(Shard, "__init__", lambda *a: opened.append(a[1]) or opens(*a)),
            mock.patch.object(Shard, "sample", lambda *a: read.append(a[1]) or reads(*a)),
        ):
            next(iter(stream_of(made, start=Position(start), chunk=1, window=3, bucket=4)))
        assert len(opened) <= 3 and len(read) == 1, start


def test_few_shards_stay_open_however_long_the_stream(tmp_path, monkeypatch):
    made = make(tmp_path, [9] * 40, 2)
    monkeypatch.setattr(train.data, "KEPT_SHARDS", 4)
    stream = stream_of(made, epochs=2, window=3)
    held = [len(stream._shards) for _ in stream]
    assert max(held) <= 4 + 3 and not stream._shards


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_a_finite_pass_of_uneven_ranks_gives_each_sample_once(made, world):
    found = []
    for rank in range(world):
        stream = stream_of(made, rank, world, epochs=1, shuffle=False, window=1)
        for count, batch in finite_batches(stream, 99):
            assert count == len(batch)
            found += [item["id"] for item in batch]
    assert sorted(found) == sorted(f"c{k}" for k in range(ROWS))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_shard_is_refused_in_one_sentence_from_a_worker_too(made, tmp_path, workers):
    folder, split = make(tmp_path, LENGTHS, 4)
    (folder / "4.tar").write_bytes((folder / "4.tar").read_bytes()[:2000])
    with pytest.raises(InputError, match=r"4\.offsets\.json: .*lies beyond its tar's end") as refusal:
        list(train.data._chunks(stream_of((folder, split), epochs=1), workers))
    assert "Traceback" not in str(refusal.value)


def test_buckets_bring_clips_of_one_length_together_and_others_in_each_epoch():
    lengths = np.random.default_rng(0).integers(10, 1000, (8, 100))
    made = make_split(lengths.shape)
    sizes = lengths.tolist().__getitem__

    def batches(bucket, epoch):
        order = Order(made, 5, 4, bucket)
        at_N2 = np.concatenate([order.addresses(epoch, n, shards, sizes) for n, _, shards in order.windows(epoch)])
        return at_N2.reshape(-1, 8, 2)

    def padding(at_BK2):
        of_BK = lengths[at_BK2[..., 0], at_BK2[..., 1]]
        return 1 - of_BK.sum() / (of_BK.max(1) * of_BK.shape[1]).sum()

    assert padding(batches(32, 0)) < 0.3 * padding(batches(0, 0))
    together = [{frozenset(map(tuple, batch)) for batch in batches(32, epoch).tolist()} for epoch in (0, 1)]
    assert not together[0] & together[1]
    means = [lengths[b[..., 0], b[..., 1]].mean() for b in batches(32, 0)]
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.5  # short ones do not all come first


def make_split(shape):
    shards = tuple(ShardRecord(path=str(k), rows=shape[1], bytes=0, sha256="") for k in range(shape[0]))
    return SplitRecord(shards=shards, rows=shape[0] * shape[1], seconds=1, songs=1, singers=0)
