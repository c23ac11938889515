"""Task visinger: clips of singing with their scores -> a model that sings scores.

Losses (weights in the settings): prior, flow and sound as in svc_flow (train.losses.flow), the content being the
score's; f0 beside the notes' pitch (L1, in semitones), voicing (cross-entropy), loudness (L1), vibrato as measured in
each long note; lengths of consonants (L1 of logarithms); and CTC (Graves et al. 2006): a small recogniser learns the
phones of true frames, and the frames that the flow points at must be read by it likewise (VISinger puts CTC on the
latent of its posterior, which it trains; a codec's latent is as it is).

Shapes: B crops, S samples, F frames of the space, T folded steps, D numbers a frame, N signs, P phones, M notes,
L labels, E = 256 singer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from autosing.audio.io import Audio, resample
from autosing.checkpoint import ModelFile, load_model, restore
from autosing.codecs import BUNDLED
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.acoustic import Kind, MelConfig, load_space
from autosing.models.melody import (
    PHONES,
    length_target,
    loudness_unit,
    measured_vibrato,
    smoothed,
    vibrato_cents,
)
from autosing.models.singers import KnownSinger, as_extra
from autosing.models.sung_score import (
    Item,
    ScoreTold,
    lengths_item,
    lengths_told,
    score_item,
    score_told,
    stacked,
)
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.models.told import Sampling, Told, f0_at, frame_times, loudness_at
from autosing.models.visinger import Visinger, VisingerConfig, content_part, flow_config
from autosing.models.vocoder import load_vocoder
from autosing.nn.convnext import ConvNeXt
from autosing.nn.excitation import fill_gaps
from autosing.nn.flow_matching import FlowConfig
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.score.score import Score
from autosing.storage.store import Place
from train.losses.flow import FlowLosses, FlowLossSettings
from train.singers import singers_of
from train.spaces import asked_space
from train.task import Counts, Task, one_after_another

_LOUDNESS_S = 0.15
"""Loudness is told smoothed over so long."""
_SILENT_DB = -80.0
"""What is quieter is told as this."""
_FARTHEST = 4.0
"""Semitones from the note: a tracker's octave error, or another note than the score's; nothing is learnt from it."""


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
    """A run of this task whose weights the run begins with; every part of them goes on learning. Its model and space
    are this run's too, whatever the settings say."""


class TrainVisinger(Task):
    """See the module."""

    name = "visinger"
    Settings = VisingerSettings
    members: ClassVar[tuple[str, ...]] = ("meta", "audio", "pitch", "loudness", "score", "singer")

    def __init__(self, config: VisingerSettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        self.settings = config
        self.model_config = _begun(config) or _model_config(config)
        spec = self.model_config.flow.space
        self.model = Visinger(self.model_config)
        if config.flow_from is not None:
            _begin_flow(self.model.flow, Path(config.flow_from))
        if config.begin_with is not None:
            folder = Path(config.begin_with)
            restore(self.model, load_model(folder, self.name), folder)
        fold = self.model_config.flow.fold
        self.num_frames = config.crop_frames - config.crop_frames % fold
        self.recogniser = nn.Sequential(ConvNeXt(fold * spec.width, 128, 256, 2), nn.Conv1d(128, PHONES, 1))
        trained = nn.ModuleDict({"visinger": self.model, "recogniser": self.recogniser})
        vocoder = load_vocoder(Path(config.vocoder)) if config.vocoder else None
        self.space = load_space(spec, vocoder).requires_grad_(False)
        self.flow_losses = FlowLosses(config.losses, self.space)
        self.modules = nn.ModuleDict({"model": trained, **self.flow_losses.modules})
        self.singers: tuple[KnownSinger, ...] = ()
        """Of the train split; see `survey`."""
        self._means: dict[str | None, np.ndarray] = {}
        self._prompt: dict[str, Tensor] = {}

    def describe(self) -> dict[str, str]:
        flow = self.model_config.flow
        return {
            "space": flow.space.kind, "objective": flow.flow.objective, "singers": str(len(self.singers)),
        }  # fmt: skip

    def survey(self, dataset: Place) -> None:
        self.singers = singers_of(dataset, self.index)
        self._means = {singer.name: singer.vector_E for singer in self.singers}

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any] | None:
        score, spec = sample.score(), self.model_config.flow.space
        if not score.timed:
            return None
        rate, count = float(spec.rate_hz), self.num_frames
        vocals = sample.audio("vocals")
        in_clip = max(count, int(np.ceil(vocals.duration_s * rate)))
        # A crop holds a phone: made songs are silent for half of their time.
        middle = score.phones[int(rng.integers(len(score.phones)))].start_s or 0.0
        first = int(np.clip(round(middle * rate) - rng.integers(count), 0, in_clip - count))
        cut = vocals.cut(first / rate, count / rate)
        wanted = count * spec.hop_samples
        audio_S = resample(cut.mono_S(), cut.sample_rate_hz, spec.sample_rate_hz)[:wanted]
        audio_S = np.pad(audio_S, (0, wanted - len(audio_S)))
        shift_db = self.settings.loudness_shift_db
        gain_db = min(rng.uniform(-shift_db, shift_db), -20 * np.log10(float(np.abs(audio_S).max(initial=1e-3)) + 1e-6))
        times_s_F = frame_times(0, in_clip, rate)
        f0_hz_F = f0_at(sample.array("pitch"), times_s_F).astype(np.float32)
        loudness_F = np.maximum(loudness_at(sample.array("loudness"), times_s_F), _SILENT_DB)
        loudness_F = smoothed(loudness_F, rate, _LOUDNESS_S)
        own_E = np.asarray(sample.array("singer"), np.float32)
        mean_E = self._means.get(sample.meta.singer) if rng.random() < self.settings.mean_singer_share else None
        whole = score_item(score, spec.rate_hz, in_clip)
        measured = _measured(whole, f0_hz_F)
        crop = slice(first, first + count)
        item = {name: array[..., crop] if name.endswith("F") else array for name, array in (whole | measured).items()}
        return {
            **item, **_lengths(score), "label_L": _labels(item),
            "audio_S": audio_S.astype(np.float32) * np.float32(10 ** (gain_db / 20)), "f0_F": f0_hz_F[crop],
            "loudness_F": loudness_F[crop], "gain_db_G": np.array([gain_db], np.float32),
            "singer_E": own_E if mean_E is None else mean_E,
        }  # fmt: skip

    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return stacked(items)

    def counts(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            "pitched": batch["pitched_BF"].sum(), "long_notes": batch["vibrato_B4M"][:, 3].sum(),
            "consonants": batch["consonant_BP"].sum(), "labels": (batch["label_BL"] > 0).sum(),
        }  # fmt: skip

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        settings, model = self.settings, self.model
        counts = {name: count.clamp(min=1) for name, count in counts.items()}
        told = score_told(batch)
        content_BCF = model.score(told)
        flow_told = self._flow_told(batch, content_BCF)
        loss, parts, drawn = self.flow_losses(model.flow, flow_told, batch["audio_BS"], batch["f0_BF"], step)
        parts |= self._melody_losses(batch, told, content_BCF, counts)
        parts["ctc"] = self._ctc(drawn.data_BDT, drawn.pointed_BDT, batch["label_BL"], counts)
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

    def _flow_told(self, batch: dict[str, Tensor], content_BCF: Tensor) -> Told:
        loudness_BF = batch["loudness_BF"] + batch["gain_db_BG"]
        return Told(content_BCF, fill_gaps(batch["f0_BF"]), batch["f0_BF"] > 0, loudness_BF, batch["singer_BE"])

    def _melody_losses(
        self, batch: dict[str, Tensor], told: ScoreTold, content_BCF: Tensor, counts: Counts
    ) -> dict[str, Tensor]:
        model, singer_BE = self.model, batch["singer_BE"]
        away_BF, voiced_BF, loudness_BF = model.drawn_curves(content_BCF, told, singer_BE)
        pitched_BF = batch["pitched_BF"].float()
        pitch = ((away_BF - batch["away_BF"]).abs() * pitched_BF).sum() / counts["pitched"]
        cents_BM, rate_BM, phase_BM, long_BM = batch["vibrato_B4M"].unbind(1)
        vibrato = model.vibrato(told, singer_BE)
        swings_BM = long_BM * (cents_BM > 0)
        direction_B2M = torch.stack([phase_BM.cos(), phase_BM.sin()], dim=1)
        error_BM = (
            (vibrato.cents_BM - cents_BM).abs() / 20 * long_BM + (vibrato.rate_hz_BM - rate_BM).abs() * swings_BM
            + (vibrato.phase_B2M - direction_B2M).square().sum(1) * swings_BM
        )  # fmt: skip
        lengths_BP = model.lengths(lengths_told(batch), singer_BE).float()
        length_error_BP = (lengths_BP - batch["length_BP"]).abs() * batch["consonant_BP"]
        return {
            "pitch": pitch,
            "voicing": F.binary_cross_entropy_with_logits(voiced_BF, (batch["f0_BF"] > 0).float()),
            "loudness": (loudness_BF - loudness_unit(batch["loudness_BF"])).abs().mean(),
            "vibrato": error_BM.sum() / counts["long_notes"],
            "length": length_error_BP.sum() / counts["consonants"],
        }

    def _ctc(self, data_BDT: Tensor, pointed_BDT: Tensor, label_BL: Tensor, counts: Counts) -> Tensor:
        """A label's mean loss on the true frames, from which the recogniser learns, and on those pointed at, from which
        the model does."""
        frozen = {name: parameter.detach() for name, parameter in self.recogniser.named_parameters()}
        labels_B = (label_BL > 0).sum(1)
        steps_B = torch.full_like(labels_B, data_BDT.shape[2])
        total = data_BDT.new_zeros(())
        for logits_BVT in (self.recogniser(data_BDT), functional_call(self.recogniser, frozen, (pointed_BDT,))):
            log_TBV = logits_BVT.float().log_softmax(1).permute(2, 0, 1)
            total = total + F.ctc_loss(log_TBV, label_BL, steps_B, labels_B, reduction="sum", zero_infinity=True)
        return total / counts["labels"]

    def listen(self, step: int) -> dict[str, Audio]:
        """Two clips of the valid split: as they are, sung on their own pitch, and sung from the score alone."""
        if not self._prompt or not self.space.sounds:
            return {}
        batch = {name: tensor[:2] for name, tensor in self._prompt.items()}
        told, singer_BE = score_told(batch), batch["singer_BE"]
        content_BCF = self.model.score(told)
        melody = self.model.melody(content_BCF, told, singer_BE)
        f0_hz_BF = torch.where(melody.voiced_BF, melody.f0_hz_BF, 0.0)
        drawn = Told(content_BCF, melody.f0_hz_BF, melody.voiced_BF, melody.loudness_db_BF, singer_BE)
        own = self._flow_told(batch, content_BCF)
        sounds = {
            "original": batch["audio_BS"],
            "on_its_pitch": self.space.sound(self.model.flow.sing(own, Sampling()), batch["f0_BF"]),
            "from_the_score": self.space.sound(self.model.flow.sing(drawn, Sampling()), f0_hz_BF),
        }
        rate = self.space.spec.sample_rate_hz
        return one_after_another(sounds, rate)

    def export(self) -> ModelFile:
        return ModelFile(self.name, self.model_config.dump(), self.model.state_dict(), as_extra(self.singers))


def _model_config(config: VisingerSettings) -> VisingerConfig:
    content = config.model.get("content", VisingerConfig.model_fields["content"].default)
    if config.flow_from is None:
        spec = asked_space(config.space, config.codec, config.mel, config.vocoder)
        flow = flow_config(spec, content, {**config.flow_model, "flow": config.flow.dump()})
    else:
        if config.flow_model:
            raise InputError(f"task.flow_from {config.flow_from}: the flow is that run's; leave task.flow_model out")
        begun = SvcFlowConfig.build(load_model(Path(config.flow_from), "svc_flow").config, config.flow_from)
        flow = begun.model_copy(update={"content": (content_part(content),)})
    return VisingerConfig.build({**config.model, "flow": flow.dump()}, "task.model")


def _begin_flow(flow: SvcFlow, folder: Path) -> None:
    """All weights of a run of svc_flow but of what it takes its content in with."""
    held = load_model(folder, "svc_flow").state
    entry = {name for name in flow.state_dict() if name.startswith("enter.")}
    missing, strange = flow.load_state_dict({k: v for k, v in held.items() if k not in entry}, strict=False)
    if set(missing) - entry or strange:
        raise InputError(f"task.flow_from {folder}: its weights are not of this version's svc_flow; train it again")


def _begun(config: VisingerSettings) -> VisingerConfig | None:
    """The config of the run that this one begins with. Raises InputError where settings ask for another model."""
    if config.begin_with is None:
        return None
    begun = VisingerConfig.build(load_model(Path(config.begin_with), "visinger").config, config.begin_with)
    asked = {**config.model, **({"flow": config.flow_model} if config.flow_model else {})}
    if asked or config.flow_from or config.space != begun.flow.space.kind:
        raise InputError(
            f"task.begin_with {config.begin_with}: the model is that run's, of the space {begun.flow.space.kind}; "
            "leave task.model, task.flow_model and task.flow_from out, and task.space as it is there"
        )
    return begun


def _measured(whole: Item, f0_hz_F: np.ndarray) -> Item:
    """What the singer did on the notes: vibrato of each, and f0 beside it, in semitones, where it can be told."""
    voiced_F = f0_hz_F > 0
    away_F = 12 * np.log2(np.maximum(f0_hz_F, 20) / 440) + 69 - whole["midi_F"]
    pitched_F = voiced_F & (np.abs(away_F) < _FARTHEST) & (whole["note_of_F"] >= 0)
    held_F = (
        np.interp(np.arange(len(away_F)), np.flatnonzero(pitched_F), away_F[pitched_F])
        if pitched_F.any()
        else 0 * away_F
    )
    args = (whole["note_of_F"], whole["since_F"], whole["swell_F"])
    vibrato_4M = measured_vibrato(100 * held_F, pitched_F, *args, whole["note_KM"].shape[1])
    slow_F = away_F - vibrato_cents(vibrato_4M, *args) / 100
    return {
        "vibrato_4M": vibrato_4M, "away_F": np.where(pitched_F, slow_F, 0).astype(np.float32), "pitched_F": pitched_F,
    }  # fmt: skip


def _lengths(score: Score) -> Item:
    seconds_P = np.array([(p.end_s or 0.0) - (p.start_s or 0.0) for p in score.phones])
    consonant_P = np.array([phone.place != "nucleus" for phone in score.phones])
    return {**lengths_item(score), "length_P": length_target(seconds_P), "consonant_P": consonant_P.astype(np.float32)}


def _labels(item: Item) -> np.ndarray:
    """label_L: the phones that sound for two frames or more of the crop, in order."""
    phones_N, places_N, _ = item["sign_3N"]
    signs, frames = np.unique(item["sign_of_F"], return_counts=True)
    kept = [sign for sign, count in zip(signs, frames, strict=True) if count >= 2 and places_N[sign] > 0]
    return np.asarray(phones_N[kept], np.int64)
