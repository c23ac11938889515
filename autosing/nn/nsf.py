"""Frames and an excitation -> audio, by several upsamplings: a neural source filter with snake activations.

The excitation (pulses at the pitch, and noise) is added after each upsampling at that step's rate, as in NSF-HiFiGAN
and so-vits-svc 5.0 (Wang 2019, arXiv:1904.12088; BigVGAN, arXiv:2206.04658). So the pitch is given and not guessed.

Shapes: B clips, D numbers per frame, C channels, F frames, S = F * hop samples, T steps of a stage.
"""

import math
from collections.abc import Sequence

from pydantic import Field
from torch import Tensor, cat, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from autosing.config import Config
from autosing.errors import InputError
from autosing.nn.snake import AntiAliasedSnake, Snake, SnakeBlock


class NsfConfig(Config):
    """The generator's sizes; the product of `rates` is the hop."""

    rates: tuple[int, ...] = (8, 8, 2, 2)
    channels: int = Field(default=256, ge=8)
    """Channels before the first upsampling; each upsampling halves them."""
    kernels: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[int, ...] = (1, 3, 5)
    anti_aliased: bool = True

    @property
    def hop_samples(self) -> int:
        return math.prod(self.rates)

    def model_post_init(self, _: object) -> None:
        if self.channels >> len(self.rates) < 1 or any(rate < 2 for rate in self.rates):
            raise InputError(
                f"nsf: rates {self.rates}, channels {self.channels}; need rates of 2 or more, and a channel to be "
                f"left after {len(self.rates)} halvings"
            )


class NsfGenerator(nn.Module):
    """x_BDF, pulses_BS, noise_BS -> audio_BS in [-1, 1], exactly F * hop samples."""

    def __init__(self, width: int, config: NsfConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = weight_norm(nn.Conv1d(width, config.channels, 7, padding=3))
        self.stages = nn.ModuleList(_Stage(config, number) for number in range(len(config.rates)))
        last = config.channels >> len(config.rates)
        activation = AntiAliasedSnake if config.anti_aliased else Snake
        self.leave = nn.Sequential(activation(last), weight_norm(nn.Conv1d(last, 1, 7, padding=3, bias=False)))

    def forward(self, x_BDF: Tensor, pulses_BS: Tensor, noise_BS: Tensor) -> Tensor:
        x_BCT, source_B2S = self.enter(x_BDF), cat([pulses_BS[:, None], noise_BS[:, None]], dim=1)
        for stage in self.stages:
            x_BCT = stage(x_BCT, source_B2S)
        audio_BS: Tensor = self.leave(x_BCT)[:, 0]
        return audio_BS.tanh()


class _Stage(nn.Module):
    """One upsampling: x_BCT -> x_BcU with half the channels at `rate` times the rate, with the excitation in it."""

    def __init__(self, config: NsfConfig, number: int) -> None:
        super().__init__()
        rate, channels = config.rates[number], config.channels >> (number + 1)
        self.left = math.prod(config.rates[number + 1 :])
        """Samples per step."""
        # Padded so that T steps become exactly rate * T.
        self.up = weight_norm(
            nn.ConvTranspose1d(
                2 * channels + (config.channels >> number) % 2, channels, 2 * rate, stride=rate,
                padding=(rate + 1) // 2, output_padding=rate % 2,
            )
        )  # fmt: skip
        kernel = 2 * self.left if self.left > 1 else 1
        self.source = nn.Conv1d(2, channels, kernel, stride=self.left)
        self.blocks = nn.ModuleList(_blocks(channels, config.kernels, config.dilations, config.anti_aliased))

    def forward(self, x_BCT: Tensor, source_B2S: Tensor) -> Tensor:
        if self.left > 1:
            source_B2S = F.pad(source_B2S, (self.left // 2, self.left - self.left // 2))
        x_BCT = self.up(x_BCT) + self.source(source_B2S)
        total_BCT = self.blocks[0](x_BCT)
        for block in self.blocks[1:]:
            total_BCT = total_BCT + block(x_BCT)
        return total_BCT / len(self.blocks)


def _blocks(channels: int, kernels: Sequence[int], dilations: Sequence[int], anti_aliased: bool) -> list[SnakeBlock]:
    return [SnakeBlock(channels, kernel, dilations, anti_aliased) for kernel in kernels]
