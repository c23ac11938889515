"""A crop sung in another's voice: who is told, on which pitch, and that only the model is pulled towards that voice."""

import numpy as np
import pytest
import torch
from torch import nn

from autosing.errors import InputError
from autosing.models.acoustic import load_space, new_space
from autosing.models.speaker import SpeakerEncoder
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.models.told import Told
from autosing.nn.flow_matching import FlowConfig
from autosing.schemas.sample import DatasetIndex
from support.datasets import CONTENT, make_dataset
from tests.test_singer import RATE_HZ, voice
from tests.test_train_voice import SVC, VOICE
from train.exchange import ExchangeConfig, exchange_loss, exchanged
from train.launch import train
from train.losses import voice as voice_loss
from train.losses.voice import VoiceLoss
from train.record import read_metrics
from train.tasks.svc_flow import SvcFlowSettings, TrainSvcFlow

FRAMES = 64


@pytest.fixture(autouse=True)
def encoder(monkeypatch):
    """The published network with weights of chance: which sounds are alike, it tells well enough."""
    torch.manual_seed(0)
    made = SpeakerEncoder().eval().requires_grad_(False)
    monkeypatch.setattr(voice_loss, "load_speaker_encoder", lambda: made)
    return made


def told(f0_hz_B, voiced=True):
    crops = len(f0_hz_B)
    f0_hz_BF = torch.tensor(f0_hz_B)[:, None].repeat(1, FRAMES)
    return Told(
        torch.randn(crops, CONTENT.width, FRAMES), f0_hz_BF, torch.full_like(f0_hz_BF, voiced, dtype=torch.bool),
        torch.full_like(f0_hz_BF, -20.0), nn.functional.normalize(torch.rand(crops, 256), dim=1),
    )  # fmt: skip


def test_a_crop_is_told_the_next_ones_singer_at_the_pitch_of_that_singer():
    batch = told([110.0, 330.0, 220.0])
    wave_F = 2 ** (torch.linspace(-1, 1, FRAMES) / 12)
    batch.f0_hz_BF.mul_(wave_F)
    sung = exchanged(batch, 3)
    assert sung.singer_BE.equal(batch.singer_BE[[1, 2, 0]]) and sung.content_BCF.equal(batch.content_BCF)
    torch.testing.assert_close(sung.f0_hz_BF, torch.tensor([330.0, 220.0, 110.0])[:, None] * wave_F)
    assert exchanged(batch, 1).f0_hz_BF.shape == (1, FRAMES)


def test_a_crop_without_pitch_moves_no_other_and_is_not_moved():
    batch = told([110.0, 330.0, 220.0])
    batch.voiced_BF[1] = False
    torch.testing.assert_close(exchanged(batch, 3).f0_hz_BF[:, 0], torch.tensor([110.0, 330.0, 110.0]))


def test_a_clip_is_heard_as_the_speaker_encoder_hears_it(encoder):
    sung_S = voice(1.6, 220, 900)[: 159 * 160]
    heard_E = VoiceLoss(RATE_HZ).heard(torch.from_numpy(np.stack([sung_S, 0.01 * sung_S])))
    embedded_E = torch.from_numpy(encoder.embed(sung_S, RATE_HZ))
    torch.testing.assert_close(heard_E, embedded_E.repeat(2, 1), atol=1e-3, rtol=0)


def test_the_right_voice_is_nearest_and_nobody_counts_for_nothing(encoder):
    voices = [(220, 600), (220, 1500), (330, 900)]
    sung_BS = torch.from_numpy(np.stack([voice(1.6, *own) for own in voices]))
    told_BE = torch.stack([torch.from_numpy(encoder.embed(voice(4.0, *own), RATE_HZ)) for own in voices])
    loss, centre = VoiceLoss(RATE_HZ), nn.Identity()
    right = loss(sung_BS, told_BE, centre)
    assert all(right < loss(sung_BS, told_BE.roll(k, 0), centre) for k in (1, 2))
    told_BE[1] = 0
    torch.testing.assert_close(
        loss(sung_BS, told_BE, centre), loss(sung_BS[[0, 2]], told_BE[[0, 2]], centre), atol=1e-6, rtol=0
    )
    assert loss(sung_BS, torch.zeros_like(told_BE), centre) == 0


def test_the_loss_pulls_at_encoder_and_flow_but_not_at_the_prior_and_falls(encoder):
    torch.manual_seed(0)
    space = load_space(new_space("codec_latent")).requires_grad_(False)
    model = SvcFlow(
        SvcFlowConfig(
            space=space.spec, content=(CONTENT,), centred=True, width=16, hidden=16, encoder_blocks=1, blocks=1
        )
    )
    voices_NE = [encoder.embed(voice(2.0, *own), RATE_HZ) for own in ((110, 500), (220, 1800))]
    model.who.fit(voices_NE)
    batch, config = told([110.0, 220.0]), ExchangeConfig(weight=1.0, share=1.0, frames=FRAMES)
    batch.singer_BE.copy_(torch.from_numpy(np.stack(voices_NE)))
    loss = VoiceLoss(space.spec.sample_rate_hz)
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    found = []
    for _ in range(30):
        torch.manual_seed(1)
        optimiser.zero_grad()
        value = exchange_loss(config, model, space, loss, batch)
        value.backward()
        found.append(float(value.detach()))
        optimiser.step()
    pulled = {name.split(".")[0] for name, tensor in model.named_parameters() if tensor.grad is not None}
    assert pulled == {"enter", "encoder", "flow"}
    assert found[-1] < 0.8 * found[0], found
    assert all(tensor.grad is None for tensor in encoder.parameters())


def test_training_with_it_writes_its_part_and_other_objectives_are_refused(tmp_path):
    make_dataset(tmp_path / "data", {"train": 4, "valid": 2}, duration_s=0.6, groups=VOICE)
    settings = [*SVC, "steps=1", "valid_every=1", "task.exchange={weight: 0.5, frames: 32}"]
    train("svc_flow", tmp_path / "data", tmp_path / "run", None, settings, False)
    rows = read_metrics(tmp_path / "run")
    assert any(np.isfinite(row.get("voice", np.nan)) for row in rows), rows
    given = SvcFlowSettings(exchange=ExchangeConfig(weight=1.0), flow=FlowConfig(objective="vp"))
    with pytest.raises(InputError, match=r"task\.exchange\.weight: one step makes the frames"):
        TrainSvcFlow(given, DatasetIndex.load(tmp_path / "data"))
