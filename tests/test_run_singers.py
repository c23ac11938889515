"""The singers of a run: means of the train split, told in training, kept with the model, named when converting."""

import numpy as np
import pytest

from autosing.checkpoint import load_model, save_model
from autosing.errors import InputError
from autosing.models.singers import KnownSinger, as_extra, singers_of_run
from autosing.schemas.sample import DatasetIndex
from autosing.storage.shards import read_shard
from inference.voice.singers import enrolled, find_voice, keep, parse_singers, voices_of_run
from support.datasets import make_dataset
from tests.test_train_voice import SVC, VOICE
from train.launch import train
from train.singers import Singers, singers_of
from train.tasks.sm2a import SM2ASettings, TrainSM2A
from train.tasks.svc_flow import SvcFlowSettings, TrainSvcFlow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("singers")
    make_dataset(folder, {"train": 8, "valid": 2}, duration_s=0.6, rows_per_shard=3, groups=VOICE)
    return folder


def samples_of(data, split):
    index = DatasetIndex.load(data)
    return [sample for shard in index.splits[split].shards for _, sample in read_shard(data / shard.path)]


def test_a_singers_mean_is_of_length_one_between_its_clips_and_the_same_each_time(data):
    singers = singers_of(data, DatasetIndex.load(data))
    assert [singer.name for singer in singers] == ["train-singer0", "train-singer1"]
    assert singers == singers_of(data, DatasetIndex.load(data))
    for singer in singers:
        own = [sample.array("singer") for sample in samples_of(data, "train") if sample.meta.singer == singer.name]
        wanted_E = np.mean(own, axis=0) / np.linalg.norm(np.mean(own, axis=0))
        np.testing.assert_allclose(singer.vector_E, wanted_E, atol=1e-6)
        assert (singer.clips, singer.seconds) == (4, 2.4)
        assert singer.range_hz == pytest.approx((220, 220, 220), rel=0.003), "within a bin of 5 cents"


def test_sm2a_keeps_its_singers_where_it_is_asked_to(tmp_path):
    make_dataset(tmp_path, {"train": 8}, duration_s=0.6, groups=TrainSM2A.members)
    index = DatasetIndex.load(tmp_path)
    for asked in (False, True):
        task = TrainSM2A(SM2ASettings(size="debug", semantic=None, keep_singers=asked), index)
        task.survey(tmp_path)
        file = task.export()
        save_model(tmp_path / "run", file.kind, file.config, file.state, file.extra)
        found = {singer.name: singer.range_hz for singer in singers_of_run(tmp_path / "run")}
        assert found == ({"train-singer0": None, "train-singer1": None} if asked else {})


@pytest.mark.parametrize("told", ["clip", "mean"])
def test_training_tells_the_clips_own_vector_or_its_singers_mean(data, told):
    task = TrainSvcFlow(SvcFlowSettings(singer=told, crop_frames=32, sound_weight=0), DatasetIndex.load(data))
    task.survey(data)
    means = {singer.name: singer.vector_E for singer in task.singers.known}
    for split in ("train", "valid"):
        for sample in samples_of(data, split):
            item = task.prepare(sample, np.random.default_rng(0))
            own_E = sample.array("singer")
            wanted_E = means.get(sample.meta.singer, own_E) if told == "mean" else own_E
            np.testing.assert_array_equal(item["singer"], wanted_E)
            assert np.allclose(item["singer"], own_E) == (told == "clip" or split == "valid")


def test_a_share_of_the_draws_tells_the_mean(data):
    singers = Singers("mean")
    singers.survey(data, DatasetIndex.load(data))
    sample, rng = samples_of(data, "train")[0], np.random.default_rng(0)
    drawn = [singers.drawn(sample, rng, 0.3) for _ in range(200)]
    means = sum(np.array_equal(drawn_E, singers.of(sample)) for drawn_E in drawn)
    assert 40 <= means <= 80 and all(np.array_equal(singers.drawn(sample, rng, 1), singers.of(sample)) for _ in "ab")
    owns = sum(np.array_equal(drawn_E, sample.array("singer")) for drawn_E in drawn)
    assert means + owns == 200


def test_a_run_keeps_its_singers_whatever_the_workers_and_they_are_named_like_enrolled_voices(
    data, tmp_path, monkeypatch
):
    states = []
    for name, workers in (("alone", 0), ("other", 1)):
        settings = [*SVC, "task.singer=mean", "task.sound_weight=0", "steps=2", f"workers={workers}"]
        train("svc_flow", data, tmp_path / name, None, settings, False)
        states.append(load_model(tmp_path / name, "svc_flow"))
    assert states[0].extra["singers"] == states[1].extra["singers"]
    assert all(tensor.equal(states[1].state[name]) for name, tensor in states[0].state.items())

    monkeypatch.setattr("inference.voice.singers.home", lambda: tmp_path / "home")
    run = tmp_path / "alone"
    trained = voices_of_run(run)
    assert [voice.name for voice in trained] == ["train-singer0", "train-singer1"]
    assert find_voice("train-singer1", run=run) == trained[1] and trained[1].range.middle_hz == pytest.approx(220, 0.01)
    both = parse_singers(["train-singer0=1", "train-singer1=1"], run=run)
    mean_E = trained[0].vector_E + trained[1].vector_E
    np.testing.assert_allclose(both.vector_E, mean_E / np.linalg.norm(mean_E), atol=1e-6)
    keep("own", trained[0])
    keep("train-singer1", trained[0])
    assert find_voice("train-singer1", run=run).vector == trained[0].vector, "an enrolled voice comes first"
    assert [voice.name for voice in enrolled()] == ["own", "train-singer1"]
    with pytest.raises(InputError, match=r"enrolled voice \(own, train-singer1\), nor a singer of .*alone \(train-sin"):
        find_voice("nobody", run=run)


def test_a_vector_survives_its_text_bit_for_bit_and_runs_of_before_have_no_singers(data, tmp_path):
    vector_E = np.random.default_rng(0).standard_normal(256).astype(np.float32)
    singer = KnownSinger.of("ä b", vector_E, 1, 1.0, None)
    assert KnownSinger.build(as_extra([singer])["singers"][0]) == singer
    np.testing.assert_array_equal(singer.vector_E, vector_E)
    save_model(tmp_path / "run", "svc_flow", {}, {})
    assert singers_of_run(tmp_path / "run") == ()


def test_vectors_that_cancel_out_are_refused(data, monkeypatch):
    monkeypatch.setattr("autosing.schemas.sample.Sample.array", lambda self, name: np.zeros(256, np.float32))
    with pytest.raises(InputError, match="cancel out"):
        singers_of(data, DatasetIndex.load(data))
