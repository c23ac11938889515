"""Task sts: clips of singing with their scores, and the same words spoken -> a model that sings speech.

Losses (weights in the settings): prior, flow and sound as in svc_flow (train.losses.flow), the content being what the
aligner makes of the speech; rhythm codes, which are read of the singing, guessed without it (cross-entropy), and how
far what is read lies from them (commitment); how far attention strays from where phones are spoken (guided attention);
the curves and the recogniser of visinger; and who sings, told from the encoder's states behind a reversed gradient.

`teacher`: the flow alone learns, on pairs of noise and frames that a trained run joins (train.flow_teacher).

Of a clip without speech the singing stands for it, its rhythm taken away (autosing.speech.time_map).

Shapes: B crops, F frames of the space, S frames of speech (50 Hz), J places of rhythm codes, K knots, E = 256 singer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from autosing.audio.io import Audio
from autosing.checkpoint import ModelFile, describe_model, load_model, restore
from autosing.codecs import BUNDLED
from autosing.config import Config
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.models.acoustic import Kind, MelConfig, load_space
from autosing.models.sts import Heard, Sts, StsConfig, speech_item, speech_told
from autosing.models.sung_score import ScoreTold, score_told, stacked
from autosing.models.svc_flow import SINGER_WIDTH, SvcFlow, SvcFlowConfig
from autosing.models.told import frame_times, loudness_told
from autosing.models.vocoder import load_vocoder
from autosing.nn.adversarial import GradientReversal, ReversalConfig
from autosing.nn.flow_matching import FlowConfig
from autosing.schemas.records import Part
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.speech.time_map import is_own_speech, without_rhythm
from autosing.storage.store import Place
from train.begin_with import begin_with_flow, begun_flow, begun_with_flow, check_content
from train.flow_teacher import Teacher, TeacherConfig, check_teacher, loss_of_pairs, student_config
from train.losses.flow import FlowLosses, FlowLossSettings
from train.losses.melody import melody_counts, melody_losses
from train.losses.recogniser import Recogniser
from train.score_crops import cut_crop
from train.score_prompt import own_told, sung_prompt
from train.singers import Singers
from train.spaces import asked_space
from train.task import Counts, Task

_MARGIN = 15
"""Frames of speech around the windows of a crop, which the encoder of speech sees."""


class StsSettings(Config):
    """The task's numbers. Those of the networks are StsConfig's and SvcFlowConfig's."""

    space: Kind = "codec_latent"
    codec: str = BUNDLED
    mel: MelConfig | None = None
    """Of the space log_mel; None: the vocoder's, or the defaults."""
    vocoder: str | None = None
    """A run of 'autosing train vocoder' that makes frames of log_mel sound. Without it, give losses.sound_weight 0."""
    flow: FlowConfig = FlowConfig()
    model: dict[str, Any] = Field(default_factory=dict)
    """What differs from StsConfig's defaults, but for its flow."""
    flow_model: dict[str, Any] = Field(default_factory=dict)
    """What differs from SvcFlowConfig's: width, blocks, estimator ..."""
    flow_from: str | None = None
    """A run of svc_flow, or of visinger, whose encoder, prior and flow this run's begin with. Sizes and space are that
    run's. What it takes its content in with is taken, too, where the encoders of content are the same."""
    begin_with: str | None = None
    """A run of this task, in the same space and by the same encoders, that is trained on, every part of it. With
    flow_from as well its flow gives way to that run's."""
    teacher: str | None = None
    """A run of this task whose flow is followed for pairs to learn from. This one begins as it; all else stays, and of
    the losses below there is none but the flow's."""
    teaching: TeacherConfig = TeacherConfig()
    losses: FlowLossSettings = FlowLossSettings()
    crop_frames: int = Field(default=240, ge=32)
    """Length of a training crop, in frames of the space (240: 2.56 s in the codec's latent)."""
    rhythm_after: int = Field(default=200, ge=0)
    """The step after which the codebook is begun; before, rhythm is told unquantised."""
    guessed_share: float = Field(default=0.3, ge=0, le=1)
    """How often the aligner is told codes as they are guessed, as it is in use."""
    rhythm_weight: float = Field(default=0.1, ge=0)
    commitment_weight: float = Field(default=0.25, ge=0)
    guide_weight: float = Field(default=0.1, ge=0)
    signs_dropped: float = Field(default=0.2, ge=0, le=1)
    """How often the aligner is not told the phones, and must hear them."""
    jitter_s: float = Field(default=0.02, ge=0, le=0.2)
    """Standard deviation by which the times of speech are moved, in training: words are found so well in use."""
    usual_s: tuple[float, float] = (0.04, 0.14)
    """About as long phones last in speech: so singing that stands for speech is shortened."""
    stretch: float = Field(default=0.2, ge=0)
    """Beside that each is made longer or shorter by a factor of about e to this."""
    pitch_weight: float = Field(default=1.0, ge=0)
    voicing_weight: float = Field(default=0.5, ge=0)
    loudness_weight: float = Field(default=0.5, ge=0)
    vibrato_weight: float = Field(default=0.2, ge=0)
    ctc_weight: float = Field(default=0.1, ge=0)
    singer_weight: float = Field(default=0.05, ge=0)
    reversal: ReversalConfig = ReversalConfig()
    mean_singer_share: float = Field(default=0.5, ge=0, le=1)
    """How often the singer that is told is the mean of the singer's clips, not the clip's own vector."""
    loudness_shift_db: float = Field(default=6.0, ge=0)
    """Crops are made louder or quieter by up to so much."""


class TrainSts(Task):
    """See the module."""

    name = "sts"
    Settings = StsSettings
    members = ("meta", "audio", "pitch", "loudness", "score", "speech", "singer")
    shared_buffers: ClassVar[tuple[str, ...]] = ("model.sts.aligner.rhythm.quantizer",)

    def __init__(self, config: StsSettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        self.settings = config
        feature = index.features.get("speech")
        if feature is None or not feature.parts:
            raise InputError("dataset: does not say which encoders its speech is of; build it again, with speech")
        self.model_config = _begun(config, feature.parts)
        spec, fold = self.model_config.flow.space, self.model_config.flow.fold
        self.model = Sts(self.model_config)
        self.teacher: Teacher | None = None
        if config.teacher is None:
            begin_with_flow(self.model, self.name, config.begin_with, config.flow_from)
        else:
            self.teacher = _begin_as(Path(config.teacher), self.model, config.teaching)
        self.num_frames = config.crop_frames - config.crop_frames % fold
        self.recogniser = Recogniser(fold * spec.width)
        self.reversal = GradientReversal(config.reversal)
        self.singer_head = nn.Sequential(
            nn.Linear(self.model_config.flow.width, 256), nn.GELU(), nn.Linear(256, SINGER_WIDTH)
        )
        trained = {"sts": self.model, "recogniser": self.recogniser, "singer_head": self.singer_head}
        vocoder = load_vocoder(Path(config.vocoder)) if config.vocoder else None
        self.space = load_space(spec, vocoder).requires_grad_(False)
        self.flow_losses = FlowLosses(config.losses, self.space)
        self.modules = nn.ModuleDict({"model": nn.ModuleDict(trained), **self.flow_losses.modules})
        if self.teacher is not None:
            self.modules = nn.ModuleDict({
                "model": nn.ModuleDict({"sts": self.model}), "space": self.space, "teacher": self.teacher,
            })  # fmt: skip
        self.singers = Singers("mean")
        self._read: list[Tensor] = []
        """latent_BDJ of this step's micro-batches."""
        self._prompt: dict[str, Tensor] = {}

    def describe(self) -> dict[str, str]:
        flow = self.model_config.flow
        content = ", ".join(f"{part.name} layer {part.layer}" for part in flow.content)
        return {
            "space": flow.space.kind, "speech": content, "objective": flow.flow.objective,
            "singers": str(len(self.singers.known)),
        }  # fmt: skip

    def survey(self, dataset: Place) -> None:
        self.singers.survey(dataset, self.index)
        fresh = not (self.settings.begin_with or self.settings.flow_from or self.settings.teacher)
        if fresh:
            self.singers.centre(self.model.flow.who)

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any] | None:
        settings, spec = self.settings, self.model_config.flow.space
        crop = cut_crop(sample, rng, spec, self.num_frames, settings.loudness_shift_db)
        speech_ND, knots_2K = sample.array("speech"), sample.array("speech_knots").reshape(2, -1)
        if crop is None or not len(speech_ND):
            return None
        if is_own_speech(knots_2K):
            speech_ND, knots_2K = without_rhythm(speech_ND, knots_2K, rng, settings.usual_s, settings.stretch)
        if self.model.training and settings.jitter_s:
            # The end of a phone and the start of the next are moved together.
            count = knots_2K.shape[1]
            moved_K = knots_2K[1] + settings.jitter_s * rng.standard_normal(count)[np.arange(count) // 2]
            knots_2K = np.stack([knots_2K[0], np.maximum.accumulate(moved_K)])
        times_s_F = frame_times(crop.first, self.num_frames, float(spec.rate_hz))
        return {
            **crop.item, **speech_item(speech_ND, knots_2K, times_s_F, self.model_config.reach + _MARGIN),
            "singer_E": self.singers.drawn(sample, rng, settings.mean_singer_share),
        }  # fmt: skip

    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return stacked(items)

    def counts(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {**melody_counts(batch), "labels": (batch["label_BL"] > 0).sum()}

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        settings, model = self.settings, self.model
        counts = {name: count.clamp(min=1) for name, count in counts.items()}
        told, singer_BE = score_told(batch), batch["singer_BE"]
        if not model.training and not self._prompt:
            self._prompt = batch
        if self.teacher is not None:
            content_BCF = model.aligner(speech_told(batch), told).content_BCF
            loss = loss_of_pairs(model.flow, self.teacher, own_told(batch, content_BCF), settings.losses)
            return loss, {"flow": loss}
        heard, parts = self._aligned(batch, told)
        flow_told = own_told(batch, heard.content_BCF)
        loss, of_flow, drawn = self.flow_losses(model.flow, flow_told, batch["audio_BS"], batch["f0_BF"], step)
        curves = model.drawn_curves(heard.content_BCF, told, singer_BE)
        parts |= of_flow | melody_losses(batch, curves, model.vibrato(told, singer_BE), counts)
        parts["ctc"] = self.recogniser.loss(drawn.data_BDT, drawn.pointed_BDT, batch["label_BL"], counts["labels"])
        told_BE = self.singer_head(self.reversal(drawn.h_BWT.float().mean(2), step))
        parts["singer"] = 1 - F.cosine_similarity(told_BE, singer_BE).mean()
        weights = {
            "rhythm": settings.rhythm_weight, "commitment": settings.commitment_weight, "guide": settings.guide_weight,
            "pitch": settings.pitch_weight, "voicing": settings.voicing_weight, "loudness": settings.loudness_weight,
            "vibrato": settings.vibrato_weight, "ctc": settings.ctc_weight, "singer": settings.singer_weight,
        }  # fmt: skip
        for name, weight in weights.items():
            loss = loss + weight * parts[name]
        if not model.training:
            parts["pitch_cents"] = 100 * parts["pitch"]
        return loss, parts

    def _aligned(self, batch: dict[str, Tensor], told: ScoreTold) -> tuple[Heard, dict[str, Tensor]]:
        """(what the aligner makes, the losses of rhythm and attention, and the share of the codes that is used)."""
        settings, rhythm = self.settings, self.model.aligner.rhythm
        latent_BDJ = rhythm.read(loudness_told(batch["quick_loudness_BF"]), batch["f0_BF"] > 0).float()
        coded_BDJ, commitment, _ = rhythm.quantizer(latent_BDJ)
        shown_B11 = signs_B11 = None
        if self.model.training:
            self._read.append(latent_BDJ.detach())
            drawn_2B = torch.rand(2, len(latent_BDJ), 1, 1, device=latent_BDJ.device)
            signs_B11 = (drawn_2B[0] >= settings.signs_dropped).float()
            shown_B11 = (drawn_2B[1] >= settings.guessed_share).float()
        begun = rhythm.quantizer.started
        if shown_B11 is not None:
            shown_B11 = torch.where(begun, shown_B11, 1.0)  # nothing can be guessed before there are codes
        heard = self.model.aligner(speech_told(batch), told, coded_BDJ, shown_B11, signs_B11)
        codes_BJ = rhythm.codes_of(latent_BDJ)
        guess = F.cross_entropy(heard.logits_BVJ.float(), codes_BJ)
        used = (torch.bincount(codes_BJ.flatten(), minlength=rhythm.config.codes) > 0).float().mean()
        return heard, {
            "rhythm": torch.where(begun, guess, 0 * guess), "commitment": commitment, "guide": heard.strayed,
            "codes_used": used,
        }  # fmt: skip

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """The codebook begins by k-means, then follows what is read; codes that nobody uses are moved."""
        if self.teacher is not None:
            return
        latent_BDJ, quantizer = torch.cat(self._read), self.model.aligner.rhythm.quantizer
        self.forget()
        generator = torch.Generator().manual_seed(seed_of("rhythm", step))
        if bool(quantizer.started):
            quantizer.follow([latent_BDJ.mT.flatten(0, 1)], generator)
        elif step >= self.settings.rhythm_after:
            quantizer.start(latent_BDJ, generator)

    def forget(self) -> None:
        self._read = []

    def listen(self, step: int) -> dict[str, Audio]:
        """Two clips of the valid split: as they are, sung from speech on their own pitch, and on the score's."""
        if not self._prompt or not self.space.sounds:
            return {}
        batch = {name: tensor[:2] for name, tensor in self._prompt.items()}
        told = score_told(batch)
        return sung_prompt(
            self.model, self.space, batch, told, self.model.aligner(speech_told(batch), told).content_BCF
        )

    def export(self) -> ModelFile:
        return ModelFile(self.name, self.model_config.dump(), self.model.state_dict(), self.singers.extra())


def _model_config(config: StsSettings, parts: tuple[Part, ...]) -> StsConfig:
    if config.flow_from is None:
        spec = asked_space(config.space, config.codec, config.mel, config.vocoder)
        flow = SvcFlowConfig.build({
            "centred": True, **config.flow_model, "space": spec.dump(), "content": [part.dump() for part in parts],
            "flow": config.flow.dump(),
        })  # fmt: skip
    else:
        flow = begun_flow(Path(config.flow_from), parts, config.flow_model)
    return StsConfig.build({**config.model, "flow": flow.dump()}, "task.model")


def _begun(config: StsSettings, parts: tuple[Part, ...]) -> StsConfig:
    """The model's config: that of the run which this one begins with, or as the settings ask. Raises InputError where
    settings ask for another model than that run's."""
    if config.teacher is not None:
        return _taught(config, Path(config.teacher), parts)
    if config.flow.steps is not None:
        raise InputError("task.flow.steps: a flow is distilled from another; name the trained run as task.teacher")
    asked = _model_config(config, parts)
    if config.begin_with is None:
        return asked
    begun = begun_with_flow(Path(config.begin_with), "sts", asked, config.model, config.flow_model, config.flow_from)
    check_content(f"task.begin_with {config.begin_with}", begun.flow.content, parts)
    return begun


def _taught(config: StsSettings, folder: Path, parts: tuple[Part, ...]) -> StsConfig:
    """The teacher's numbers, with the flow that is asked for. Raises InputError where it cannot teach that."""
    if config.begin_with or config.flow_from or config.model or config.flow_model:
        raise InputError(
            "task.teacher: a student begins as its teacher; leave task.begin_with, task.flow_from, task.model and "
            "task.flow_model out"
        )
    known = StsConfig.build(describe_model(folder, "sts").config, origin=str(folder))
    check_content(f"task.teacher {folder}", known.flow.content, parts)
    check_teacher(folder, known.flow.flow, config.flow)
    return known.model_copy(update={"flow": student_config(known.flow, config.flow, config.teaching)})


def _begin_as(folder: Path, model: Sts, teaching: TeacherConfig) -> Teacher:
    """The model gets the run's weights, and of it the flow alone learns. Returns the run's flow as it was."""
    file = load_model(folder, "sts")
    restore(model, file, folder)
    model.requires_grad_(False).flow.flow.requires_grad_(True)
    master = SvcFlow(SvcFlowConfig.build(file.config["flow"], str(folder)))
    master.load_state_dict(model.flow.state_dict())
    return Teacher(master, teaching)
