"""Speech to singing: windows are those of the definition, maps never run backwards, codes are used, padding unseen."""

import numpy as np
import pytest
import torch

from autosing.errors import InputError
from autosing.models.acoustic import new_space
from autosing.models.rhythm import Rhythm, RhythmConfig
from autosing.models.sts import Sts, StsConfig, speech_item, speech_told
from autosing.models.sung_score import score_item, score_told, stacked
from autosing.models.svc_flow import SvcFlowConfig
from autosing.models.told import frame_times
from autosing.nn.window_attention import Transport, attend_windows, window_mask
from autosing.schemas.records import Part
from autosing.score.timing import with_times
from autosing.speech.time_map import is_own_speech, knots_of, spoken_at, without_rhythm
from support.models import stir
from support.scores import made_score, star_score

RATE = new_space("codec_latent").rate_hz
WIDTH = 24


@pytest.fixture(scope="module")
def model() -> Sts:
    part = Part(name="whisper-own", layer=2, width=WIDTH, digest="")
    flow = SvcFlowConfig(
        space=new_space("codec_latent"), content=(part,), width=16, hidden=16, encoder_blocks=1, blocks=1
    )
    torch.manual_seed(0)
    made = Sts(StsConfig.build({
        "flow": flow.dump(), "width": 16, "heads": 2, "layers": 2, "speech_blocks": 1, "frame_blocks": 1,
        "rhythm": {"codes": 4, "width": 4, "blocks": 1}, "curves": {"width": 16, "blocks": 1, "small_width": 8},
    }))  # fmt: skip
    stir(made)
    made.aligner.rhythm.quantizer.start(torch.randn(2, 4, 30), torch.Generator().manual_seed(0))
    return made.eval()


def speech_of(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((round(seconds * 50), WIDTH)).astype(np.float16)


def told_of(score, spoken_s: float, margin: int = 200):
    frames = round(score.duration_s * float(RATE))
    times = frame_times(0, frames, float(RATE))
    knots = np.array([[0.05, score.duration_s - 0.05], [0.02, spoken_s - 0.02]], np.float32)
    return score_item(score, RATE, frames) | speech_item(speech_of(spoken_s), knots, times, margin)


def aligned(model, *items):
    batch = stacked(items)
    return model.aligner(speech_told(batch), score_told(batch)).content_BCF


# Windows


def test_windows_are_those_of_the_definition_place_by_place():
    generator = torch.Generator().manual_seed(0)
    centre_BF = 40 * torch.rand(3, 50, generator=generator) - 5
    places_B, reach, first = torch.tensor([30, 12, 1]), 4, 3
    found = window_mask(centre_BF, places_B, 29, reach, first)
    for b in range(3):
        for f in range(50):
            middle = min(max(float(centre_BF[b, f]), 0.0), float(places_B[b] - 1))
            for s in range(29):
                at = first + s
                assert bool(found[b, f, s]) == (abs(at - middle) <= reach and at < int(places_B[b])), (b, f, s)
    assert window_mask(centre_BF, places_B, 30, reach).any(2).all(), "every frame sees something"


def test_what_is_looked_at_block_by_block_is_what_is_looked_at_at_once():
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 3, 100, 8), torch.randn(2, 3, 60, 8), torch.randn(2, 3, 60, 5)
    centre_BF = torch.linspace(-2, 70, 100).repeat(2, 1)
    args = (centre_BF, torch.tensor([60, 41]), torch.tensor([1.0, 2.0, 4.0]), 7, 3.0)
    for block in (1, 16, 33):
        for part, whole in zip(
            attend_windows(q, k, v, *args, block=block), attend_windows(q, k, v, *args), strict=True
        ):
            torch.testing.assert_close(part, whole, atol=1e-5, rtol=1e-5)


def test_attention_equals_a_softmax_over_the_brute_force_mask_and_strays_as_far_as_it_looks():
    torch.manual_seed(1)
    q, k, v = torch.randn(1, 1, 20, 8), torch.randn(1, 1, 30, 8), torch.randn(1, 1, 30, 4)
    centre_BF, spread, reach, sigma = 29 * torch.rand(1, 20), 2.5, 6, 3.0
    far = (torch.arange(30) - centre_BF[0, :, None]).square()
    score = q[0, 0] @ k[0, 0].T / 8**0.5 - far / (2 * spread**2)
    share = score.masked_fill(far.sqrt() > reach, float("-inf")).softmax(1)
    y, strayed = attend_windows(q, k, v, centre_BF, torch.tensor([30]), torch.tensor([spread]), reach, sigma)
    torch.testing.assert_close(y[0, 0], share @ v[0, 0])
    torch.testing.assert_close(strayed[0], (share * (1 - torch.exp(-far / (2 * sigma**2)))).sum(1))


def test_untrained_transport_brings_the_place_that_it_is_told():
    torch.manual_seed(0)
    carry = Transport(8, reach=5, sigma=3.0)
    values = torch.linspace(0, 1, 40)[None, :, None]
    centre = torch.linspace(4, 35, 60)[None]
    found, _ = carry(torch.randn(1, 60, 8), torch.randn(1, 40, 8), values, centre, torch.tensor([40]))
    assert (found[0, :, 0] - centre[0] / 39).abs().max() < 0.01


# Maps


def test_phones_are_spoken_where_the_map_says_and_it_never_runs_backwards():
    sung = with_times(star_score())
    spoken = sung.replace(
        duration_s=1.2, notes=(), phones=tuple(p.timed(0.1 + 0.1 * k, 0.2 + 0.1 * k) for k, p in enumerate(sung.phones))
    )
    knots = knots_of(sung, spoken, 1.2)
    for there, here in zip(sung.phones, spoken.phones, strict=True):
        assert spoken_at(knots, np.array([there.start_s + 1e-4])) == pytest.approx(here.start_s, abs=2e-3)
    line = spoken_at(knots, np.linspace(-1, 6, 2000))
    assert (np.diff(line) >= 0).all() and line.min() >= 0 and line.max() <= 1.2 + 1e-6
    assert not is_own_speech(knots) and is_own_speech(knots_of(sung, sung, 4.0))
    with pytest.raises(InputError, match="need the same phones"):
        knots_of(sung, with_times(made_score(2.0, 60)), 1.0)


def test_singing_loses_its_rhythm_and_keeps_its_order():
    """Content that names its own time: after the warp the map still leads to it."""
    score = made_score(4.0, 60)
    knots = knots_of(score, score, 4.0)
    content = np.repeat(np.arange(200, dtype=np.float16)[:, None], 3, axis=1)
    short, moved = without_rhythm(content, knots, np.random.default_rng(0), (0.04, 0.14), 0.2)
    assert len(short) < 0.6 * len(content) and (np.diff(moved[1]) >= 0).all()
    times = np.linspace(0.1, 3.8, 300)
    at = np.clip(np.round(spoken_at(moved, times) * 50).astype(int), 0, len(short) - 1)
    assert np.abs(short[at, 0].astype(float) / 50 - times).max() < 0.12
    again = without_rhythm(content, knots, np.random.default_rng(0), (0.04, 0.14), 0.2)
    assert np.array_equal(again[0], short) and np.array_equal(again[1], moved)


# Codes


def test_of_codes_that_follow_what_is_read_most_are_used():
    """Latents of two loudnesses, all alike but for a little noise, still use three quarters of eight codes."""
    rhythm = Rhythm(RhythmConfig(codes=8, width=4), 16)
    generator = torch.Generator().manual_seed(0)

    def latents() -> torch.Tensor:
        high = torch.rand(4, 1, 50, generator=generator) < 0.5
        return torch.where(high, 3.0, -3.0) + 0.3 * torch.randn(4, 4, 50, generator=generator)

    rhythm.quantizer.start(latents(), generator)
    for _ in range(300):
        rhythm.quantizer.follow([latents().mT.flatten(0, 1)], generator)
    used = torch.bincount(rhythm.codes_of(latents()).flatten(), minlength=8) > 0
    assert used.float().mean() >= 0.75


# The model


def test_speech_in_a_batch_is_as_it_is_alone_and_a_crop_as_the_whole(model):
    short, long = told_of(made_score(2.0, 60), 0.9), told_of(made_score(2.0, 65), 1.7)
    alone, both = aligned(model, short), aligned(model, short, long)
    assert alone.shape == (1, WIDTH, 188)
    torch.testing.assert_close(both[0], alone[0], atol=1e-4, rtol=1e-4)
    narrow = aligned(model, told_of(made_score(2.0, 60), 0.9, model.config.reach + 15))
    torch.testing.assert_close(narrow, alone, atol=1e-4, rtol=1e-4)


def test_before_it_is_trained_the_content_is_that_of_the_speech_at_its_time(model):
    fresh = Sts(model.config).eval()
    score = made_score(2.0, 60)
    item = told_of(score, 1.0)
    item["speech_CS"] = np.tile(np.linspace(0, 1, 50, dtype=np.float32), (WIDTH, 1))
    content = aligned(fresh, item)[0, 0]
    assert (content - torch.from_numpy(item["centre_F"]).clamp(0, 49) / 49).abs().max() < 0.03


def test_phones_and_codes_are_heard_and_may_be_kept_from_it(model):
    batch = stacked([told_of(made_score(2.0, 60), 0.9)])
    told, speech = score_told(batch), speech_told(batch)
    plain = model.aligner(speech, told).content_BCF
    silent = model.aligner(speech, told, signs_B11=torch.zeros(1, 1, 1)).content_BCF
    read = model.aligner.rhythm.read(torch.randn(1, 188), torch.ones(1, 188, dtype=torch.bool))
    coded = model.aligner(speech, told, read).content_BCF
    guessed = model.aligner(speech, told, read, torch.zeros(1, 1, 1)).content_BCF
    assert not torch.allclose(plain, silent, atol=1e-4) and not torch.allclose(plain, coded, atol=1e-4)
    torch.testing.assert_close(guessed, plain)
