"""Task refiner: clips of singing, and a trained run of svc_vits -> that model with a refiner of its latent.

The idea of so-vits-svc 5.0's plug-in diffusion: model and posterior stay as they are. What the model predicts of a crop
(the sample of the prior, brought back in who sings) and what the posterior says of its true sound are the two ends of a
flow (autosing.models.refiner), whose objective is the loss.

Shapes: B crops, S samples, F frames, D numbers of the latent, W width of the states, E = 256 singer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosing.audio.io import Audio
from autosing.checkpoint import ModelFile, describe_model
from autosing.config import Config, load_config
from autosing.errors import InputError
from autosing.models.posterior import build_posterior
from autosing.models.refiner import RefinerConfig
from autosing.models.svc_vits import SINGER_WIDTH, SvcVits, SvcVitsConfig
from autosing.models.told import Sampling, Told
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.storage.store import Place
from train.begin_with import begin_every_part, check_content
from train.codec_start import begin_with_codec
from train.config import TrainConfig
from train.crops import stacked
from train.singers import Mode, Singers
from train.task import Counts, Task, one_after_another
from train.tasks.svc_vits import SvcVitsSettings
from train.voice_crops import CropConfig, VoiceCrops, told_of


class RefinerSettings(Config):
    """The task's numbers."""

    base: str | None = None
    """A run of 'autosing train svc_vits', with its checkpoints: the posterior is in them alone. It must be given."""
    refiner: RefinerConfig = RefinerConfig()
    singer: Mode = "clip"
    """See SvcVitsSettings."""
    crop: CropConfig = CropConfig()


class TrainRefiner(Task):
    """See the module."""

    name = "refiner"
    Settings = RefinerSettings
    members = ("meta", "audio", "pitch", "loudness", "content", "singer")

    def __init__(self, config: RefinerSettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        self.settings = config
        if config.base is None:
            raise InputError("task.base: not given; need a run of 'autosing train svc_vits' that shall be refined")
        self.base = Base(Path(config.base), index)
        values = {**self.base.svc.config.dump(), "refiner": config.refiner.dump()}
        self.model_config = SvcVitsConfig.build(values, "task.refiner")
        self.model = SvcVits(self.model_config)
        self.model.load_state_dict(self.base.svc.state_dict(), strict=False)
        assert self.model.refiner is not None
        self.refiner = self.model.refiner
        self.modules = nn.ModuleDict({"model": self.refiner, "base": self.base})
        self.singers = Singers(config.singer)
        rate, hop = self.model_config.sample_rate_hz, self.model_config.hop_samples
        self.crops = VoiceCrops(config.crop, self.model_config.content, hop, rate, self.singers)
        self._prompt: dict[str, Tensor] = {}

    def describe(self) -> dict[str, str]:
        return {"refines": str(self.settings.base), "objective": self.settings.refiner.flow.objective}

    def survey(self, dataset: Place) -> None:
        self.singers.survey(dataset, self.index)

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any] | None:
        return self.crops.cut(sample, rng, self.refiner.training)

    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return stacked(items)

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        told, inside_BF = told_of(batch), batch["inside"]
        h_BWF, predicted_BDF, true_BDF, who_BE = self.base(told, batch["audio"], batch["f0"], inside_BF)
        loss = self.refiner.loss(h_BWF, predicted_BDF, true_BDF, who_BE, inside_BF)
        parts = {"flow": loss}
        if not self.refiner.training:
            if not self._prompt:
                self._prompt = batch
            refined_BDF = self.refiner.refined(h_BWF, predicted_BDF, who_BE, Sampling())
            for name, z_BDF in (("predicted_off", predicted_BDF), ("refined_off", refined_BDF)):
                parts[name] = F.mse_loss(z_BDF.mT[inside_BF], true_BDF.mT[inside_BF])
        return loss, parts

    def listen(self, step: int) -> dict[str, Audio]:
        """Two clips of the valid split: as they are, sung without the refiner, and with it."""
        if not self._prompt:
            return {}
        batch = {name: tensor[:2] for name, tensor in self._prompt.items()}
        told, f0_hz_BF, model = told_of(batch), batch["f0"], self._whole()
        sounds = {"original": batch["audio"]}
        for name, one in (("sung", self.base.svc), ("refined", model)):
            sounds[name] = one.sound(one.sing(told, Sampling()), f0_hz_BF).float()
        return one_after_another(sounds, self.model_config.sample_rate_hz)

    def export(self) -> ModelFile:
        return ModelFile("svc_vits", self.model_config.dump(), self._whole().state_dict(), self.singers.extra())

    def _whole(self) -> SvcVits:
        """The model with the refiner as it is now: what stays as it is was put in when it was built."""
        return self.model.to(self.device).eval()


class Base(nn.Module):
    """What is refined, and the posterior that says how it should be. Always in eval mode, and never trained.

    Raises InputError where the folder is no run of svc_vits, has no checkpoint, hears by other encoders than the
    dataset's, or has a refiner already.
    """

    def __init__(self, folder: Path, index: DatasetIndex) -> None:
        super().__init__()
        known = SvcVitsConfig.build(describe_model(folder, "svc_vits").config, origin=str(folder))
        option = f"task.base {folder}"
        if known.refiner is not None:
            raise InputError(f"{option}: has a refiner already; name the run that it refines")
        feature = index.features.get("content")
        check_content(option, known.content, feature.parts if feature is not None else ())
        stored = folder / "config.yaml"
        if not stored.is_file():
            raise InputError(
                f"{option}: no config.yaml in it; give the folder of 'autosing train svc_vits' itself: the posterior "
                "is no part of the model that it exports"
            )
        settings = SvcVitsSettings.build(load_config(TrainConfig, stored).task, str(stored))
        posterior = settings.posterior
        if settings.begin_with_codec is not None:
            posterior = begin_with_codec(settings.begin_with_codec).posterior(posterior)
        self.svc = SvcVits(known)
        self.posterior = build_posterior(posterior, known.latent, SINGER_WIDTH, known.sample_rate_hz, known.hop_samples)
        held = nn.ModuleDict({"generator": nn.ModuleDict({"svc": self.svc, "posterior": self.posterior})})
        begin_every_part("task.base", held, folder)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Base":
        return super().train(False)

    @torch.no_grad()
    def forward(
        self, told: Told, audio_BS: Tensor, f0_hz_BF: Tensor, inside_BF: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(h_BWF, predicted_BDF, true_BDF, who_BE). `f0_hz_BF` is 0 where unvoiced."""
        latent = (len(f0_hz_BF), self.svc.config.latent, f0_hz_BF.shape[1])
        noise_BDF = torch.randn(latent, device=f0_hz_BF.device)
        h_BWF, predicted_BDF, who_BE = self.svc.predicted(told, noise_BDF, self.svc.config.temperature, inside_BF)
        true_BDF, _ = self.posterior(audio_BS, f0_hz_BF, who_BE, inside_BF)
        return h_BWF.float(), predicted_BDF.float(), true_BDF.float(), who_BE
