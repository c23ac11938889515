"""Task svc_flow: clips of singing -> a model that sings content at a pitch and a loudness in a singer's voice.

Losses (weights in the settings): prior, flow and sound (train.losses.flow), and who sings, told from the encoder's
states behind a reversed gradient (Ganin 2015).

`exchange`: some crops are also sung in another's voice, which a speaker encoder hears (train.exchange).

`begin_with`: fine-tuning, every part from the first step, by other singers too. `flow_from`: the flow of a run, of this
task or of visinger, with another content. `teacher`: the flow alone learns, on
pairs of noise and frames that a trained run joins (train.flow_teacher): reflow, or with `flow.steps` distillation.

Shapes: B crops, S samples, F frames of the space, T folded steps, N content frames, E = 256 singer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from autosing.audio.io import Audio
from autosing.checkpoint import ModelFile, load_model, restore
from autosing.codecs import BUNDLED
from autosing.errors import InputError
from autosing.models.acoustic import Kind, MelConfig, load_space
from autosing.models.svc_flow import SINGER_WIDTH, SvcFlow, SvcFlowConfig
from autosing.models.told import Sampling, Told
from autosing.models.vocoder import load_vocoder
from autosing.nn.adversarial import GradientReversal, ReversalConfig
from autosing.nn.flow_matching import FlowConfig, StraightFlow
from autosing.schemas.records import Part
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.storage.store import Place
from train.augment import Disguise
from train.begin_with import begin_flow, begun_config, begun_flow, check_content, check_flow, check_space
from train.crops import stacked
from train.exchange import ExchangeConfig, exchange_loss
from train.flow_teacher import Teacher, TeacherConfig, check_teacher, loss_of_pairs, student_config
from train.losses.flow import FlowLosses, FlowLossSettings
from train.losses.voice import VoiceLoss
from train.recast import RecastConfig
from train.singers import Mode, Singers
from train.spaces import asked_space
from train.task import Counts, Task, one_after_another
from train.voice_crops import CropConfig, VoiceCrops, told_of


class SvcFlowSettings(FlowLossSettings):
    """The task's numbers. Those of the networks are SvcFlowConfig's."""

    space: Kind = "codec_latent"
    codec: str = BUNDLED
    mel: MelConfig | None = None
    """Of the space log_mel; None: the vocoder's, or the defaults."""
    vocoder: str | None = None
    """A run of 'autosing train vocoder' that makes frames of log_mel sound, for the losses of sound and for listening.
    Without it, give sound_weight 0."""
    flow: FlowConfig = FlowConfig()
    model: dict[str, Any] = Field(default_factory=dict)
    """What differs from SvcFlowConfig's defaults, or from the run that this one begins with: width, blocks ..."""
    begin_with: str | None = None
    """A run of this task that is trained on, in the same space, by the same encoders of content."""
    flow_from: str | None = None
    """A run of this task, or of visinger, whose encoder, prior and flow are begun with. Sizes, space and the singers'
    centre are that run's; what it takes its content in with, too, where the encoders of content are the same."""
    teacher: str | None = None
    """A run of this task whose flow is followed for pairs to learn from. This one begins as it; encoder and prior stay,
    and of the losses below there is none."""
    teaching: TeacherConfig = TeacherConfig()
    singer: Mode = "clip"
    """clip: who sings is told by the clip's own vector, which tells of its manner, too. mean: by its singer's mean."""
    crop_frames: int = Field(240, ge=32)
    """Length of a training crop, in frames of the space (240: 2.56 s in the codec's latent)."""
    singer_weight: float = Field(0.1, ge=0)
    reversal: ReversalConfig = ReversalConfig()
    disguise_share: float = Field(0.0, ge=0, le=1)
    """How often content is heard anew from the crop in another voice (train.augment), in training only. Costs an
    encoder's pass."""
    disguise: Disguise = Disguise()
    drop_encoder: float = Field(0.0, ge=0, le=1)
    """Of several encoders of content, how often one is not heard in training."""
    recast: RecastConfig = RecastConfig()
    """Clips sung by other voices than their content is heard from (train.recast)."""
    exchange: ExchangeConfig = ExchangeConfig()
    """Crops sung in another's voice, which must be reached (train.exchange)."""
    loudness_shift_db: float = Field(6.0, ge=0)
    """Crops are made louder or quieter by up to so much."""
    files: dict[str, str] = Field(default_factory=dict)
    """Content encoder -> its file of weights, where it is the user's own; see the stage."""


class TrainSvcFlow(Task):
    """See the module."""

    name = "svc_flow"
    Settings = SvcFlowSettings
    members = ("meta", "audio", "pitch", "loudness", "content", "singer")

    def __init__(self, config: SvcFlowSettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        self.settings = config
        feature = index.features.get("content")
        if feature is None or not feature.parts:
            raise InputError("dataset: does not say which encoders its content is of; build it again, with content")
        self.model, self.teacher = _beginning(config, feature.parts)
        self.model_config = self.model.config
        spec = self.model_config.space
        vocoder = load_vocoder(Path(config.vocoder)) if config.vocoder else None
        self.space = load_space(spec, vocoder).requires_grad_(False)
        self.num_frames = config.crop_frames - config.crop_frames % self.model_config.fold
        self.reversal = GradientReversal(config.reversal)
        self.singer_head = nn.Sequential(
            nn.Linear(self.model_config.width, 256), nn.GELU(), nn.Linear(256, SINGER_WIDTH)
        )
        self.modules = nn.ModuleDict({"model": nn.ModuleDict({"svc": self.model, "singer_head": self.singer_head})})
        if self.teacher is not None:
            self.modules["space"] = self.space
            self.modules["teacher"] = self.teacher
        else:
            self.flow_losses = FlowLosses(config, self.space)
            self.modules.update(self.flow_losses.modules)
        self.voice: VoiceLoss | None = None
        if config.exchange.weight and self.teacher is None:
            if not isinstance(self.model.objective, StraightFlow):
                raise InputError("task.exchange.weight: one step makes the frames, which needs a straight flow; give 0")
            self.space.check_sounds("by task.vocoder")
            self.voice = self.modules["voice"] = VoiceLoss(spec.sample_rate_hz)
        self.singers = Singers(config.singer)
        crops = CropConfig(
            frames=self.num_frames, loudness_shift_db=config.loudness_shift_db, disguise_share=config.disguise_share,
            disguise=config.disguise, drop_encoder=config.drop_encoder, recast=config.recast, files=config.files,
        )  # fmt: skip
        self.crops = VoiceCrops(crops, feature.parts, spec.hop_samples, spec.sample_rate_hz, self.singers)
        self._prompt: dict[str, Tensor] = {}

    def describe(self) -> dict[str, str]:
        content = ", ".join(f"{part.name} layer {part.layer}" for part in self.model_config.content)
        return {
            "space": self.settings.space, "content": content, "objective": self.settings.flow.objective,
            "singers": str(len(self.singers.known)),
        }  # fmt: skip

    def survey(self, dataset: Place) -> None:
        self.singers.survey(dataset, self.index)
        fresh = not (self.settings.begin_with or self.settings.flow_from or self.settings.teacher)
        if fresh:
            self.singers.centre(self.model.who)

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any] | None:
        return self.crops.cut(sample, rng, self.model.training)

    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return stacked(items)

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        settings, model = self.settings, self.model
        told = told_of(batch)
        if not model.training and not self._prompt:
            self._prompt = batch
        if self.teacher is not None:
            loss = loss_of_pairs(model, self.teacher, told, settings)
            return loss, {"flow": loss}
        loss, parts, drawn = self.flow_losses(model, told, batch["audio"], batch["f0"], step)
        if settings.singer_weight:
            told_BE = self.singer_head(self.reversal(drawn.h_BWT.float().mean(2), step))
            parts["singer"] = 1 - F.cosine_similarity(told_BE, told.singer_BE).mean()
            loss = loss + settings.singer_weight * parts["singer"]
        if self.voice is not None and len(batch["f0"]) > 1:
            parts["voice"] = exchange_loss(settings.exchange, model, self.space, self.voice, told)
            loss = loss + settings.exchange.weight * parts["voice"]
        return loss, parts

    def listen(self, step: int) -> dict[str, Audio]:
        """Two clips of the valid split: as they are, through the space, sung again, and each in the other's voice."""
        if not self._prompt or not self.space.sounds:
            return {}
        batch = {name: tensor[:2] for name, tensor in self._prompt.items()}
        told, rate = told_of(batch), self.model_config.space.sample_rate_hz
        swapped = Told(told.content_BCF, told.f0_hz_BF, told.voiced_BF, told.loudness_db_BF, told.singer_BE.flip(0))
        sounds = {
            "original": batch["audio"],
            "space": self.space.sound(self.space.frames(batch["audio"], batch["f0"]), batch["f0"]),
            "sung": self.space.sound(self.model.sing(told, Sampling()), batch["f0"]),
            "exchanged": self.space.sound(self.model.sing(swapped, Sampling()), batch["f0"]),
        }
        return one_after_another(sounds, rate)

    def export(self) -> ModelFile:
        return ModelFile("svc_flow", self.model_config.dump(), self.model.state_dict(), self.singers.extra())


def _beginning(settings: SvcFlowSettings, parts: Sequence[Part]) -> tuple[SvcFlow, Teacher | None]:
    """The model as training begins, and who teaches it. Raises InputError where a named run does not fit."""
    spec = asked_space(settings.space, settings.codec, settings.mel, settings.vocoder)
    asked = SvcFlowConfig.build({
        "centred": True, **settings.model, "space": spec.dump(), "content": [part.dump() for part in parts],
        "flow": settings.flow.dump(),
    })  # fmt: skip
    if settings.begin_with and settings.teacher:
        raise InputError("task.begin_with and task.teacher: a student begins as its teacher; give one of them")
    if settings.flow_from and (settings.begin_with or settings.teacher):
        raise InputError("task.flow_from: the flow is that of one run; leave task.begin_with and task.teacher out")
    if settings.flow.steps is not None and not settings.teacher:
        raise InputError("task.flow.steps: a flow is distilled from another; name the trained run as task.teacher")
    if settings.begin_with:
        model = _begun("task.begin_with", Path(settings.begin_with), asked, settings)
        check_flow(f"task.begin_with {settings.begin_with}", model.config.flow, asked.flow)
        return model, None
    if settings.teacher:
        folder = Path(settings.teacher)
        master = _begun("task.teacher", folder, asked, settings)
        check_teacher(folder, master.config.flow, asked.flow)
        student = SvcFlow(student_config(master.config, asked.flow, settings.teaching))
        student.load_state_dict(master.state_dict())
        student.requires_grad_(False).flow.requires_grad_(True)
        return student, Teacher(master, settings.teaching)
    if settings.flow_from:
        folder = Path(settings.flow_from)
        known = begun_flow(folder, asked.content, settings.model, "task.model")
        check_space(f"task.flow_from {folder}", known.space, spec)
        check_flow(f"task.flow_from {folder}", known.flow, asked.flow)
        model = SvcFlow(known)
        begin_flow(model, folder, known.content)
        return model, None
    return SvcFlow(asked), None


def _begun(option: str, folder: Path, asked: SvcFlowConfig, settings: SvcFlowSettings) -> SvcFlow:
    """The run's networks as it left them. The space's means and spreads are the run's own, too."""
    known = begun_config(option, folder, "svc_flow", asked, settings.model)
    check_space(f"{option} {folder}", known.space, asked.space)
    check_content(f"{option} {folder}", known.content, asked.content)
    model = SvcFlow(known)
    restore(model, load_model(folder, "svc_flow"), folder)
    return model
