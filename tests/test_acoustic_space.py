"""Acoustic spaces: as many frames as there are, numbers that come back, f0 that is kept, and a codec that agrees."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.audio.pitch import load_tracker
from autosing.codecs import BUNDLED, load_codec
from autosing.errors import InputError
from autosing.models.acoustic import (
    AcousticSpace,
    MelConfig,
    SpaceSpec,
    Statistics,
    fitted,
    load_space,
    new_space,
)
from autosing.models.told import f0_at, frame_times
from autosing.nn.excitation import Begin, fill_gaps, turns

RATE, HOP = 24_000, 256


def sung(samples: int, hz: float = 220.0) -> torch.Tensor:
    """audio_BS of one clip: a voice of ten harmonics."""
    t_S = np.arange(samples) / RATE
    return torch.tensor(sum(0.3 / k * np.sin(2 * np.pi * hz * k * t_S) for k in range(1, 11)), dtype=torch.float32)[
        None
    ]


def moved(spec: SpaceSpec) -> SpaceSpec:
    """The same space with means and spreads that are not 0 and 1."""
    rng = np.random.default_rng(0)
    seen = Statistics(spec.width)
    seen.add(
        rng.standard_normal((spec.width, 400)) * rng.uniform(0.2, 3, (spec.width, 1)) + rng.normal(size=(spec.width, 1))
    )
    return fitted(spec, seen)


class Buzz:
    """A vocoder of no skill: each frame a note of its f0."""

    mel = MelConfig()

    def __call__(self, mel_BMF, f0_hz_BF, begin):
        f0_BS = f0_hz_BF.repeat_interleave(HOP, dim=1)
        return 0.1 * torch.sin(2 * torch.pi * (f0_BS / RATE).cumsum(1))


@pytest.fixture(scope="module")
def latent() -> AcousticSpace:
    return load_space(moved(new_space("codec_latent")))


@pytest.fixture(scope="module")
def mel() -> AcousticSpace:
    return load_space(moved(new_space("log_mel")), Buzz())


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 3 * HOP * 5))
@pytest.mark.parametrize("kind", ["latent", "mel"])
def test_a_frame_for_each_hop_begun_and_whole_frames_of_sound(request, kind, samples):
    space = request.getfixturevalue(kind)
    frames = -(-samples // HOP)
    f0_hz_BF = torch.full((2, frames), 220.0)
    x_BDF = space.frames(sung(samples).expand(2, -1), f0_hz_BF)
    assert x_BDF.shape == (2, space.spec.width, frames) and frames == space.spec.num_frames(samples)
    sound_BS = space.sound(x_BDF, f0_hz_BF)
    assert sound_BS.shape == (2, frames * HOP) and sound_BS.isfinite().all()


@pytest.mark.parametrize("kind", ["latent", "mel"])
def test_normalised_and_back_is_the_same_and_the_spec_is_all_it_takes(request, kind):
    space = request.getfixturevalue(kind)
    raw_BDF = torch.randn(2, space.spec.width, 7) * 4 + 1
    torch.testing.assert_close(space.denormalise(space.normalise(raw_BDF)), raw_BDF, atol=1e-5, rtol=1e-5)
    again = load_space(SpaceSpec.build(space.spec.dump()), Buzz())
    audio_BS, f0_hz_BF = sung(10 * HOP), torch.full((1, 10), 220.0)
    assert torch.equal(again.frames(audio_BS, f0_hz_BF), space.frames(audio_BS, f0_hz_BF))
    assert (again.spec.rate_hz, again.spec.width) == (Fraction(RATE, HOP), 48 if kind == "latent" else 100)


@pytest.mark.parametrize("kind", ["codec_latent", "log_mel"])
def test_frames_of_what_was_seen_have_mean_0_and_spread_1(kind):
    spec = new_space(kind)
    space, seen = load_space(spec), Statistics(spec.width)
    clips = [(sung(40 * HOP, hz), torch.full((1, 40), hz)) for hz in (150.0, 220.0, 330.0)]
    for audio_BS, f0_hz_BF in clips:
        seen.add(space.denormalise(space.frames(audio_BS, f0_hz_BF))[0])
    ready = load_space(fitted(spec, seen))
    x_DF = torch.cat([ready.frames(*clip)[0] for clip in clips], dim=1)
    assert x_DF.mean(1).abs().max() < 1e-3 and (x_DF.std(1, correction=0) - 1).abs().max() < 1e-2


def test_a_quantised_latent_sounds_as_the_codec_decodes_it():
    codec = load_codec(BUNDLED)
    space = load_space(new_space("codec_latent"))
    audio_BS = sung(64 * HOP)
    glide_BF = 220 * 2 ** (torch.linspace(0, 0.5, 64)[None])
    levels = codec.model.encode(audio_BS, glide_BF)
    spectral = [level for i, level in enumerate(levels) if i != codec.model.config.f0_level]
    f0_hz_BF = codec.model._spread(codec.model.f0_hz(levels[codec.model.config.f0_level]))
    with torch.no_grad():
        x_BDF = space.normalise(codec.model.quantizer.decode(spectral))
        torch.testing.assert_close(space.sound(x_BDF, f0_hz_BF), codec.decode(levels), atol=1e-5, rtol=1e-4)


def test_the_codecs_latent_sings_the_pitch_that_it_is_told(latent):
    """Not the nearest of the codec's steps of 12 cents."""
    samples = 190 * HOP
    told_hz = 220 * 2 ** (5.9 / 1200)
    heard_F = torch.full((1, 190), 220.0)
    with torch.no_grad():
        x_BDF = latent.frames(sung(samples), heard_F)
        sound_S = latent.sound(x_BDF, torch.full((1, 190), told_hz))[0].numpy()
    spectrum_K = np.abs(np.fft.rfft(sound_S[2000:-2000] * np.hanning(len(sound_S) - 4000), 1 << 20))
    near = round(220 / RATE * (1 << 20))
    peak_hz = (near - 400 + int(spectrum_K[near - 400 : near + 400].argmax())) * RATE / (1 << 20)
    assert abs(1200 * np.log2(peak_hz / told_hz)) < 1.0
    track_T = load_tracker("fcpe")(sound_S, RATE)
    assert np.median(np.abs(1200 * np.log2(track_T[20:-20].clip(1) / told_hz))) < 10


def test_a_chunk_goes_on_where_the_song_before_it_ended(latent):
    """But for what the networks hear across the chunk's begin: 18 frames of ConvNeXt and a window."""
    torch.manual_seed(0)
    f0_hz_BF = 200 * 2 ** (torch.randn(1, 90).cumsum(1) / 120)
    f0_hz_BF[:, 30:36] = 0
    x_BDF, first = 0.3 * torch.randn(1, latent.spec.width, 90), 32
    filled_BF = fill_gaps(f0_hz_BF)
    begin = Begin(filled_BF[:, first:], turns(filled_BF[0], HOP, RATE)[first : first + 1], first * HOP)
    with torch.no_grad():
        whole_S = latent.sound(x_BDF, f0_hz_BF)[0]
        chunk_S = latent.sound(x_BDF[..., first:], f0_hz_BF[:, first:], begin)[0]
    assert len(chunk_S) == 58 * HOP and whole_S.std() > 1e-3
    torch.testing.assert_close(chunk_S[24 * HOP :], whole_S[(first + 24) * HOP :], atol=2e-4, rtol=1e-3)


def test_gradients_reach_frames_and_leave_weights_alone(latent):
    x_BDF = torch.zeros(1, latent.spec.width, 8, requires_grad=True)
    latent.sound(x_BDF, torch.full((1, 8), 200.0)).square().mean().backward()
    assert x_BDF.grad is not None and x_BDF.grad.abs().sum() > 0
    assert all(not parameter.requires_grad for parameter in latent.parameters())


def test_mel_frames_say_how_loud_a_band_is(mel):
    """White noise of power one has magnitudes around 1; a tenth of it lies ln 10 below; silence is the floor."""
    torch.manual_seed(0)
    noise_BS, f0_hz_BF = torch.randn(1, 100 * HOP), torch.zeros(1, 100)
    loud, soft, none = (mel.denormalise(mel.frames(noise_BS * gain, f0_hz_BF)) for gain in (1.0, 0.1, 0.0))
    assert abs(float(loud[..., 5:-5].exp().mean()) - 0.886) < 0.02, "the mean of a Rayleigh magnitude of power one"
    torch.testing.assert_close(loud - soft, torch.full_like(loud, float(np.log(10))), atol=1e-3, rtol=0)
    assert torch.allclose(none, torch.full_like(none, float(np.log(1e-4))), atol=1e-4)


def test_a_pitch_track_is_laid_on_the_middles_of_frames():
    spec = new_space("log_mel")
    track_T = np.r_[np.zeros(50), 220 * 2 ** (np.arange(150) / 1200)].astype(np.float32)
    f0_hz_F = f0_at(track_T, frame_times(0, spec.num_frames(2 * RATE), float(spec.rate_hz)))
    assert len(f0_hz_F) == 188 and (f0_hz_F[:46] == 0).all() and (f0_hz_F[48:] > 0).all()
    middle_s = 100.5 / 93.75
    assert f0_hz_F[100] == pytest.approx(220 * 2 ** ((middle_s * 100 - 50) / 1200), rel=1e-4)


def test_what_does_not_fit_is_refused(latent, tmp_path):
    with pytest.raises(InputError, match=r"no vocoder is given.*autosing train vocoder"):
        load_space(new_space("log_mel")).sound(torch.zeros(1, 100, 4), torch.zeros(1, 4))
    with pytest.raises(InputError, match=r"vocoder: made for frames of sample_rate_hz 24000 \(need 44100\)"):
        load_space(new_space("log_mel", mel=MelConfig(sample_rate_hz=44_100)), Buzz())
    with pytest.raises(InputError, match="codec autosing-24khz was 000000000000 when the model was made"):
        load_space(latent.spec.model_copy(update={"digest": "0" * 64}))
    with pytest.raises(InputError, match="window_samples 1023"):
        MelConfig.build({"window_samples": 1023})
    with pytest.raises(InputError, match="of 256 bands some lie between the bins of 1024 samples"):
        load_space(new_space("log_mel", mel=MelConfig(sample_rate_hz=48_000, bands=256)))
    with pytest.raises(InputError, match="no frames"):
        Statistics(3).mean_and_std()
    with pytest.raises(InputError, match="2 means, 1 spreads"):
        SpaceSpec.build(new_space("log_mel").dump() | {"mean": [0.0, 0.0], "std": [1.0]})
    with pytest.raises(AssertionError):
        latent.frames(sung(HOP * 2), torch.zeros(1, 3))
