"""Task svc_flow: clips of singing -> a model that sings content at a pitch and a loudness in a singer's voice.

Losses (weights in the settings): the prior mean against the frames; the flow's objective around a time drawn for each
crop (autosing.nn.flow_matching); the structural similarity of prior and frames as pictures (Wang 2004, SSIM); who
sings, told from the encoder's states behind a reversed gradient (Ganin 2015); and the sound of the frames that the flow
points at, through the space's frozen decoder: spectra, and what a speech recogniser hears.

`begin_with`: fine-tuning, every part from the first step, by other singers too. `teacher`: the flow alone learns, on
pairs of noise and frames that a trained run joins (train.flow_teacher): reflow, or with `flow.steps` distillation.

Shapes: B crops, S samples, F frames of the space, T folded steps, N content frames, E = 256 singer.
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
from autosing.checkpoint import ModelFile, describe_model
from autosing.codecs import BUNDLED
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.acoustic import Kind, MelConfig, load_space, new_space
from autosing.models.content import Content, load_content
from autosing.models.svc_flow import SINGER_WIDTH, SvcFlow, SvcFlowConfig
from autosing.models.told import Sampling, Told, content_at, f0_at, loudness_at
from autosing.models.vocoder import VocoderConfig, load_vocoder
from autosing.nn.adversarial import GradientReversal, ReversalConfig
from autosing.nn.convnext_flow import fold_frames, unfold_frames
from autosing.nn.excitation import fill_gaps
from autosing.nn.flow_matching import FlowConfig, StraightFlow, drop_conditions
from autosing.schemas.records import Part
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.storage.store import Place
from autosing.timebase import PITCH_RATE_HZ
from train.augment import Disguise, disguised
from train.crops import crop, stacked
from train.flow_start import begun_with, check_flow
from train.flow_teacher import Teacher, TeacherConfig, check_teacher
from train.losses.perceptual import PerceptualLoss
from train.losses.spectral import SpectralLoss
from train.losses.structure import structure_loss
from train.singers import Mode, Singers
from train.task import Counts, Task


class SvcFlowSettings(Config):
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
    teacher: str | None = None
    """A run of this task whose flow is followed for pairs to learn from. This one begins as it; encoder and prior stay,
    and of the losses below there is none."""
    teaching: TeacherConfig = TeacherConfig()
    singer: Mode = "clip"
    """clip: who sings is told by the clip's own vector, which tells of its manner, too. mean: by its singer's mean."""
    crop_frames: int = Field(240, ge=32)
    """Length of a training crop, in frames of the space (240: 2.56 s in the codec's latent)."""
    prior_weight: float = Field(1.0, ge=0)
    structure_weight: float = Field(0.2, ge=0)
    singer_weight: float = Field(0.1, ge=0)
    reversal: ReversalConfig = ReversalConfig()
    sound_weight: float = Field(0.2, ge=0)
    """Of the spectral loss of the decoded frames; 0: nothing is decoded."""
    heard_weight: float = Field(1.0, ge=0)
    """Of what the listener hears in them."""
    sound_frames: int = Field(96, ge=32)
    """How much of a crop is decoded, from a random frame on: decoder and listener cost more than the model itself."""
    sound_after: int = Field(0, ge=0)
    """The step from which on anything is decoded: before, frames are too far off to sound like words."""
    listener: str = "whisper-tiny.en"
    drop_singer: float = Field(0.1, ge=0, le=1)
    """How often the singer is left out, so that guidance can be told from it."""
    drop_content: float = Field(0.1, ge=0, le=1)
    """How often content, pitch and loudness are."""
    disguise_share: float = Field(0.0, ge=0, le=1)
    """How often content is heard anew from the crop in another voice (train.augment). Costs an encoder's pass."""
    disguise: Disguise = Disguise()
    loudness_shift_db: float = Field(6.0, ge=0)
    """Crops are made louder or quieter by up to so much."""
    files: dict[str, str] = Field(default_factory=dict)
    """Content encoder -> its file of weights, where it is the user's own; see the stage."""


class TrainSvcFlow(Task):
    """See the module."""

    name = "svc_flow"
    Settings = SvcFlowSettings
    members: ClassVar[tuple[str, ...]] = ("meta", "audio", "pitch", "loudness", "content", "singer")

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
        self.modules["space"] = self.space
        self.spectral = self.heard = None
        if self.teacher is not None:
            self.modules["teacher"] = self.teacher
        elif config.sound_weight > 0:
            self.space.check_sounds("by task.vocoder")
            self.spectral = self.modules["spectral"] = SpectralLoss(spec.sample_rate_hz)
            if config.heard_weight > 0:
                self.heard = self.modules["heard"] = PerceptualLoss(spec.sample_rate_hz, config.listener)
        self.singers = Singers(config.singer)
        self._content: Content | None = None
        self._prompt: dict[str, Tensor] = {}

    def describe(self) -> dict[str, str]:
        content = ", ".join(f"{part.name} layer {part.layer}" for part in self.model_config.content)
        return {
            "space": self.settings.space, "content": content, "objective": self.settings.flow.objective,
            "singers": str(len(self.singers.known)),
        }  # fmt: skip

    def survey(self, dataset: Place) -> None:
        self.singers.survey(dataset, self.index)

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any] | None:
        settings, spec = self.settings, self.model_config.space
        rate, wanted = spec.sample_rate_hz, self.num_frames * spec.hop_samples
        cut = crop(sample, rng, self.num_frames, spec.hop_samples, rate)
        start_s, times_s_F = cut.start_s, cut.times_s_F
        gain_db = rng.uniform(-settings.loudness_shift_db, settings.loudness_shift_db)
        gain_db = min(gain_db, -20 * np.log10(float(np.abs(cut.audio_S).max(initial=1e-3)) + 1e-6))
        audio_S = cut.audio_S * np.float32(10 ** (gain_db / 20))
        item = {
            "audio": audio_S.astype(np.float32), "f0": cut.f0_hz_F,
            "loudness": loudness_at(sample.array("loudness"), times_s_F) + np.float32(gain_db),
            "singer": self.singers.of(sample),
        }  # fmt: skip
        if rng.random() < settings.disguise_share:
            at_T = start_s + np.arange(round(wanted / rate * float(PITCH_RATE_HZ))) / float(PITCH_RATE_HZ)
            moved_S = disguised(audio_S, rate, rng, settings.disguise, f0_at(sample.array("pitch"), at_T))
            content_ND = self._hear()(Audio(moved_S[None], rate))
            item["content"] = content_at(content_ND, times_s_F - start_s).T
        else:
            item["content"] = content_at(sample.array("content"), times_s_F).T
        return item

    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return stacked(items)

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        settings, model = self.settings, self.model
        told = self._told(batch)
        if not model.training and not self._prompt:
            self._prompt = batch
        if self.teacher is not None:
            return self._loss_of_pairs(self.teacher, told)
        with torch.no_grad(), torch.autocast(batch["audio"].device.type, enabled=False):
            x_BDF = self.space.frames(batch["audio"], batch["f0"])
        data_BDT = fold_frames(x_BDF, self.model_config.fold)
        h_BWT = model.tell(told)
        nobody_E = torch.zeros(SINGER_WIDTH, device=h_BWT.device)
        dropped = settings.drop_singer if model.training else 0.0
        singer_BE = drop_conditions(told.singer_BE, nobody_E, dropped)
        mu_BDT = model.prior(h_BWT, singer_BE)
        parts = {"prior": F.mse_loss(mu_BDT.float(), data_BDT)}
        heard_BWT, known_BDT = h_BWT, mu_BDT.detach()
        if model.training:
            kept_B11 = (torch.rand(len(h_BWT), 1, 1, device=h_BWT.device) >= settings.drop_content).to(h_BWT.dtype)
            heard_BWT, known_BDT = h_BWT * kept_B11, known_BDT * kept_B11
        estimate = model.estimator(heard_BWT, known_BDT, singer_BE)
        objective = model.objective
        t_B = objective.draw_times(torch.rand(len(data_BDT), device=data_BDT.device))
        source_BDT = objective.source(known_BDT.float(), torch.randn_like(data_BDT))
        point_BDT, target_BDT = objective.point(data_BDT, source_BDT, known_BDT.float(), t_B)
        estimate_BDT = estimate(point_BDT, t_B).float()
        parts["flow"] = F.mse_loss(estimate_BDT, target_BDT)
        loss = settings.prior_weight * parts["prior"] + parts["flow"]
        if settings.structure_weight:
            parts["structure"] = structure_loss(mu_BDT.float(), data_BDT)
            loss = loss + settings.structure_weight * parts["structure"]
        if settings.singer_weight:
            told_BE = self.singer_head(self.reversal(h_BWT.float().mean(2), step))
            parts["singer"] = 1 - F.cosine_similarity(told_BE, told.singer_BE).mean()
            loss = loss + settings.singer_weight * parts["singer"]
        sounds = step >= settings.sound_after or not model.training  # so that validation losses stay comparable
        if self.spectral is not None and isinstance(objective, StraightFlow) and sounds:
            pointed_BDT = point_BDT + (1 - t_B)[:, None, None] * estimate_BDT
            made_BS, true_BS = self._sound_of_window(pointed_BDT, batch)
            parts["sound"], _ = self.spectral(made_BS, true_BS)
            loss = loss + settings.sound_weight * parts["sound"]
            if self.heard is not None:
                parts["heard"] = self.heard(made_BS, true_BS)
                loss = loss + settings.heard_weight * parts["heard"]
        return loss, parts

    def _loss_of_pairs(self, teacher: Teacher, told: Told) -> tuple[Tensor, dict[str, Tensor]]:
        settings, model = self.settings, self.model
        shares = (settings.drop_singer, settings.drop_content) if model.training else (0.0, 0.0)
        shown = teacher.lesson(told, *shares)
        estimate = model.estimator(shown.h_BWT, shown.mu_BDT, shown.singer_BE)
        loss = model.objective.loss(
            lambda x_BDT, t_B: estimate(x_BDT, t_B).float(), shown.data_BDT, shown.mu_BDT.float(),
            source_BDT=shown.source_BDT, times_K=self.model_config.flow.times_K,
        )  # fmt: skip
        return loss, {"flow": loss}

    def _sound_of_window(self, x_BDT: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(made_BS, true_BS) of `sound_frames` frames: from a random one on, in validation from the first on."""
        frames_BDF = unfold_frames(x_BDT, self.model_config.fold, self.num_frames)
        length, hop = min(self.settings.sound_frames, self.num_frames), self.model_config.space.hop_samples
        latest = self.num_frames - length if self.model.training else 0
        first = int(torch.randint(latest + 1, ()))
        made_BS = self.space.sound(frames_BDF[..., first : first + length], batch["f0"][:, first : first + length])
        return made_BS, batch["audio"][:, first * hop : (first + length) * hop]

    def listen(self, step: int) -> dict[str, Audio]:
        """Two clips of the valid split: as they are, through the space, sung again, and each in the other's voice."""
        if not self._prompt or not self.space.sounds:
            return {}
        batch = {name: tensor[:2] for name, tensor in self._prompt.items()}
        told, rate = self._told(batch), self.model_config.space.sample_rate_hz
        swapped = Told(told.content_BCF, told.f0_hz_BF, told.voiced_BF, told.loudness_db_BF, told.singer_BE.flip(0))
        sounds = {
            "original": batch["audio"],
            "space": self.space.sound(self.space.frames(batch["audio"], batch["f0"]), batch["f0"]),
            "sung": self.space.sound(self.model.sing(told, Sampling()), batch["f0"]),
            "exchanged": self.space.sound(self.model.sing(swapped, Sampling()), batch["f0"]),
        }
        return {
            name: Audio(audio_BS.flatten()[None].cpu().numpy().clip(-1, 1), rate) for name, audio_BS in sounds.items()
        }

    def export(self) -> ModelFile:
        return ModelFile("svc_flow", self.model_config.dump(), self.model.state_dict(), self.singers.extra())

    def _told(self, batch: dict[str, Tensor]) -> Told:
        return Told(batch["content"], fill_gaps(batch["f0"]), batch["f0"] > 0, batch["loudness"], batch["singer"])

    def _hear(self) -> Content:
        """The dataset's own encoders."""
        if self._content is None:
            self._content = load_content(self.model_config.content, self.settings.files)
        return self._content


def _beginning(settings: SvcFlowSettings, parts: Sequence[Part]) -> tuple[SvcFlow, Teacher | None]:
    """The model as training begins, and who teaches it. Raises InputError where a named run does not fit."""
    mel = settings.mel
    if settings.space != "log_mel" and (mel or settings.vocoder):
        raise InputError(f"task.mel, task.vocoder: of the space log_mel, not of {settings.space}; leave them out")
    if mel is None and settings.vocoder:
        mel = VocoderConfig.build(describe_model(Path(settings.vocoder), "vocoder").config).mel
    spec = new_space(settings.space, settings.codec, mel if settings.space == "log_mel" else None)
    asked = SvcFlowConfig.build({
        **settings.model, "space": spec.dump(), "content": [part.dump() for part in parts],
        "flow": settings.flow.dump(),
    })  # fmt: skip
    if settings.begin_with and settings.teacher:
        raise InputError("task.begin_with and task.teacher: a student begins as its teacher; give one of them")
    if settings.flow.steps is not None and not settings.teacher:
        raise InputError("task.flow.steps: a flow is distilled from another; name the trained run as task.teacher")
    if settings.begin_with:
        folder = Path(settings.begin_with)
        model = begun_with("task.begin_with", folder, asked, settings.model)
        check_flow("task.begin_with", folder, model.config.flow, asked.flow)
        return model, None
    if settings.teacher:
        folder = Path(settings.teacher)
        master = begun_with("task.teacher", folder, asked, settings.model)
        check_teacher(folder, master.config.flow, asked.flow)
        student = SvcFlow(master.config.model_copy(update={"flow": asked.flow}))
        student.load_state_dict(master.state_dict())
        student.requires_grad_(False).flow.requires_grad_(True)
        return student, Teacher(master, settings.teaching)
    return SvcFlow(asked), None
