"""Clips sung by other voices in training, and singers told by where they lie from their centre."""

import numpy as np
import pytest
import torch

from autosing.models.speaker import load_speaker_encoder
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.nn.centred import Centred
from autosing.schemas.sample import DatasetIndex
from autosing.storage.shards import read_shard
from support.datasets import make_dataset
from tests.test_train_voice import VOICE
from train.recast import RecastConfig, Recaster
from train.tasks.svc_flow import SvcFlowSettings, TrainSvcFlow

RATE = 24_000


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recast")
    make_dataset(folder, {"train": 2, "valid": 1}, duration_s=1.2, groups=VOICE)
    return folder


@pytest.fixture(scope="module")
def sample(data):
    shard = DatasetIndex.load(data).splits["train"].shards[0]
    return next(iter(read_shard(data / shard.path)))[1]


def test_a_recast_clip_is_as_long_and_loud_its_voice_another_and_the_same_each_time(sample):
    crop_S = sample.audio("vocals").resampled(RATE).mono_S()
    recast = Recaster(RecastConfig())
    (one_S, one_E), (other_S, other_E) = (recast(sample, voice, crop_S, RATE, 0.0) for voice in (0, 1))
    again_S, again_E = Recaster(RecastConfig())(sample, 0, crop_S, RATE, 0.0)
    np.testing.assert_array_equal(one_S, again_S)
    np.testing.assert_array_equal(one_E, again_E)
    assert len(one_S) == len(crop_S) and not np.allclose(one_S, other_S)
    for made_S in (one_S, other_S):
        assert np.square(made_S).mean() == pytest.approx(np.square(crop_S).mean(), rel=1e-4)
    own_E = load_speaker_encoder().embed(crop_S, RATE)
    assert np.linalg.norm(one_E) == pytest.approx(1, abs=1e-5)
    assert one_E @ own_E < 0.98 and one_E @ other_E < 0.98
    heard_E = load_speaker_encoder().embed(one_S, RATE)
    assert heard_E @ one_E > max(heard_E @ own_E, heard_E @ other_E), "the vector is that of the sound"


def test_in_training_the_content_stays_the_singers_own_and_in_validation_nothing_is_recast(data, sample):
    def item(share: float, training: bool) -> dict[str, np.ndarray]:
        settings = SvcFlowSettings(crop_frames=64, sound_weight=0, recast=RecastConfig(share=share))
        task = TrainSvcFlow(settings, DatasetIndex.load(data))
        task.modules.train(training)
        return task.prepare(sample, np.random.default_rng(3))

    plain, recast, valid, shown = item(0.0, True), item(1.0, True), item(1.0, False), item(0.0, False)
    np.testing.assert_array_equal(recast["f0"], plain["f0"])
    np.testing.assert_array_equal(recast["content"], plain["content"])
    assert not np.allclose(recast["singer"], plain["singer"]) and not np.allclose(recast["audio"], plain["audio"])
    assert all(np.array_equal(valid[name], shown[name]) for name in shown)


def test_validation_hears_content_as_it_is(data, sample):
    task = TrainSvcFlow(SvcFlowSettings(crop_frames=32, sound_weight=0, disguise_share=1.0), DatasetIndex.load(data))
    task.modules.eval()
    task._hear = lambda: pytest.fail("a validation clip was disguised")
    task.prepare(sample, np.random.default_rng(0))


def test_singers_are_told_from_their_centre_and_nobody_stays_nobody(data):
    rng = np.random.default_rng(0)
    near_NE = rng.standard_normal(256) + 0.3 * rng.standard_normal((40, 256))
    unit_NE = near_NE / np.linalg.norm(near_NE, axis=1, keepdims=True)
    centred = Centred(256)
    centred.fit(list(unit_NE))
    told_NE = centred(torch.from_numpy(unit_NE).float())
    assert float(told_NE.mean(0).abs().max()) < 1e-3 and float(told_NE.square().mean()) == pytest.approx(1, rel=1e-3)
    assert not centred(torch.zeros(1, 256)).any()
    alone = Centred(256)
    alone.fit([unit_NE[0]])
    assert alone(torch.from_numpy(unit_NE[1:2]).float()).abs().max() < 64, "one singer's clips are not blown up"

    task = TrainSvcFlow(SvcFlowSettings(crop_frames=32, sound_weight=0), DatasetIndex.load(data))
    task.survey(data)
    mean_E = np.mean([singer.vector_E for singer in task.singers.known], axis=0)
    np.testing.assert_allclose(task.model.who.centre_E.numpy(), mean_E, atol=1e-6)
    older = SvcFlow(
        SvcFlowConfig(space=task.model.config.space, content=task.model.config.content, width=16, hidden=16)
    )
    assert not any(name.startswith("who") for name in older.state_dict()), "runs of before are read as they were"


def test_guidance_by_the_singer_goes_on_along_the_line_from_nobody(data):
    settings = SvcFlowSettings(sound_weight=0, model={"width": 16, "hidden": 16, "encoder_blocks": 1, "blocks": 1})
    model = TrainSvcFlow(settings, DatasetIndex.load(data)).model.eval()
    torch.manual_seed(0)
    channels = model.config.fold * model.config.space.width
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    h_BWT, singer_BE, x_BDT, t_B = (
        torch.randn(1, 16, 5),
        torch.randn(1, 256),
        torch.randn(1, channels, 5),
        torch.tensor([0.5]),
    )
    zero_BE = torch.zeros_like(singer_BE)
    mu_BDT = model.prior(h_BWT, singer_BE)
    told, nobodys = (model.estimator(h_BWT, mu, s)(x_BDT, t_B) for mu, s in (
        (mu_BDT, singer_BE), (model.prior(h_BWT, zero_BE), zero_BE)))  # fmt: skip
    made = model.guided_estimator(h_BWT, mu_BDT, singer_BE, 1.0, 3.0)(x_BDT, t_B)
    torch.testing.assert_close(made, nobodys + 3 * (told - nobodys))
    assert not torch.allclose(told, nobodys)
