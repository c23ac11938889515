"""Task visinger: clips of singing with their scores -> a model that sings scores.

Losses (weights in the settings): prior, flow and sound as in svc_flow (train.losses.flow), the content being the
score's; f0 beside the notes' pitch (L1, in semitones), voicing (cross-entropy), loudness (L1), vibrato as measured in
each long note; lengths of consonants (L1 of logarithms); and CTC (Graves et al. 2006): a small recogniser learns the
phones of true frames, and the frames that the flow points at must be read by it likewise (train.losses.recogniser).

Shapes: B crops, S samples, F frames of the space, T folded steps, D numbers a frame, N signs, P phones, M notes,
L labels, E = 256 singer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from autosing.audio.io import Audio
from autosing.checkpoint import ModelFile
from autosing.codecs import BUNDLED
from autosing.config import Config
from autosing.models.acoustic import Kind, MelConfig, load_space
from autosing.models.sung_score import ScoreTold, lengths_told, score_told, stacked
from autosing.models.visinger import Visinger, VisingerConfig, content_part, flow_config
from autosing.models.vocoder import load_vocoder
from autosing.nn.flow_matching import FlowConfig
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.storage.store import Place
from train.begin_with import begin_with_flow, begun_flow, begun_with_flow
from train.losses.flow import FlowLosses, FlowLossSettings
from train.losses.melody import melody_counts, melody_losses
from train.losses.recogniser import Recogniser
from train.score_crops import cut_crop, lengths_of
from train.score_prompt import own_told, sung_prompt
from train.singers import Singers
from train.spaces import asked_space
from train.task import Counts, Task


class VisingerSettings(Config):
    """The task's numbers. Those of the networks are VisingerConfig's and SvcFlowConfig's."""

    space: Kind = "codec_latent"
    codec: str = BUNDLED
    mel: MelConfig | None = None
    """Of the space log_mel; None: the vocoder's, or the defaults."""
    vocoder: str | None = None
    """A run of 'autosing train vocoder' that makes frames of log_mel sound, for the losses of sound and for listening.
    Without it, give losses.sound_weight 0."""
    flow: FlowConfig = FlowConfig()
    model: dict[str, Any] = Field(default_factory=dict)
    """What differs from VisingerConfig's defaults, but for its flow."""
    flow_model: dict[str, Any] = Field(default_factory=dict)
    """What differs from SvcFlowConfig's: width, blocks, estimator ..."""
    losses: FlowLossSettings = FlowLossSettings()
    crop_frames: int = Field(default=240, ge=32)
    """Length of a training crop, in frames of the space (240: 2.56 s in the codec's latent)."""
    pitch_weight: float = Field(default=1.0, ge=0)
    voicing_weight: float = Field(default=0.5, ge=0)
    loudness_weight: float = Field(default=0.5, ge=0)
    vibrato_weight: float = Field(default=0.2, ge=0)
    length_weight: float = Field(default=0.5, ge=0)
    ctc_weight: float = Field(default=0.1, ge=0)
    mean_singer_share: float = Field(default=0.5, ge=0, le=1)
    """How often the singer that is told is the mean of the singer's clips in the train split, not the clip's own
    vector: both are asked for in use, singers of the run by their mean and others by what was enrolled."""
    loudness_shift_db: float = Field(default=6.0, ge=0)
    """Crops are made louder or quieter by up to so much."""
    flow_from: str | None = None
    """A run of svc_flow whose encoder, prior and flow this run's begin with: they know voices already, and its content
    alone is new to them. Sizes and space are that run's."""
    begin_with: str | None = None
    """A run of this task, in the same space, that is trained on; every part of it goes on learning. With flow_from as
    well its flow gives way to that run's: what it knows of scores meets a flow that has learnt more of voices."""


class TrainVisinger(Task):
    """See the module."""

    name = "visinger"
    Settings = VisingerSettings
    members = ("meta", "audio", "pitch", "loudness", "score", "singer")

    def __init__(self, config: VisingerSettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        self.settings = config
        self.model_config = _begun(config)
        spec = self.model_config.flow.space
        self.model = Visinger(self.model_config)
        begin_with_flow(self.model, self.name, config.begin_with, config.flow_from)
        fold = self.model_config.flow.fold
        self.num_frames = config.crop_frames - config.crop_frames % fold
        self.recogniser = Recogniser(fold * spec.width)
        trained = nn.ModuleDict({"visinger": self.model, "recogniser": self.recogniser})
        vocoder = load_vocoder(Path(config.vocoder)) if config.vocoder else None
        self.space = load_space(spec, vocoder).requires_grad_(False)
        self.flow_losses = FlowLosses(config.losses, self.space)
        self.modules = nn.ModuleDict({"model": trained, **self.flow_losses.modules})
        self.singers = Singers("mean")
        self._prompt: dict[str, Tensor] = {}

    def describe(self) -> dict[str, str]:
        flow = self.model_config.flow
        return {
            "space": flow.space.kind, "objective": flow.flow.objective, "singers": str(len(self.singers.known)),
        }  # fmt: skip

    def survey(self, dataset: Place) -> None:
        self.singers.survey(dataset, self.index)

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any] | None:
        settings, spec = self.settings, self.model_config.flow.space
        crop = cut_crop(sample, rng, spec, self.num_frames, settings.loudness_shift_db)
        if crop is None:
            return None
        singer_E = self.singers.drawn(sample, rng, settings.mean_singer_share)
        return {**crop.item, **lengths_of(crop.score), "singer_E": singer_E}

    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return stacked(items)

    def counts(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            **melody_counts(batch), "consonants": batch["consonant_BP"].sum(),
            "labels": (batch["label_BL"] > 0).sum(),
        }  # fmt: skip

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        settings, model = self.settings, self.model
        counts = {name: count.clamp(min=1) for name, count in counts.items()}
        told = score_told(batch)
        content_BCF = model.score(told)
        flow_told = own_told(batch, content_BCF)
        loss, parts, drawn = self.flow_losses(model.flow, flow_told, batch["audio_BS"], batch["f0_BF"], step)
        parts |= self._melody_losses(batch, told, content_BCF, counts)
        parts["ctc"] = self.recogniser.loss(drawn.data_BDT, drawn.pointed_BDT, batch["label_BL"], counts["labels"])
        weights = {
            "pitch": settings.pitch_weight, "voicing": settings.voicing_weight, "loudness": settings.loudness_weight,
            "vibrato": settings.vibrato_weight, "length": settings.length_weight, "ctc": settings.ctc_weight,
        }  # fmt: skip
        for name, weight in weights.items():
            loss = loss + weight * parts[name]
        if not model.training:
            parts["pitch_cents"] = 100 * parts["pitch"]
            if not self._prompt:
                self._prompt = batch
        return loss, parts

    def _melody_losses(
        self, batch: dict[str, Tensor], told: ScoreTold, content_BCF: Tensor, counts: Counts
    ) -> dict[str, Tensor]:
        model, singer_BE = self.model, batch["singer_BE"]
        curves = model.drawn_curves(content_BCF, told, singer_BE)
        lengths_BP = model.lengths(lengths_told(batch), singer_BE).float()
        length_error_BP = (lengths_BP - batch["length_BP"]).abs() * batch["consonant_BP"]
        return {
            **melody_losses(batch, curves, model.vibrato(told, singer_BE), counts),
            "length": length_error_BP.sum() / counts["consonants"],
        }

    def listen(self, step: int) -> dict[str, Audio]:
        """Two clips of the valid split: as they are, sung on their own pitch, and sung from the score alone."""
        if not self._prompt or not self.space.sounds:
            return {}
        batch = {name: tensor[:2] for name, tensor in self._prompt.items()}
        told = score_told(batch)
        return sung_prompt(self.model, self.space, batch, told, self.model.score(told))

    def export(self) -> ModelFile:
        return ModelFile(self.name, self.model_config.dump(), self.model.state_dict(), self.singers.extra())


def _model_config(config: VisingerSettings) -> VisingerConfig:
    content = config.model.get("content", VisingerConfig.model_fields["content"].default)
    if config.flow_from is None:
        spec = asked_space(config.space, config.codec, config.mel, config.vocoder)
        flow = flow_config(spec, content, {**config.flow_model, "flow": config.flow.dump()})
    else:
        flow = begun_flow(Path(config.flow_from), (content_part(content),), config.flow_model)
    return VisingerConfig.build({**config.model, "flow": flow.dump()}, "task.model")


def _begun(config: VisingerSettings) -> VisingerConfig:
    """The model's config: that of the run which this one begins with, or as the settings ask. Raises InputError where
    settings ask for another model than that run's."""
    asked = _model_config(config)
    if config.begin_with is None:
        return asked
    return begun_with_flow(
        Path(config.begin_with), "visinger", asked, config.model, config.flow_model, config.flow_from
    )
