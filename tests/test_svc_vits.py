"""svc_vits as a model: sizes, lengths, seeds, chunks; what it is told, and what it is not."""

import numpy as np
import pytest
import torch

from autosing.errors import InputError
from autosing.models.svc_vits import SvcVits, SvcVitsConfig, SvcVitsVoice
from autosing.models.told import Sampling, Told
from autosing.nn.cost import count_macs
from autosing.nn.folding import fold_weight_norms
from autosing.schemas.records import Part
from inference.voice.engine import EngineConfig, Song, render
from support.models import stir
from tests.test_svc_flow import features

PART = Part(name="whisper-tiny.en", layer=2, width=16, digest="0" * 64)
SMALL = {
    "latent": 8, "encoder": {"width": 16, "layers": 1, "hidden": 16, "reach": 8},
    "flow": {"couplings": 2, "layers": 1, "width": 8},
    "nsf": {"rates": [5, 4, 4, 2, 2], "channels": 64, "kernels": [3], "dilations": [1]},
    "source_filter": {"width": 16, "hidden": 16, "blocks": 1, "filter_bands": 16},
}  # fmt: skip
RATES = {
    24000: {"hop_samples": 256, "nsf": {**SMALL["nsf"], "rates": [8, 8, 2, 2]}},
    32000: {},
    44100: {"hop_samples": 441, "nsf": {**SMALL["nsf"], "rates": [7, 7, 3, 3]}},
    48000: {"hop_samples": 480, "nsf": {**SMALL["nsf"], "rates": [5, 4, 4, 3, 2]}},
}


def made(**values: object) -> SvcVits:
    torch.manual_seed(0)
    model = SvcVits(SvcVitsConfig.build({**SMALL, "content": [PART.dump()], **values})).eval()
    stir(model)
    return model


def told(frames: int, clips: int = 1, width: int = 16) -> Told:
    generator = torch.Generator().manual_seed(frames)
    return Told(
        torch.randn(clips, width, frames, generator=generator),
        200 * 2 ** torch.rand(clips, frames, generator=generator),
        torch.ones(clips, frames, dtype=torch.bool), torch.full((clips, frames), -20.0),
        torch.randn(clips, 256, generator=generator),
    )  # fmt: skip


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("generator", ["nsf", "source_filter"])
@pytest.mark.parametrize("frames", [1, 2, 9])
def test_any_number_of_frames_becomes_exactly_a_hop_each_at_every_rate(rate, generator, frames):
    model = made(sample_rate_hz=rate, generator=generator, **RATES[rate])
    one = told(frames)
    audio_BS = model.sound(model.sing(one, Sampling()), one.f0_hz_BF)
    assert audio_BS.shape == (1, frames * model.config.hop_samples)
    assert audio_BS.isfinite().all() and audio_BS.abs().max() > 0


@pytest.mark.parametrize(("generator", "most"), [("nsf", 8.3e9), ("source_filter", 2.1e9)])
def test_the_default_is_no_larger_and_no_dearer_than_so_vits_svc(generator, most):
    part = Part(name="whisper-base", layer=5, width=512, digest="0" * 64)
    model = SvcVits(SvcVitsConfig(content=(part,), generator=generator)).eval()
    fold_weight_norms(model)
    assert sum(p.numel() for p in model.parameters()) <= 20.0e6
    second, fifth = told(100, width=512), told(20, width=512)
    x_BDF = model.sing(fifth, Sampling())
    macs = count_macs(lambda: model.sing(second, Sampling())) + 5 * count_macs(
        lambda: model.sound(x_BDF, fifth.f0_hz_BF)
    )
    assert macs <= most


def test_the_prior_hears_nothing_of_who_sings_and_the_sound_does():
    model, one = made(), told(12)
    other = Told(one.content_BCF, one.f0_hz_BF, one.voiced_BF, one.loudness_db_BF, -one.singer_BE)
    for a, b in zip(model.tell(one), model.tell(other), strict=True):
        assert torch.equal(a, b)
    assert not torch.allclose(model.sing(one, Sampling()), model.sing(other, Sampling()), atol=1e-3)


@pytest.mark.parametrize("prenet", [False, True])
def test_padding_and_neighbours_change_neither_prior_nor_flow(prenet):
    model, one, frames = made(prenet=prenet), told(9), 9
    longer = told(14, clips=2)
    mask_BF = torch.arange(14) < torch.tensor([[frames], [14]])
    beside = Told(*(x.clone() for x in (longer.content_BCF, longer.f0_hz_BF, longer.voiced_BF, longer.loudness_db_BF)),
                  longer.singer_BE.clone())  # fmt: skip
    beside.content_BCF[0, :, :frames] = one.content_BCF[0]
    beside.f0_hz_BF[0, :frames] = one.f0_hz_BF[0]
    beside.singer_BE[0] = one.singer_BE[0]
    alone = model.tell(one, torch.ones(1, frames, dtype=torch.bool))
    for a, b in zip(alone, model.tell(beside, mask_BF), strict=True):
        torch.testing.assert_close(b[:1, :, :frames], a, atol=1e-5, rtol=1e-5)


def test_temperature_nought_draws_nothing_and_the_config_says_what_one_means():
    one = told(10)
    model = made()
    cold = model.sing(one, Sampling(temperature=0))
    assert torch.equal(cold, model.sing(one, Sampling(temperature=0, seed=1)))
    warm = model.sing(one, Sampling())
    assert not torch.allclose(cold, warm, atol=1e-3) and not torch.equal(warm, model.sing(one, Sampling(seed=1)))
    half = made(temperature=0.5)
    half.load_state_dict(model.state_dict())
    torch.testing.assert_close(half.sing(one, Sampling()), model.sing(one, Sampling(temperature=0.5)))


def sung(model: SvcVits, seconds: float, **settings: object) -> np.ndarray:
    source = features(seconds)
    vector_E = np.eye(1, 256, 3, dtype=np.float32)[0]
    song = Song(source, source.f0_hz_T, lambda _: vector_E)
    return np.concatenate(list(render(SvcVitsVoice(model), song, EngineConfig.build(settings))))


@pytest.mark.parametrize("generator", ["nsf", "source_filter"])
@pytest.mark.parametrize("seconds", [0.1, 1.337])
def test_the_engine_sings_as_long_as_the_source_to_the_sample(generator, seconds):
    samples = len(sung(made(generator=generator), seconds))
    assert samples == round(round(seconds * 16000) * 2)


@pytest.mark.parametrize("generator", ["nsf", "source_filter"])
def test_chunks_are_sung_as_the_whole(generator):
    """Heads look 8 frames far here: a second of context is all that a chunk needs."""
    model = made(generator=generator)
    whole_S, chunked_S = sung(model, 5.0, chunk_s=100.0), sung(model, 5.0, chunk_s=2.0)
    away = np.sqrt(np.mean((chunked_S - whole_S) ** 2) / np.mean(whole_S**2))
    assert away < 0.01 and len(chunked_S) == len(whole_S)
    np.testing.assert_array_equal(whole_S, sung(model, 5.0, chunk_s=100.0))


def test_less_folds_back_than_from_plain_upsampling():
    """Alias energy above half of Nyquist's rate: of a generator with anti-aliased snakes and of the same without."""
    energy = {}
    for anti_aliased in (True, False):
        nsf = {**SMALL["nsf"], "anti_aliased": anti_aliased}
        torch.manual_seed(0)
        model = SvcVits(SvcVitsConfig.build({**SMALL, "content": [PART.dump()], "nsf": nsf})).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "log_alpha" in name:
                    parameter.fill_(1.0)
        frames, hop = 40, 320
        time_S = torch.arange(frames * hop) / 32000
        # One sine in the excitation: its harmonics are the snakes', what lies between them has folded back.
        tone_hz = 3300.0
        source_BS = torch.sin(2 * torch.pi * tone_hz * time_S)[None]
        f0_hz_BF = torch.zeros(1, frames)
        audio_BS = model.voice(torch.zeros(1, 8, frames), f0_hz_BF, source_BS, torch.zeros_like(source_BS)).detach()
        middle_S = audio_BS[0, 5 * hop : -5 * hop]
        power_K = torch.fft.rfft((middle_S - middle_S.mean()) * torch.hann_window(len(middle_S))).abs().square()
        hz_K = torch.arange(len(power_K)) * 32000 / len(middle_S)
        off_K = (hz_K / tone_hz - (hz_K / tone_hz).round()).abs() * tone_hz > 60
        energy[anti_aliased] = float(power_K[(hz_K > 8000) & off_K].sum() / power_K.sum())
    assert energy[True] < energy[False]


def test_impossible_numbers_are_refused():
    with pytest.raises(InputError, match=r"nsf\.rates"):
        made(hop_samples=300)
    with pytest.raises(InputError, match="window_samples"):
        made(generator="source_filter", source_filter={"window_samples": 100})
