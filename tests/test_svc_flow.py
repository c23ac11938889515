"""The conversion model and the engine: seeds, chunks, lengths, phases, and a run that becomes a voice."""

import numpy as np
import pytest
import torch

from autosing.models.acoustic import load_space, new_space
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig, SvcFlowVoice
from autosing.models.told import Sampling, Told, content_at, frame_times, loudness_at
from autosing.nn.cost import count_macs
from autosing.nn.flow_matching import FlowConfig
from autosing.schemas.records import Part
from inference.voice.engine import EngineConfig, Gate, Song, render
from inference.voice.features import Features
from train.losses.structure import structure_loss

PART = Part(name="whisper-tiny.en", layer=2, width=16, digest="0" * 64)


@pytest.fixture(scope="module")
def voice() -> SvcFlowVoice:
    """Random networks over the bundled codec's latent, whose estimator's output is not zero."""
    torch.manual_seed(0)
    space = load_space(new_space("codec_latent"))
    config = SvcFlowConfig(
        space=space.spec, content=(PART,), width=32, hidden=48, encoder_blocks=1, blocks=2,
        flow=FlowConfig(around_prior=True),
    )  # fmt: skip
    model = SvcFlow(config)
    for name, parameter in model.named_parameters():
        if parameter.abs().sum() == 0:
            torch.nn.init.normal_(parameter, std=0.02)
        assert parameter.isfinite().all(), name
    return SvcFlowVoice(model, space)


def features(seconds: float, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    frames = round(seconds * 100)
    f0_T = (200 * 2 ** (np.sin(np.arange(frames) / 40) / 6)).astype(np.float32)
    f0_T[frames // 3 : frames // 3 + 20] = 0
    content_ND = rng.standard_normal((round(seconds * 50), 16)).cumsum(0) / 5
    return Features(content_ND.astype(np.float16), f0_T, np.full(frames, -20, np.float32), round(seconds * 16000))


def sung(voice: SvcFlowVoice, source: Features, **settings: object) -> np.ndarray:
    vector_E = np.eye(1, 256, 3, dtype=np.float32)[0]
    song = Song(source, source.f0_hz_T, lambda _: vector_E)
    return np.concatenate(list(render(voice, song, EngineConfig.build(settings))))


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.337])
def test_what_is_sung_is_as_long_as_the_source_to_the_sample(voice, seconds):
    assert len(sung(voice, features(seconds))) == round(round(seconds * 16000) * 1.5)


def test_the_same_seed_gives_the_same_samples_and_another_others(voice):
    source = features(1.5)
    first_S, again_S = sung(voice, source), sung(voice, source)
    np.testing.assert_array_equal(first_S, again_S)
    assert np.abs(first_S - sung(voice, source, sampling={"seed": 1})).max() > 1e-3


def test_chunks_of_any_size_are_sung_as_the_whole_and_seams_are_no_jumps(voice):
    source = features(9.0)
    whole_S = sung(voice, source, chunk_s=100.0)
    for chunk_s in (2.0, 3.1):
        chunked_S = sung(voice, source, chunk_s=chunk_s)
        assert len(chunked_S) == len(whole_S)
        away = np.sqrt(np.mean((chunked_S - whole_S) ** 2) / np.mean(whole_S**2))
        assert away < 0.003, "noise, phase and pitch belong to the song, not to the chunk"
        jumps = np.abs(np.diff(chunked_S))
        size = round(chunk_s * 93.75) // 8 * 8 * 256
        seams = [jumps[k - 600 : k + 600].max() for k in range(size, len(chunked_S) - 600, size)]
        assert max(seams) <= max(np.percentile(jumps, 99.9), jumps[: size - 600].max())


def test_silence_stays_silent_and_its_edges_fade(voice):
    source = features(3.0)
    source.loudness_db_T[100:200] = -90
    audio_S = sung(voice, source)
    assert np.abs(audio_S[int(1.1 * 24000) : int(1.9 * 24000)]).max() == 0
    assert np.abs(audio_S[int(0.2 * 24000) : int(0.9 * 24000)]).max() > 0
    gain_S = Gate(source.loudness_db_T, EngineConfig()).gain(0, 3 * 24000, 24000)
    assert np.abs(np.diff(gain_S)).max() < 0.01 and gain_S.min() == 0 and gain_S.max() == pytest.approx(1)


def test_pitch_and_singer_reach_the_sound(voice):
    source = features(1.5)
    higher = Features(source.content_ND, source.f0_hz_T * 1.5, source.loudness_db_T, source.num_samples)
    assert np.abs(sung(voice, source) - sung(voice, higher)).max() > 1e-3
    other_E = np.eye(1, 256, 9, dtype=np.float32)[0]
    song = Song(source, source.f0_hz_T, lambda _: other_E)
    assert np.abs(np.concatenate(list(render(voice, song, EngineConfig()))) - sung(voice, source)).max() > 1e-4


def test_guidance_of_one_is_none_and_more_moves_away(voice):
    source = features(0.8)
    plain_S, guided_S = sung(voice, source), sung(voice, source, sampling={"guidance": 2.0})
    assert np.abs(plain_S - guided_S).max() > 1e-4


def test_what_is_usual_of_a_model_is_what_it_does_unasked(voice):
    config = voice.model.config.model_copy(update={"usual_steps": 2, "usual_guidance_singer": 3.0})
    model = SvcFlow(config).eval()
    model.load_state_dict(voice.model.state_dict())
    usual, source = SvcFlowVoice(model, voice.space), features(1.0)
    asked = {"steps": 2, "guidance_singer": 3.0}
    np.testing.assert_array_equal(sung(usual, source), sung(voice, source, sampling=asked))
    plain = {"steps": 4, "guidance_singer": 1.0}
    np.testing.assert_array_equal(sung(usual, source, sampling=plain), sung(voice, source))
    assert np.abs(sung(usual, source) - sung(voice, source)).max() > 1e-3


def test_the_default_model_costs_less_than_three_gmac_a_second_with_four_evaluations():
    torch.manual_seed(0)
    space = load_space(new_space("codec_latent"))
    part = Part(name="whisper-base", layer=5, width=512, digest="0" * 64)
    model = SvcFlow(SvcFlowConfig(space=space.spec, content=(part,))).eval()
    frames = 94
    told = Told(
        torch.randn(1, 512, frames), torch.full((1, frames), 200.0), torch.ones(1, frames, dtype=torch.bool),
        torch.full((1, frames), -20.0), torch.randn(1, 256),
    )  # fmt: skip

    def second() -> None:
        space.sound(model.sing(told, Sampling(steps=4)), told.f0_hz_BF)

    assert count_macs(second) < 3e9


def test_features_are_told_at_the_frames_middles():
    ramp_ND = np.arange(100, dtype=np.float32)[:, None]
    times = frame_times(0, 50, 93.75)
    np.testing.assert_allclose(content_at(ramp_ND, times)[:, 0], times * 50, rtol=1e-5)
    np.testing.assert_allclose(loudness_at(ramp_ND[:, 0], times), times * 100, rtol=1e-5)


def test_structure_is_lost_with_noise_and_not_with_scale_of_both():
    torch.manual_seed(0)
    x_BDT = torch.randn(2, 32, 60).cumsum(2)
    assert structure_loss(x_BDT, x_BDT).abs() < 1e-5
    slightly = structure_loss(x_BDT + 0.1 * torch.randn_like(x_BDT), x_BDT)
    badly = structure_loss(x_BDT + 2 * torch.randn_like(x_BDT), x_BDT)
    assert 0 < slightly < badly <= 1.1
    torch.testing.assert_close(
        structure_loss(3 * x_BDT + 1, 3 * x_BDT), structure_loss(x_BDT + 1 / 3, x_BDT), rtol=1e-3, atol=1e-3
    )
