"""A codec of ours -> the posterior and the generator that a run of svc_vits begins with."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from autosing.codecs import load_codec
from autosing.codecs.fitted import FittedCodec
from autosing.errors import InputError
from autosing.models.posterior import ConvNeXtPosterior, PosteriorConfig
from autosing.models.svc_vits import SvcVits
from autosing.nn.source_filter import SourceFilterConfig, SourceFilterGenerator


def begin_with_codec(name: str) -> "CodecStart":
    """Raises InputError where there is no such codec of ours."""
    codec = load_codec(name)
    if not isinstance(codec, FittedCodec) or codec.latent is None:
        raise InputError(
            f"begin_with_codec {name}: no codec of ours that knows its latents; need autosing-24khz or a run of "
            "'autosing train codec'"
        )
    return CodecStart(name, codec)


@dataclass(frozen=True)
class CodecStart:
    """A codec's encoder and decoder as svc_vits's posterior and generator; latents have mean 0 and spread 1."""

    name: str
    codec: FittedCodec

    def model_values(self, values: dict[str, Any]) -> dict[str, Any]:
        """SvcVitsConfig's numbers with those that the codec brings. Raises InputError where one is given otherwise."""
        config = self.codec.model.config
        shape = SourceFilterConfig(
            width=config.decoder_width, hidden=config.decoder_hidden, blocks=config.decoder_blocks,
            filter_bands=config.filter_bands, window_samples=config.window,
        )  # fmt: skip
        brought = {
            "sample_rate_hz": config.sample_rate_hz, "hop_samples": config.hop_samples, "latent": config.latent,
            "generator": "source_filter", "source_filter": shape.dump(), "norm": False,
        }  # fmt: skip
        for key, value in brought.items():
            if values.get(key, value) != value:
                raise InputError(
                    f"task.model.{key} {values[key]}: begin_with_codec {self.name} brings {value}; leave one out"
                )
        return {**values, **brought}

    def posterior(self, config: PosteriorConfig) -> PosteriorConfig:
        """The posterior's numbers; its first spread stays as it is given."""
        own = self.codec.model.config
        return PosteriorConfig(
            kind="convnext", window_samples=own.mel_window, width=own.encoder_width, layers=own.encoder_blocks,
            hidden=own.encoder_hidden, mel_bands=own.mel_bands, first_log_std=config.first_log_std,
        )  # fmt: skip

    def give(self, model: SvcVits, posterior: nn.Module) -> None:
        """The codec's weights."""
        assert isinstance(posterior, ConvNeXtPosterior) and isinstance(model.generator, SourceFilterGenerator)
        assert self.codec.latent is not None
        network = self.codec.model
        for theirs, ours in (
            (network.decoder, model.generator.decoder), (network.envelope, model.generator.envelope),
            (network.head, model.generator.head), (network.encoder, posterior.encoder),
            (network.to_latent, posterior.to_latent), (network.cepstrum, posterior.cepstrum),
        ):  # fmt: skip
            ours.load_state_dict(theirs.state_dict())
        for part in (model, posterior):
            part.mean_D1.copy_(torch.tensor(self.codec.latent["mean"])[:, None])
            part.std_D1.copy_(torch.tensor(self.codec.latent["deviation"])[:, None])
