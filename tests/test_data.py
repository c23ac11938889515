"""The stream: one order for any ranks and workers, nothing dropped, nothing twice, resumed where it stood."""

import os
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.audio.io import Audio, encode
from autosing.errors import InputError
from autosing.schemas.sample import Sample, SampleMeta, ShardRecord, SplitRecord
from support.datasets import make_dataset
from train.data import Batches, SampleStream
from train.order import Lane, Order, Position

META = SampleMeta("s", None, "en", None, 1.0, [], [])


class Names:
    """A task whose items are the samples' names and a draw."""

    name, members, length_file = "names", ("semantic",), "semantic.npy"
    without: tuple[str, ...] = ()

    def prepare(self, sample, rng):
        if sample.id in self.without:
            return None
        return {"id": sample.id, "draw": int(rng.integers(1 << 30)), "sum": int(sample.array("semantic").sum())}

    def collate(self, items):
        return {"ids": [item["id"] for item in items], "draws": [(item["draw"], item["sum"]) for item in items]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """13 clips in 4 shards: no number of ranks or workers divides them."""
    out = tmp_path_factory.mktemp("made")
    return out, make_dataset(out, {"train": 13}, rows_per_shard=4, duration_s=0.5, groups=("meta", "semantic"))


def lane_of(made, workers=0, rank=0, world=1, start=0, chunk=1, seed=5, task=None, **how):
    """`start`: a Position, or how many of each lane are done. `chunk`: samples of a batch."""
    path, index = made
    position = start if isinstance(start, Position) else Position(start * world)
    lane = Lane(rank, world, position, chunk)
    stream = SampleStream(path, index.splits["train"], task or Names(), lane, seed, **how)
    return Batches(stream, workers)


def names(batches, count):
    return list(islice((name for batch in batches for name in batch["ids"]), count))


def test_an_epoch_holds_every_sample_once_and_another_seed_or_epoch_another_order(made):
    order = names(lane_of(made), 39)
    epochs = [order[:13], order[13:26], order[26:]]
    assert all(len(set(epoch)) == 13 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert names(lane_of(made), 39) == order != names(lane_of(made, seed=6), 39)


@pytest.mark.parametrize(("world", "workers"), [(1, 2), (2, 0), (3, 0), (4, 3)])
def test_any_ranks_and_workers_share_out_the_same_order(made, world, workers):
    """AutoSing kept floor(rows / workers) rows of each worker (bug 13), and gave small sets twice (bug 19)."""
    whole = names(lane_of(made), 26)
    count = -(-26 // world)
    lanes = [names(lane_of(made, workers=workers, rank=rank, world=world), count) for rank in range(world)]
    assert [lanes[n % world][n // world] for n in range(26)] == whole


def test_a_finite_pass_with_more_workers_than_batches_gives_each_sample_once(made):
    found = names(lane_of(made, workers=3, epochs=1, shuffle=False, chunk=5), 99)
    assert found == [f"train{k // 2}-{k % 2}" for k in range(13)]


@pytest.mark.parametrize(("start", "workers"), [(5, 0), (13, 0), (17, 2)])
def test_a_stream_goes_on_where_it_stood(made, start, workers):
    whole = [batch["draws"] for batch in islice(lane_of(made), 30)]
    stream = lane_of(made, workers=workers, start=start)
    assert [batch["draws"] for batch in islice(stream, 30 - start)] == whole[start:]
    assert stream.taken == 30 - start


def test_a_cache_changes_nothing_and_ends_the_reading(made, monkeypatch):
    import train.data

    plain = [batch["draws"] for batch in islice(lane_of(made), 39)]
    cached = lane_of(made, cache_bytes=1 << 20)
    first = [batch["draws"] for batch in islice(cached, 13)]
    monkeypatch.setattr(train.data.Shard, "sample", lambda *_: pytest.fail("read a sample of a cached epoch"))
    assert first + [batch["draws"] for batch in islice(cached, 26)] == plain


def test_useless_samples_are_counted_and_a_useless_dataset_is_refused(made):
    task = Names()
    task.without = ("train0-0", "train6-0")
    batches = lane_of(made, task=task)
    assert set(names(batches, 22)) == {f"train{k // 2}-{k % 2}" for k in range(13)} - set(task.without)
    assert batches.skipped == 4 - (26 - batches.taken)
    task.without = tuple(f"train{k // 2}-{k % 2}" for k in range(13))
    with pytest.raises(InputError, match="can use no sample of the train split"):
        next(lane_of(made, task=task))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_is_smaller_by_what_is_of_no_use_and_no_other_batch_changes(made, workers):
    whole = [batch["draws"] for batch in islice(lane_of(made, chunk=3), 9)]
    flat = names(lane_of(made), 27)
    task = Names()
    task.without = (flat[1], *flat[6:9])
    batches = lane_of(made, workers=workers, chunk=3, task=task)
    kept = [[draw for n, draw in enumerate(draws) if flat[3 * k + n] not in task.without] for k, draws in
            enumerate(whole)]  # fmt: skip
    assert [batch["draws"] for batch in islice(batches, 8 - kept.count([]))] == [draws for draws in kept if draws][:7]
    assert batches.taken == 24 or kept.count([]) != 1


class Caller(Names):
    """Says which process collates."""

    def collate(self, items):
        return {"pid": os.getpid(), "ids": [item["id"] for item in items]}


def test_workers_collate(made):
    own = {workers: next(lane_of(made, workers=workers, task=Caller()))["pid"] == os.getpid() for workers in (0, 1)}
    assert own == {0: True, 1: False}


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(1, 4), st.integers(0, 3), st.integers(0, 4))
@settings(max_examples=50)
def test_the_order_is_a_permutation_whatever_the_shards(sizes, window, epoch, bucket):
    order = Order(split_with(sizes), 3, window, bucket)
    flat = addresses(order, epoch, sizes=lambda shard: [7 * shard + row for row in range(sizes[shard])])
    assert sorted(flat) == [(k, row) for k, n in enumerate(sizes) for row in range(n)]


def split_with(sizes):
    shards = tuple(ShardRecord(path=str(k), rows=n, bytes=0, sha256="") for k, n in enumerate(sizes))
    return SplitRecord(shards=shards, rows=sum(sizes), seconds=0, songs=0, singers=0)


def addresses(order, epoch, sizes=None):
    windows = [order.addresses(epoch, first, shards, sizes) for first, _, shards in order.windows(epoch)]
    return [tuple(address) for address in np.concatenate(windows).tolist()]


def test_audio_kept_in_memory_is_the_audio_that_was_decoded():
    rng = np.random.default_rng(0)
    flac = encode(Audio(rng.uniform(-1, 1, (2, 999)).astype(np.float32), 8000))
    sample = Sample("a", META, {"vocals.flac": flac, "pitch.npy": np.arange(9.0)})
    kept = sample.keeping()
    for _ in range(2):
        np.testing.assert_array_equal(kept.audio().samples_CS, sample.audio().samples_CS)
    assert kept.num_bytes == 2 * 999 * 2 + 9 * 8  # 16 bits
    assert kept.array("pitch").base is None
