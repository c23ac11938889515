"""Task vocoder: singing and its pitch -> a vocoder for log-mel frames, against discriminators.

One forward pass of the generator per step serves both phases. Discriminator: least squares. Generator: least squares
with the opposite target, feature matching (Kong 2020, HiFi-GAN, equations 1 to 6), and spectra at several windows. Some
frames are blurred, because predicted frames are smoother than true ones. `begin_with` starts from another run.

Shapes: B crops, S samples, F frames, M mel bands.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from autosing.audio.io import Audio
from autosing.checkpoint import FOLDED, ModelFile, describe_model
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.acoustic import load_space, new_space
from autosing.models.vocoder import VocoderConfig, VocoderModel, load_vocoder
from autosing.nn.discriminators import SMALL, DiscriminatorConfig, Discriminators
from autosing.nn.excitation import pulses
from autosing.schemas.sample import DatasetIndex, Sample
from train.augment import equalise, to_peak
from train.crops import crop, stacked
from train.losses.adversarial import GanLoss, discriminator_loss, judged
from train.losses.spectral import SpectralLoss
from train.task import Counts, Task


class VocoderSettings(Config):
    """The task's settings."""

    model: VocoderConfig = VocoderConfig()
    discriminators: DiscriminatorConfig = SMALL
    begin_with: str | None = None
    """A run of this task whose generator this run starts from; its config must equal `model`."""
    crop_frames: int = Field(default=96, ge=16)
    adversarial_from: int = Field(default=500, ge=0)
    """Steps in which only the spectral loss trains the generator, while the discriminators already learn."""
    gan: GanLoss = "least_squares"
    adversarial_weight: float = Field(default=1.0, ge=0)
    matching_weight: float = Field(default=2.0, ge=0)
    spectral_weight: float = Field(default=15.0, ge=0)
    blur_share: float = Field(default=0.3, ge=0, le=1)
    """The share of crops whose mel frames are blurred along time and frequency."""
    augment: bool = True


class TrainVocoder(Task):
    """See the module."""

    name = "vocoder"
    Settings = VocoderSettings
    members = ("meta", "audio", "pitch")
    phases: ClassVar[tuple[str, ...]] = ("discriminator", "generator")

    def __init__(self, config: VocoderSettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        self.settings, self.mel = config, config.model.mel
        self.generator = VocoderModel(config.model)
        if config.begin_with is not None:
            if describe_model(Path(config.begin_with), self.name).extra.get(FOLDED):
                raise InputError(
                    f"begin_with {config.begin_with}: was exported without its weight norms; give the run it came from"
                )
            known = load_vocoder(Path(config.begin_with))
            if known.config != config.model:
                raise InputError(f"begin_with {config.begin_with}: its config differs from task.model")
            self.generator.load_state_dict(known.state_dict())
        self.discriminators = Discriminators(config.discriminators)
        self.frames = load_space(new_space("log_mel", mel=self.mel))
        self.spectral = SpectralLoss(self.mel.sample_rate_hz)
        self.modules = nn.ModuleDict({
            "generator": self.generator, "discriminator": self.discriminators, "frames": self.frames,
            "spectral": self.spectral,
        })  # fmt: skip
        self._prompt: dict[str, Tensor] = {}

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any] | None:
        rate = self.mel.sample_rate_hz
        cut = crop(sample, rng, self.settings.crop_frames, self.mel.hop_samples, rate)
        audio_S = cut.audio_S
        if self.settings.augment:
            audio_S = to_peak(equalise(audio_S, rng, rate, 3.0), rng.uniform(-24, -0.5))
        blur = rng.uniform(0.5, 1.5) if rng.random() < self.settings.blur_share else 0.0
        return {"audio": np.clip(audio_S, -1, 1).astype(np.float32), "f0": cut.f0_hz_F, "blur": np.float32(blur)}

    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return stacked(items)

    def losses(
        self, batch: dict[str, Tensor], step: int, counts: Counts
    ) -> Iterator[tuple[str, Tensor, dict[str, Tensor]]]:
        settings, audio_BS, f0_hz_BF = self.settings, batch["audio"], batch["f0"]
        with torch.no_grad():
            mel_BMF = blurred(self.frames.denormalise(self.frames.frames(audio_BS, f0_hz_BF)), batch["blur"])
        pulses_BS = pulses(f0_hz_BF, self.mel.hop_samples, self.mel.sample_rate_hz)
        made_BS = self.generator.shape(mel_BMF, f0_hz_BF, pulses_BS, torch.randn_like(pulses_BS))
        yield (
            "discriminator",
            discriminator_loss(self.discriminators(audio_BS), self.discriminators(made_BS.detach()), self.settings.gan),
            {},
        )
        spectral, parts = self.spectral(made_BS, audio_BS)
        loss = settings.spectral_weight * spectral
        if step > settings.adversarial_from:
            parts["adversarial"], parts["matching"] = judged(self.discriminators, made_BS, audio_BS, settings.gan)
            loss = loss + settings.adversarial_weight * parts["adversarial"]
            loss = loss + settings.matching_weight * parts["matching"]
        if not self.generator.training and not self._prompt:
            self._prompt = {name: tensor[:1] for name, tensor in batch.items()}
        yield "generator", loss, parts

    def listen(self, step: int) -> dict[str, Audio]:
        if not self._prompt:
            return {}
        audio_BS, f0_hz_BF = self._prompt["audio"], self._prompt["f0"]
        made_BS = self.generator(self.frames.denormalise(self.frames.frames(audio_BS, f0_hz_BF)), f0_hz_BF)
        rate = self.mel.sample_rate_hz
        return {
            "original": Audio(audio_BS.cpu().numpy(), rate),
            "made": Audio(made_BS.float().cpu().numpy().clip(-1, 1), rate),
        }

    def export(self) -> ModelFile:
        return ModelFile("vocoder", self.generator.config.dump(), self.generator.state_dict(), {})


def blurred(mel_BMF: Tensor, sigma_B: Tensor) -> Tensor:
    """Frames smoothed by a Gaussian of `sigma` bands and frames; 0 leaves a clip as it is."""
    at_K = torch.arange(-3, 4, device=mel_BMF.device, dtype=mel_BMF.dtype)
    kernel_BK = (-at_K.square() / (2 * sigma_B.clamp(min=1e-3)[:, None] ** 2)).exp()
    kernel_BK = kernel_BK / kernel_BK.sum(1, keepdim=True)
    x_1BMF = F.pad(mel_BMF[None], (3, 3, 3, 3), mode="replicate")
    x_1BMF = F.conv2d(x_1BMF, kernel_BK[:, None, :, None], groups=len(mel_BMF))
    x_1BMF = F.conv2d(x_1BMF, kernel_BK[:, None, None, :], groups=len(mel_BMF))
    return torch.where(sigma_B[:, None, None] > 0, x_1BMF[0], mel_BMF)
