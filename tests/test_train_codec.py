"""The codec's trainer: what it learns from, and that a run becomes a codec."""

import numpy as np
import pytest
import torch
import whisper

from autosing.audio.pitch import pitch_at
from autosing.checkpoint import load_model, save_model
from autosing.codecs import codec_digest, load_codec
from autosing.errors import InputError
from autosing.models.codec import CodecConfig, CodecModel
from support.datasets import make_dataset
from train.augment import equalise, to_peak, varispeed, with_silence
from train.launch import train
from train.losses.perceptual import PerceptualLoss
from train.losses.spectral import SpectralLoss
from train.record import read_metrics
from train.tasks.codec import TrainCodec, _begin_with

TINY = {
    "strides": [4, 2, 2, 2, 1], "codebook_sizes": [16, 512, 16, 16, 16],
    "latent": 8, "encoder_width": 16, "encoder_hidden": 16,
    "encoder_blocks": 1, "decoder_width": 16, "decoder_hidden": 16, "decoder_blocks": 1,
}  # fmt: skip
SMALL = [f"task.model.{key}={value}" for key, value in TINY.items()]


def test_a_run_becomes_a_codec_and_a_resumed_one_the_same(tmp_path):
    make_dataset(tmp_path / "data", {"train": 4, "valid": 2}, duration_s=0.6, groups=("meta", "pitch", "audio"))
    settings = [*SMALL, "task.unquantised_steps=3", "task.crop_blocks=8", "task.reservoir_clips=8", "batch_size=2"]
    settings += ["save_every=4", "lr=0.003", "log_every=1", "schedule=const", "task.instrumental_share=0"]

    def run(name: str, steps: int, resume: bool = False) -> str:
        train("codec", tmp_path / "data", tmp_path / name, None, [*settings, f"steps={steps}"], resume)
        return codec_digest(str(tmp_path / name))

    whole = run("whole", 6)
    run("cut", 4)
    assert run("cut", 6, resume=True) == whole, "codebooks, counters and reservoir are resumed too"
    losses = [row["loss"] for row in read_metrics(tmp_path / "whole") if "loss" in row]
    assert len(losses) == 6 and np.isfinite(losses).all()
    codec = load_codec(str(tmp_path / "whole"))
    codes = codec.encode(torch.linspace(0, 0.5, 5000) * torch.randn(1, 5000))
    assert len(codes[2].unique()) > 1, "the codebooks have started"
    assert torch.isfinite(codec.decode(codes)).all()


def test_latents_of_a_refused_update_do_not_reach_the_codebooks(tmp_path, monkeypatch):
    make_dataset(tmp_path / "data", {"train": 4, "valid": 0}, duration_s=0.6, groups=("meta", "pitch", "audio"))
    loss = TrainCodec.loss

    def spoilt(self, batch, step, counts):
        return loss(
            self, batch | {"audio_BS": batch["audio_BS"] * (float("nan") if step in (1, 4) else 1)}, step, counts
        )

    monkeypatch.setattr(TrainCodec, "loss", spoilt)
    settings = [*SMALL, "task.unquantised_steps=3", "task.crop_blocks=8", "task.reservoir_clips=2", "batch_size=2"]
    settings += ["steps=6", "log_every=1", "task.instrumental_share=0", "device=cpu"]
    train("codec", tmp_path / "data", tmp_path / "run", None, settings)
    assert [row["refused"] for row in read_metrics(tmp_path / "run")] == [1, 0, 0, 1, 0, 0]
    state = load_model(tmp_path / "run", "codec").state
    assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_a_run_may_begin_with_the_networks_of_another_and_codebooks_of_its_own(tmp_path):
    make_dataset(tmp_path / "data", {"train": 2, "valid": 1}, duration_s=0.6, groups=("meta", "pitch", "audio"))
    settings = [*SMALL, "task.unquantised_steps=2", "task.crop_blocks=8", "task.reservoir_clips=4", "batch_size=2"]
    settings += ["steps=3", "lr=1e-12", "schedule=const", "task.instrumental_share=0"]
    train("codec", tmp_path / "data", tmp_path / "first", None, settings, False)
    first = load_model(tmp_path / "first", "codec").state
    more = ["task.model.strides=[4,2,2,2,1,1]", "task.model.codebook_sizes=[16,512,16,16,16,16]"]
    settings += [f"task.begin_with={tmp_path / 'first'}"]
    train("codec", tmp_path / "data", tmp_path / "second", None, [*settings, *more], False)
    second = load_model(tmp_path / "second", "codec").state
    assert len([name for name in second if name.endswith("vectors_VD")]) == 5
    networks = [name for name in first if not name.startswith("quantizer.")]
    assert all(torch.equal(first[name], second[name]) for name in networks), "a rate of 1e-12 moves nothing in fp16"
    vectors_VD = second["quantizer.levels.4.vectors_VD"]
    assert vectors_VD.norm() > 0, "codebooks begin with what the latents are, not with zeros"
    with pytest.raises(InputError, match="other blocks"):
        train("codec", tmp_path / "data", tmp_path / "third", None, [*settings, "task.model.decoder_blocks=2"], False)


def test_a_wider_latent_begins_with_what_the_narrow_one_knew(tmp_path):
    narrow = CodecModel(CodecConfig.build(TINY)).eval()
    save_model(tmp_path, "codec", narrow.config.dump(), narrow.state_dict())
    wide = CodecModel(CodecConfig.build({**TINY, "latent": 12})).eval()
    with torch.no_grad():
        wide.to_latent.weight[8:], wide.to_latent.bias[8:] = 0, 0
        wide.cepstrum.weight[8:] = 0
    _begin_with(wide, tmp_path)
    audio_BS, code_BN = 0.1 * torch.randn(1, 2048), torch.full((1, 4), 200)
    narrow_BDF, wide_BDF = narrow.latent(audio_BS, code_BN), wide.latent(audio_BS, code_BN)
    torch.testing.assert_close(wide_BDF[:, :8], narrow_BDF)
    torch.testing.assert_close(wide.decode_latent(wide_BDF, code_BN), narrow.decode_latent(narrow_BDF, code_BN))


def test_a_codec_of_fewer_levels_gives_a_prefix_of_bits_and_sounds_nearer_with_more(tmp_path):
    make_dataset(tmp_path / "data", {"train": 2, "valid": 1}, duration_s=0.6, groups=("meta", "pitch", "audio"))
    settings = [*SMALL, "task.unquantised_steps=2", "task.crop_blocks=8", "task.reservoir_clips=4", "batch_size=2"]
    settings += [
        "task.model.strides=[4,2,2,1,1]",
        "steps=5",
        "schedule=const",
        "task.instrumental_share=0",
        "log_every=1",
    ]
    settings += ["task.level_choices=[2,4]", "task.unquantised_share=0.3", "task.latent_noise=0.1"]
    train("codec", tmp_path / "data", tmp_path / "run", None, settings, False)
    assert np.isfinite([row["loss"] for row in read_metrics(tmp_path / "run") if "loss" in row]).all()
    whole = load_codec(str(tmp_path / "run"))
    coarse = whole.coarse(4, "coarse")
    audio_BS = 0.1 * torch.randn(1, 8192)
    codes = coarse.encode(audio_BS)
    assert [level.shape[1] for level in codes] == [8, 16, 16, 32]
    assert coarse.spec.name == "coarse" and len(coarse.spec.strides) == 4
    assert coarse.decode(codes).shape == whole.decode(whole.encode(audio_BS)).shape
    torch.testing.assert_close(coarse.decode(codes), whole.decode(codes))
    latent = load_model(tmp_path / "run", "codec").extra["latent"]
    assert len(latent["mean"]) == len(latent["deviation"]) == 8
    with pytest.raises(InputError, match="levels asked"):
        whole.coarse(1, "without pitch")


@pytest.fixture
def listener(monkeypatch):
    """A recogniser of random weights in Whisper's shape."""
    torch.manual_seed(0)
    dims = whisper.model.ModelDimensions(80, 1500, 64, 2, 2, 51864, 448, 64, 2, 1)
    model = whisper.model.Whisper(dims).eval().requires_grad_(False)
    monkeypatch.setattr("train.losses.perceptual.load_encoder", lambda name: model.encoder)
    return model


def test_what_is_heard_is_zero_for_the_same_sound_and_grows_with_noise(listener):
    heard = PerceptualLoss(24000, "any")
    sound_BS, noise_BS = 0.1 * torch.randn(2, 1, 12000)
    assert heard(sound_BS, sound_BS) < 1e-5
    assert heard(sound_BS + noise_BS, sound_BS) > heard(sound_BS + 0.1 * noise_BS, sound_BS) > 0
    made_BS = torch.zeros(1, 12000, requires_grad=True)
    heard(made_BS, sound_BS).backward()
    assert torch.isfinite(made_BS.grad).all()
    assert made_BS.grad.norm() > 0
    assert not heard.state_dict().keys() & listener.state_dict().keys(), "the listener is no part of a checkpoint"
    assert not list(heard.parameters()), "nor is it trained"


def test_a_listener_joins_the_losses(tmp_path, listener):
    make_dataset(tmp_path / "data", {"train": 2, "valid": 1}, duration_s=0.6, groups=("meta", "pitch", "audio"))
    settings = [*SMALL, "task.crop_blocks=8", "batch_size=2", "steps=1", "task.heard_weight=2", "log_every=1"]
    train("codec", tmp_path / "data", tmp_path / "run", None, [*settings, "task.instrumental_share=0"], False)
    assert read_metrics(tmp_path / "run")[0]["heard"] > 0


def test_spectra_of_the_same_sound_are_not_apart_and_silence_gives_finite_gradients():
    loss = SpectralLoss(24000)
    sound_BS = 0.1 * torch.randn(1, 6000)
    assert loss(sound_BS, sound_BS)[0] < 1e-4
    assert loss(sound_BS, 0.5 * sound_BS)[0] > loss(sound_BS, 0.9 * sound_BS)[0] > 0
    made_BS = torch.zeros(1, 6000, requires_grad=True)
    loss(made_BS, torch.zeros(1, 6000))[0].backward()
    assert torch.isfinite(made_BS.grad).all()


def test_speed_moves_pitch_and_the_pitch_track_with_it():
    rate, speed = 24000, 1.25
    tone_S = np.sin(2 * np.pi * 200 * np.arange(round(rate * speed)) / rate).astype(np.float32)
    moved_S = varispeed(tone_S, rate)
    assert len(moved_S) == rate
    assert np.abs(np.fft.rfft(moved_S)).argmax() == 250
    track_T = np.where(np.arange(100) < 50, 100 * 2 ** (np.arange(100) / 600), 0)
    found = pitch_at(track_T, 100, np.array([0.105, 0.2, 0.497, 0.7]))
    np.testing.assert_allclose(found, [100 * 2 ** (10.5 / 600), 100 * 2 ** (20 / 600), 0, 0], rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_disguises_keep_length_and_stay_finite(seed):
    rng = np.random.default_rng(seed)
    audio_S = rng.standard_normal(5000).astype(np.float32)
    for changed_S in (equalise(audio_S, rng, 24000), with_silence(audio_S, rng)):
        assert changed_S.shape == audio_S.shape and changed_S.dtype == np.float32 and np.isfinite(changed_S).all()
    assert np.abs(to_peak(audio_S, -6)).max() == pytest.approx(10 ** (-6 / 20), rel=1e-4)
    assert (to_peak(np.zeros(10, np.float32), -6) == 0).all()
