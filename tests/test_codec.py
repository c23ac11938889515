"""Our codec: its laws on a small untrained network, and what the bundled one keeps of a voice."""

from pathlib import Path

import numpy as np
import pytest
import torch

from autosing.audio.pitch import load_tracker
from autosing.codecs import BUNDLED, codec_digest, load_codec
from autosing.codecs.fitted import FittedCodec
from autosing.errors import InputError
from autosing.models.codec import CodecConfig, CodecModel
from autosing.nn.excitation import fill_gaps, noise, pulses, turns
from autosing.nn.quantize import ResidualQuantizer
from autosing.nn.stft import istft, mel_matrix, stft
from autosing.songs import tiny_song

SMALL = CodecConfig(
    strides=(4, 2, 2, 2, 1), codebook_sizes=(16, 512, 16, 16, 16),
    latent=8, encoder_width=16, encoder_hidden=16, encoder_blocks=1,
    decoder_width=16, decoder_hidden=16, decoder_blocks=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def small() -> FittedCodec:
    torch.manual_seed(0)
    model = CodecModel(SMALL)
    model.quantizer.start(torch.randn(4, 8, 64), torch.Generator().manual_seed(0))
    return FittedCodec(model)


@pytest.fixture(scope="module")
def bundled() -> FittedCodec:
    codec = load_codec(BUNDLED)
    assert isinstance(codec, FittedCodec)
    return codec


def voice(seconds: float = 3.0, rate: int = 24000) -> tuple[np.ndarray, np.ndarray]:
    """audio_S of vowels on a gliding pitch with vibrato and rests between, and its f0 at each sample (0: rest)."""
    time_S = np.arange(int(seconds * rate)) / rate
    f0_S = 180 * 2 ** (0.5 * np.sin(2 * np.pi * 0.4 * time_S) + 0.04 * np.sin(2 * np.pi * 5.5 * time_S))
    phase_S = 2 * np.pi * np.cumsum(f0_S) / rate
    audio_S = np.zeros(len(time_S))
    for k in range(1, 40):
        hz_S = k * f0_S
        formants_S = sum(
            a / (1 + ((hz_S - c) / w) ** 2) for a, c, w in ((1, 650, 90), (0.5, 1150, 110), (0.2, 2600, 180))
        )
        audio_S += np.where(hz_S < 11000, (formants_S + 0.003) * np.sin(k * phase_S), 0)
    sung_S = np.clip(20 * (0.85 - np.abs((time_S % 1.0) * 2 - 1)), 0, 1)
    audio_S *= 0.25 * sung_S / np.abs(audio_S).max()
    return audio_S.astype(np.float32), np.where(sung_S > 0.5, f0_S, 0)


def test_blocks_are_whole_and_decode_to_as_many_samples(small):
    spec = small.spec
    for samples in (0, 1, spec.block_samples, spec.block_samples + 1, 5000):
        codes = small.encode(0.1 * torch.randn(2, samples))
        blocks = spec.num_blocks(samples)
        assert [c.shape for c in codes] == [(2, blocks * spec.block_frames // stride) for stride in spec.strides]
        assert all((c < size).all() and (c >= 0).all() for c, size in zip(codes, spec.codebook_sizes, strict=True))
        assert small.decode(codes).shape == (2, blocks * spec.block_samples)


def test_a_clip_does_not_depend_on_its_neighbours_nor_on_the_call(small):
    audio_BS = torch.stack([torch.from_numpy(voice(1.0)[0]), torch.rand(24000) - 0.5])
    both, alone = small.encode(audio_BS), small.encode(audio_BS[:1])
    for level_both, level_alone in zip(both, alone, strict=True):
        assert (level_both[:1] == level_alone).float().mean() > 0.99
    together_BS = small.decode(both)
    torch.testing.assert_close(small.decode([level[:1] for level in both]), together_BS[:1], atol=1e-4, rtol=1e-3)
    assert torch.equal(small.decode(both), together_BS)


def test_flat_codes_are_the_same_codes(small):
    audio_S = voice(1.0)[0]
    flat = small.encode_flat(audio_S)
    levels = small.encode(torch.from_numpy(audio_S)[None])
    for ours, theirs in zip(small.spec.unflatten(flat), levels, strict=True):
        assert np.array_equal(ours, theirs[0].numpy())
    assert small.decode_flat(flat).shape == (small.spec.num_blocks(len(audio_S)) * small.spec.block_samples,)


def test_f0_survives_its_codes_within_half_a_step(small):
    f0_BF = torch.linspace(46, 1500, 200).repeat_interleave(2)[None]
    f0_BF[0, :20] = 0
    back_BN = small.model.f0_hz(small.model.f0_codes(f0_BF))
    assert (back_BN[0, :10] == 0).all()
    assert (1200 * (back_BN[0, 10:] / f0_BF[0, 20::2]).log2()).abs().max() <= SMALL.f0_step_cents / 2 + 0.01


def test_pulses_have_power_one_and_only_harmonics():
    f0_BF = torch.tensor([110.0, 437.0])[:, None].expand(2, 200)
    pulses_BS = pulses(f0_BF, 256, 24000)
    torch.testing.assert_close(pulses_BS.pow(2).mean(1), torch.ones(2), atol=0.02, rtol=0)
    spectrum_BK = torch.fft.rfft(pulses_BS[:, :48000] * torch.hann_window(48000)).abs()
    for f0, spectrum_K in zip((110, 437), spectrum_BK, strict=True):
        between_K = spectrum_K[f0 :: 2 * f0][:40]
        assert between_K.max() < 1e-2 * spectrum_K.max(), "half way between harmonics there is nothing"
    assert pulses(torch.zeros(1, 10), 256, 24000).abs().max() == 0
    assert fill_gaps(torch.tensor([[0.0, 200, 0, 300]])).tolist() == [[200, 200, 200, 300]]


def test_istft_inverts_stft_and_noise_of_power_one_has_bins_of_power_one():
    audio_BS = torch.randn(2, 60 * 256)
    for window in (768, 1024):
        back_BS = istft(stft(audio_BS, window, 256), window, 256)
        torch.testing.assert_close(back_BS[:, window:-window], audio_BS[:, window:-window], atol=1e-5, rtol=0)
    assert stft(torch.randn(1, 200_000), 1024, 256).abs().pow(2).mean().sub(1).abs() < 0.02
    assert (mel_matrix(120, 512, 24000).sum(1) - 1).abs().max() < 1e-5, "no band is empty"


def test_each_level_of_the_quantiser_brings_the_latent_nearer():
    torch.manual_seed(1)
    latent_BDF = torch.randn(8, 6, 64).cumsum(2) / 4
    quantizer = ResidualQuantizer((4, 2, 1), (32, 32, 32), 6)
    same_BDF, _, asked = quantizer(latent_BDF)
    assert same_BDF is latent_BDF and not asked, "before the start nothing is quantised"
    quantizer.start(latent_BDF, torch.Generator().manual_seed(0))
    codes = quantizer.encode(latent_BDF)
    silent = [torch.zeros_like(c) for c in codes]
    errors = []
    for used in range(4):
        heard_BDF = sum(
            quantizer.level(i).vectors_VD[codes[i]].mT.repeat_interleave(stride, 2)
            for i, stride in enumerate(quantizer.strides[:used])
        )
        errors.append(float((latent_BDF - heard_BDF).pow(2).mean()))
    assert errors[0] > errors[1] > errors[2] > errors[3]
    greedy = quantizer.encode(latent_BDF, beams=1)
    torch.testing.assert_close(quantizer.decode(greedy), quantizer(latent_BDF)[0], atol=1e-5, rtol=1e-5)
    wide_BDF = quantizer.decode(quantizer.encode(latent_BDF, beams=8))
    assert (latent_BDF - wide_BDF).pow(2).mean() < (latent_BDF - quantizer.decode(greedy)).pow(2).mean()
    assert quantizer.decode(silent).shape == latent_BDF.shape
    mixed_BDF, _, asked = quantizer(latent_BDF, torch.tensor([0, 1, 2, 3] * 2))
    assert len(asked) == 3, "every level is asked, whichever speak"
    assert (mixed_BDF[::4] == 0).all()
    greedy_1 = quantizer.decode(quantizer.encode(latent_BDF[1:2], beams=1, levels=1))
    torch.testing.assert_close(mixed_BDF[1:2], greedy_1, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mixed_BDF[3:4], quantizer.decode(greedy)[3:4], atol=1e-5, rtol=1e-5)


def test_dead_vectors_are_thrown_anew_and_the_living_follow():
    quantizer = ResidualQuantizer((1,), (4,), 2)
    quantizer.start(torch.randn(1, 2, 64), torch.Generator().manual_seed(0))
    level = quantizer.level(0)
    level.decay = 0.98
    level.vectors_VD[3] = level.sums_VD[3] = 1e3
    for step in range(600):
        level.follow(torch.randn(64, 2) + 5, torch.Generator().manual_seed(step))
    assert level.vectors_VD.abs().max() < 10 and (level.vectors_VD.mean(0) - 5).abs().max() < 1.5
    assert (level._members(torch.randn(500, 2) + 5)[0] > 0).all()


@pytest.mark.parametrize("name", ["snac-24khz", "encodec-24khz"])
def test_weights_that_are_not_at_hand_are_named(name, tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path))
    for ask in (load_codec, codec_digest):
        with pytest.raises(InputError, match=rf"{name}: no .* in {tmp_path}.*; put .* there"):
            ask(name)


def test_unknown_names_and_folders_without_a_codec_are_refused(tmp_path):
    for ask in (load_codec, codec_digest):
        with pytest.raises(InputError, match="unknown; need autosing-24khz"):
            ask("autosing-24")
        with pytest.raises(InputError, match="model"):
            ask(str(tmp_path))


def test_other_codecs_keep_the_contract():
    snac = pytest.importorskip("snac")
    encodec = pytest.importorskip("encodec")
    from autosing.codecs.encodec import EncodecCodec
    from autosing.codecs.snac import SnacCodec

    torch.manual_seed(0)
    tiny = snac.SNAC(24000, 8, [2, 4, 4, 4], None, 64, [4, 4, 4, 2], 32, 64, 8, [8, 4, 2, 1])
    for codec in (SnacCodec(tiny, "snac-24khz"), EncodecCodec(encodec.EncodecModel.encodec_model_24khz(False))):
        spec = codec.spec
        samples = spec.block_samples * 3 + 1
        codes = codec.encode(0.1 * torch.randn(2, samples))
        assert [c.shape[1] for c in codes] == [4 * spec.block_frames // stride for stride in spec.strides]
        audio_BS = codec.decode(codes)
        assert audio_BS.shape == (2, 4 * spec.block_samples)
        assert torch.equal(audio_BS, codec.decode(codes)), "the same codes give the same samples"
        assert codec.code_vectors(0).shape[0] == spec.codebook_sizes[0]


def test_the_bundled_codec_keeps_the_pitch_of_a_voice(bundled):
    audio_S, f0_S = voice()
    made_S = bundled.decode_flat(bundled.encode_flat(audio_S))[: len(audio_S)]
    found_T = load_tracker("fcpe")(made_S, 24000)
    true_T = f0_S[np.minimum(np.arange(len(found_T)) * 240, len(f0_S) - 1)]
    cents_T = 1200 * np.abs(np.log2(np.maximum(found_T, 1) / np.maximum(true_T, 1)))
    assert (cents_T[true_T > 0] <= 50).mean() >= 0.95
    assert 0.5 < np.std(made_S) / np.std(audio_S) < 2


def test_silence_stays_silent(bundled):
    assert np.abs(bundled.decode_flat(bundled.encode_flat(np.zeros(24000, np.float32)))).max() < 1e-3


def test_the_bundled_weights_are_small_and_say_where_they_come_from(bundled):
    folder = Path(__file__).parent.parent / "autosing" / "weights" / "codec"
    assert (folder / "model.safetensors").stat().st_size <= 8_000_000
    assert (folder / "CARD.md").is_file()
    assert bundled.spec.name == BUNDLED and len(codec_digest(BUNDLED)) == 64
    for level, size in enumerate(bundled.spec.codebook_sizes):
        vectors_VD = bundled.code_vectors(level)
        assert len(vectors_VD) == size and torch.isfinite(vectors_VD).all()


def test_the_rich_codec_is_the_same_with_more_levels_and_comes_nearer(bundled):
    rich = load_codec("autosing-24khz-rich")
    assert (bundled.spec.num_levels, rich.spec.num_levels) == (6, 8)
    assert codec_digest(BUNDLED) != codec_digest("autosing-24khz-rich"), "their codes must not be mixed"
    _, _, stems = tiny_song(seed=4, seconds=4)
    audio = stems.vocals.resampled(24_000)
    audio_BS = torch.from_numpy(audio.mono_S())[None, : 90 * rich.spec.block_samples]
    latent_BDF = rich.model.latent(audio_BS, rich.encode(audio_BS)[1])
    errors = []
    for codec in (bundled, rich):
        codes = codec.encode(audio_BS)
        spectral = [level for i, level in enumerate(codes) if i != 1]
        errors.append(float((codec.model.quantizer.decode(spectral) - latent_BDF).detach().square().mean()))
    assert errors[1] < 0.8 * errors[0]


def test_as_many_strides_as_codebooks():
    with pytest.raises(InputError, match="5 codebook_sizes"):
        CodecConfig.build({"strides": [4, 2, 2, 2, 1, 1], "codebook_sizes": [16, 512, 16, 16, 16]})


def test_excitations_of_chunks_go_on_from_one_another():
    hop, rate = 256, 24000
    f0_hz_BF = torch.linspace(200, 300, 40)[None].clone()
    f0_hz_BF[:, 15:22] = 0
    whole_BS, filled_BF = pulses(f0_hz_BF, hop, rate), fill_gaps(f0_hz_BF)
    for at_once in (7, 4096):
        turns_F = turns(filled_BF[0], hop, rate, at_once)
        later_BS = pulses(filled_BF[:, 19:], hop, rate, f0_hz_BF[:, 19:] > 0, turns_F[19:20])
        torch.testing.assert_close(later_BS[:, hop:], whole_BS[:, 20 * hop :], atol=1e-3, rtol=0)
    torch.testing.assert_close(noise(700, whole_BS.device, 70_000), noise(70_700, whole_BS.device)[70_000:])
