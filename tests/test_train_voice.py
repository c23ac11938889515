"""Training of conversion models and vocoders: runs resume, become voices, and a discriminator moves no generator."""

import numpy as np
import pytest
import torch

from autosing.checkpoint import load_model
from autosing.errors import InputError
from autosing.models.svc_flow import load_svc_flow
from autosing.models.told import Sampling, Told
from autosing.models.vocoder import load_vocoder
from autosing.nn.convnext_flow import fold_frames
from autosing.schemas.records import Part
from autosing.schemas.sample import DatasetIndex
from autosing.storage.shards import read_shard
from support.datasets import make_dataset
from train.launch import train
from train.losses.flow import FlowLossSettings
from train.record import read_metrics
from train.singers import Singers
from train.tasks.svc_flow import SvcFlowSettings, TrainSvcFlow
from train.tasks.vocoder import TrainVocoder, VocoderSettings, blurred
from train.voice_crops import CropConfig, VoiceCrops

VOICE = ("meta", "audio", "pitch", "loudness", "content", "singer")
SVC = [
    "task.crop_frames=32", "task.model={width: 16, hidden: 16, encoder_blocks: 1, blocks: 1}", "task.heard_weight=0",
    "batch_size=2", "lr=0.003", "schedule=const", "log_every=1",
]  # fmt: skip
VOCODER = [
    "task.crop_frames=16", "task.adversarial_from=1", "task.model.width=16", "task.model.hidden=16",
    "task.model.blocks=1", "batch_size=2", "lr=0.001", "schedule=const", "log_every=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    make_dataset(folder, {"train": 4, "valid": 2}, duration_s=0.6, groups=VOICE)
    return folder


@pytest.mark.parametrize("flow", ["{objective: rectified}", "{objective: cfm, around_prior: true}", "{objective: vp}"])
def test_a_conversion_run_resumes_as_if_never_stopped_and_becomes_a_voice(data, tmp_path, flow):
    def run(name: str, steps: int, resume: bool = False) -> dict[str, torch.Tensor]:
        train(
            "svc_flow",
            data,
            tmp_path / name,
            None,
            [*SVC, f"task.flow={flow}", f"steps={steps}", "save_every=2"],
            resume,
        )
        return load_model(tmp_path / name, "svc_flow").state

    whole = run("whole", 4)
    run("cut", 2)
    resumed = run("cut", 4, resume=True)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    losses = [row["loss"] for row in read_metrics(tmp_path / "whole") if "loss" in row]
    assert len(losses) == 4 and np.isfinite(losses).all()
    voice = load_svc_flow(tmp_path / "whole")
    frames = 20
    told = Told(
        torch.randn(1, 16, frames), torch.full((1, frames), 200.0), torch.ones(1, frames, dtype=torch.bool),
        torch.full((1, frames), -20.0), torch.randn(1, 256),
    )  # fmt: skip
    x_BDF = voice.sing(told, Sampling(steps=2))
    assert x_BDF.shape == (1, voice.space.spec.width, frames) and x_BDF.isfinite().all()


def test_what_is_decoded_is_a_window_of_the_crop_at_its_own_place_and_only_after_the_step_asked_for(data, tmp_path):
    train("svc_flow", data, tmp_path / "run", None, [*SVC, "steps=3", "valid_every=1", "task.sound_after=3"], False)
    rows = read_metrics(tmp_path / "run")
    assert ["sound" in row for row in rows if "loss" in row] == [False, False, True]
    assert all("valid/sound" in row for row in rows if "valid/loss" in row), "validation losses stay comparable"
    task = TrainSvcFlow(SvcFlowSettings(crop_frames=128, sound_frames=32, heard_weight=0), DatasetIndex.load(data))
    time_S = torch.arange(128 * 256) / 24000
    rising_S = 0.2 * torch.sin(2 * torch.pi * (150 * time_S + 0.5 * 300 * time_S**2))  # 150 to 560 Hz
    batch = {"audio": rising_S[None], "f0": 150 + 300 * time_S[128::256][None]}
    frames_BDT = fold_frames(task.space.frames(batch["audio"], batch["f0"]), 2)
    for _ in range(4):
        made_BS, true_BS = task.flow_losses.window(task.model, frames_BDT, batch["audio"], batch["f0"])
        assert made_BS.shape == true_BS.shape == (1, 32 * 256)
        near, far = (
            task.flow_losses.spectral(made_BS, x_BS)[0]
            for x_BS in (true_BS, batch["audio"].roll(64 * 256)[:, : 32 * 256])
        )
        assert near < far
    task.flow_losses.settings = FlowLossSettings(sound_share=0.5, sound_frames=32)
    made_BS, _ = task.flow_losses.window(
        task.model, frames_BDT.expand(4, -1, -1), batch["audio"].expand(4, -1), batch["f0"].expand(4, -1)
    )
    assert len(made_BS) == 2


def test_content_may_be_heard_anew_from_another_voice(data, tmp_path, monkeypatch):
    heard = []

    def hear(audio):
        heard.append(audio.samples_CS.copy())
        return np.zeros((round(audio.duration_s * 50) + 1, 16), np.float16)

    monkeypatch.setattr("train.voice_crops.load_content", lambda parts, files: hear)
    train("svc_flow", data, tmp_path / "run", None, [*SVC, "steps=1", "task.disguise_share=1"], False)
    assert len(heard) >= 2 and np.abs(heard[0]).max() > 0


def test_of_two_encoders_one_is_dropped_in_training_alone(data):
    index = DatasetIndex.load(data)
    width = index.features["content"].parts[0].width
    parts = tuple(Part(name=f"whisper-{k}", layer=1, width=width // 2, digest="0" * 64) for k in range(2))
    (_, sample), *_ = read_shard(data / index.splits["train"].shards[0].path)
    crops = VoiceCrops(CropConfig(frames=32, drop_encoder=0.5), parts, 256, 24_000, Singers("clip"))
    cut = [[crops.cut(sample, np.random.default_rng(k), training)["content"] for k in range(40)]
           for training in (True, False)]  # fmt: skip
    silent = [[not content_CF[half].any() for half in (slice(width // 2), slice(width // 2, None))]
              for content_CF in cut[0]]  # fmt: skip
    assert 10 <= sum(map(any, silent)) <= 30 and not any(map(all, silent))
    assert {tuple(one) for one in silent} == {(False, False), (True, False), (False, True)}
    assert all(content_CF.any(1).all() for content_CF in cut[1])


def test_a_dataset_without_content_is_refused(tmp_path):
    make_dataset(tmp_path / "data", {"train": 2, "valid": 1}, groups=("meta", "audio", "pitch", "singer"))
    with pytest.raises(InputError, match="content"):
        train("svc_flow", tmp_path / "data", tmp_path / "run", None, [*SVC, "steps=1"], False)


def test_a_vocoder_resumes_is_loaded_and_may_be_tuned(data, tmp_path):
    def run(name: str, steps: int, *more: str, resume: bool = False) -> dict[str, torch.Tensor]:
        settings = [*VOCODER, f"steps={steps}", "save_every=2", *more]
        train("vocoder", data, tmp_path / name, None, settings, resume)
        return load_model(tmp_path / name, "vocoder").state

    whole = run("whole", 4)
    run("cut", 2)
    resumed = run("cut", 4, resume=True)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    names = {name for row in read_metrics(tmp_path / "whole") for name in row}
    assert {"generator/adversarial", "generator/matching", "discriminator/loss"} <= names
    vocoder = load_vocoder(tmp_path / "whole")
    assert vocoder(torch.zeros(1, 100, 7), torch.full((1, 7), 200.0)).shape == (1, 7 * 256)
    tuned = run("tuned", 1, f"task.begin_with={tmp_path / 'whole'}")
    assert all(not torch.equal(tuned[name], whole[name]) for name in whole if name.endswith("weight")), "every part"


def test_a_model_of_mel_frames_learns_with_the_sound_of_its_vocoder_or_without_any(data, tmp_path):
    train("vocoder", data, tmp_path / "voc", None, [*VOCODER, "steps=1", "task.model.mel.bands=40"], False)
    mel = [*SVC, "task.space=log_mel", "steps=1"]
    with pytest.raises(InputError, match="no vocoder is given"):
        train("svc_flow", data, tmp_path / "none", None, mel, False)
    train("svc_flow", data, tmp_path / "mute", None, [*mel, "task.sound_weight=0"], False)
    train("svc_flow", data, tmp_path / "run", None, [*mel, f"task.vocoder={tmp_path / 'voc'}"], False)
    assert "sound" in next(row for row in read_metrics(tmp_path / "run") if "loss" in row)
    assert load_model(tmp_path / "run", "svc_flow").config["space"]["mel"]["bands"] == 40, "the vocoder's"
    with pytest.raises(InputError, match=r"bands 40 \(need 100\)"):
        train(
            "svc_flow", data, tmp_path / "odd", None, [*mel, f"task.vocoder={tmp_path / 'voc'}", "task.mel={}"], False
        )


def test_the_discriminators_loss_reaches_no_generator(data):
    task = TrainVocoder(VocoderSettings(crop_frames=16), DatasetIndex.load(data))
    batch = {"audio": 0.1 * torch.randn(1, 4096), "f0": torch.full((1, 16), 200.0), "blur": torch.ones(1)}
    phase, loss, _ = next(task.losses(batch, 1, {}))
    loss.backward()
    assert phase == "discriminator"
    assert all(parameter.grad is None for parameter in task.generator.parameters())
    assert any(parameter.grad is not None for parameter in task.discriminators.parameters())


def test_blur_smooths_some_clips_and_leaves_others():
    torch.manual_seed(0)
    mel_BMF = torch.randn(2, 20, 30)
    made_BMF = blurred(mel_BMF, torch.tensor([0.0, 1.0]))
    assert torch.equal(made_BMF[0], mel_BMF[0])
    assert made_BMF[1].std() < 0.6 * mel_BMF[1].std()
    torch.testing.assert_close(blurred(torch.ones(1, 20, 30), torch.ones(1)), torch.ones(1, 20, 30))
