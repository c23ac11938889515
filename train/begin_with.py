"""What was trained before -> the networks that a run begins with: another run's, or those of a codec of ours."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autosing.checkpoint import describe_model
from autosing.codecs import load_codec
from autosing.codecs.fitted import FittedCodec
from autosing.errors import InputError
from autosing.models.posterior import ConvNeXtPosterior, PosteriorConfig
from autosing.models.svc_vits import SvcVits
from autosing.nn.source_filter import SourceFilterConfig, SourceFilterGenerator
from train.state import checkpoints, read_checkpoint


def begin_with_run(modules: nn.ModuleDict, folder: Path, kind: str, config: dict[str, Any]) -> None:
    """Every trained part of a run's last checkpoint (the averages where it keeps them) into modules of the same
    numbers, those parts too that an exported model leaves out.

    Raises InputError where the folder is no such run, its model has other numbers, or its checkpoints are gone.
    """
    known = describe_model(folder, kind).config
    other = sorted(key for key in known.keys() | config.keys() if known.get(key) != config.get(key))
    if other:
        raise InputError(
            f"begin_with {folder}: its {other[0]} is {known.get(other[0])}, this run's {config.get(other[0])}; need "
            "the same model and content"
        )
    found = checkpoints(folder)
    if not found:
        raise InputError(f"begin_with {folder}: no checkpoint in it; give the run's own folder, with checkpoints/")
    held = read_checkpoint(found[-1])
    state, own = {**held["modules"], **(held["ema"] or {})}, modules.state_dict()
    unlike = [n for n, value in own.items() if n not in state or state[n].shape != value.shape]
    if unlike:
        raise InputError(
            f"begin_with {folder}: {unlike[0]} is not there or of another size; need the same posterior and "
            "discriminators"
        )
    modules.load_state_dict({name: state[name] for name in own})


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
