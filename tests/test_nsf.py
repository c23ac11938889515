"""The snake generator: exact lengths, less aliasing than the plain snake, pitch from the excitation."""

import numpy as np
import pytest
import torch

from autosing.errors import InputError
from autosing.nn.excitation import noise, pulses
from autosing.nn.nsf import NsfConfig, NsfGenerator
from autosing.nn.snake import AntiAliasedSnake, Snake, low_pass


@pytest.mark.parametrize("rates", [(8, 8, 2, 2), (5, 4, 4, 2, 2), (7, 7, 3, 3), (5, 4, 4, 3, 2)])
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_frames_become_exactly_a_hop_of_samples_each(rates, frames):
    torch.manual_seed(0)
    config = NsfConfig(rates=rates, channels=64, kernels=(3,), dilations=(1, 3))
    generator = NsfGenerator(10, config)
    samples = frames * config.hop_samples
    audio_BS = generator(torch.randn(2, 10, frames), torch.randn(2, samples), torch.randn(2, samples))
    assert audio_BS.shape == (2, samples)
    assert audio_BS.abs().max() <= 1


def test_the_low_pass_keeps_slow_and_stops_fast():
    response = np.abs(np.fft.rfft(low_pass(), 512))
    assert response[0] == pytest.approx(1, abs=1e-6)
    assert (response[-40:] < 0.03).all(), "near the rate's half nothing passes"


def test_a_constant_comes_out_as_the_snake_makes_it():
    snake = AntiAliasedSnake(3)
    x_BCT = torch.tensor([-1.0, 0.3, 2.0])[None, :, None].expand(1, 3, 50)
    torch.testing.assert_close(snake(x_BCT), snake.snake(x_BCT), atol=1e-4, rtol=1e-4)


def test_less_folds_back_than_from_the_plain_snake():
    """sin^2 of a tone makes even harmonics; the tone is so high that its second would lie beyond half the rate."""
    size, tone = 4096, 1311
    x_BCT = 0.7 * torch.sin(2 * torch.pi * tone * torch.arange(size) / size)[None, None]
    folded = size - 2 * tone  # the second harmonic, folded at the rate
    window_S = torch.hann_window(size)

    def energy_there(module: torch.nn.Module) -> float:
        spectrum_K = torch.fft.rfft(module(x_BCT)[0, 0] * window_S).abs().square()
        return float(spectrum_K[folded - 4 : folded + 5].sum().detach())

    torch.manual_seed(0)
    assert energy_there(AntiAliasedSnake(1)) < 0.05 * energy_there(Snake(1))


def test_what_is_made_follows_the_excitation_that_is_given():
    torch.manual_seed(0)
    generator = NsfGenerator(4, NsfConfig(rates=(4, 4), channels=16, kernels=(3,), dilations=(1,)))
    x_BDF, frames = torch.zeros(1, 4, 400), 400
    pulses_BS = pulses(torch.full((1, frames), 200.0), 16, 16000)
    audio_BS = generator(x_BDF, pulses_BS, torch.zeros_like(pulses_BS))
    spectrum_K = torch.fft.rfft(audio_BS[0] - audio_BS[0].mean()).abs()
    strongest = spectrum_K.argmax() * 16000 / 6400
    assert min(float(strongest) % 200, 200 - float(strongest) % 200) < 5, "all lies on harmonics of 200 Hz"
    unlike_BS = generator(x_BDF, torch.zeros_like(pulses_BS), noise(6400, torch.device("cpu"))[None])
    assert not torch.allclose(audio_BS, unlike_BS, atol=1e-4)


def test_impossible_numbers_are_refused():
    with pytest.raises(InputError, match="rates of 2 or more"):
        NsfConfig.build({"rates": (8, 1)})
