"""Task t2s: clips' lyrics, accompaniment codes and semantic codes -> a model that predicts the voice's semantic codes.

Loss: cross-entropy of the next semantic code (or the end), plus `text_loss` times that of the next byte of the lyrics,
which trains the causal text encoder (as in AutoSing and WhisperSpeech).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from autosing.checkpoint import ModelFile, load_model, restore
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.bundled import SEMANTIC
from autosing.models.conditions import music_item, music_window, singer_item, stack, text_item
from autosing.models.presets import SHAPES, Shape, Size, UsualTakes
from autosing.models.t2s import RATE_HZ, T2S, T2SConfig
from autosing.nn.mup import Tunables, parameter_groups
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.text.tokenizer import EOT, TimedText, TimingLevel
from train.past_dropout import hidden_past
from train.task import Counts, Task
from train.tasks.codebook import (
    code_vectors,
    code_width,
    codes_of,
    config_to_go_on,
    described,
    records_of,
    semantic_codebook,
)

IGNORED = -100
LEVELS: tuple[TimingLevel, ...] = ("word", "line", "none")


class T2SSettings(Config):
    """The YAML's `task:` mapping of `autosing train t2s`."""

    size: Size = "small"
    shape: Shape | None = None
    """Widths and depths that replace those of the named size."""
    tunables: Tunables = Tunables()
    begin_with: str | None = None
    """A run of this task, or what comes with autosing, to go on from: its shape and weights."""
    semantic: str | None = SEMANTIC
    """The codebook of the codes: a name or a run; null: random vectors stand for the codes."""
    codec: str | None = None
    """The dataset's codec, whose vectors tell its codes: a name or a run; null: the one of the dataset's name, if it is
    on this machine, else what codes mean is learned from nothing."""
    music_levels: int = Field(default=2, ge=1)
    context_s: float = Field(default=30.0, gt=0)
    causal_text: bool = True
    use_singer: bool = True
    text_loss: float = Field(default=0.1, ge=0)
    timing_word: float = Field(default=0.6, ge=0)
    """Relative frequency, against timing_line and timing_none, of lyrics with a time for every word."""
    timing_line: float = Field(default=0.3, ge=0)
    timing_none: float = Field(default=0.1, ge=0)
    drop_text: float = Field(default=0.1, ge=0, le=1)
    """How often a condition is left out, as classifier-free guidance needs it."""
    drop_music: float = Field(default=0.1, ge=0, le=1)
    drop_singer: float = Field(default=0.1, ge=0, le=1)
    drop_past: float = Field(default=0.0, ge=0, le=0.5)
    """The share of codes so far that is hidden (see train/past_dropout.py)."""
    usual: UsualTakes = UsualTakes()
    """How `autosing sing` draws codes where nothing else is asked for; kept in the model."""
    min_fitting: float = Field(default=0.5, ge=0, le=1)
    """If a smaller share of its words belongs to lines that fit, a clip is trained without lyrics, because what is sung
    in it is not known."""
    max_text_bytes: int = Field(default=2000, ge=1)
    """A clip with longer lyrics is skipped, not cut."""


class TrainT2S(Task):
    """See the module."""

    name = "t2s"
    Settings = T2SSettings
    members = ("meta", "semantic", "acoustic", "singer")
    length_file = "semantic.npy"

    def __init__(self, config: T2SSettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        codec, semantic = records_of(index)
        timing = np.array([config.timing_word, config.timing_line, config.timing_none])
        if not timing.sum() > 0:
            raise InputError("timing_word, timing_line and timing_none are all 0; give one of them a weight")
        self.timing = timing / timing.sum()
        codebook_KW = semantic_codebook(config.semantic, semantic)
        size, width = codebook_KW.shape
        self._vectors = code_vectors(codec, config.codec)
        self.model_config = T2SConfig(
            shape=config.shape or SHAPES[config.size], tunables=config.tunables, semantic_size=size,
            semantic_width=width, codec=codec.spec, music_levels=config.music_levels, context_s=config.context_s,
            causal_text=config.causal_text, use_singer=config.use_singer, usual=config.usual,
            **code_width(self._vectors),
        )  # fmt: skip
        begin_with = config.begin_with
        if begin_with is not None:
            self.model_config = config_to_go_on(begin_with, self.name, self.model_config, config.shape, index)
        self.model = T2S(self.model_config, codebook_KW, code_vectors=self._vectors)
        if begin_with is not None:
            restore(self.model, load_model(Path(begin_with), self.name), Path(begin_with))
        self.modules = nn.ModuleDict({"model": self.model})

    def describe(self) -> dict[str, str]:
        shape, singer = self.model_config.shape, self.config.use_singer
        return described(self.config.size, shape, self.config.semantic, singer, self._vectors)

    def parameter_groups(self, phase: str) -> list[dict[str, Any]]:
        return parameter_groups(self.model, self.model_config.tunables)

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Tensor] | None:
        """The clip, or a part of it as long as the context; each condition is given or dropped."""
        config, spec = self.config, self.model_config.codec
        drop_text, drop_music, drop_singer = rng.random(3) < (config.drop_text, config.drop_music, config.drop_singer)
        level = LEVELS[rng.choice(3, p=self.timing)]
        codes_N = np.asarray(sample.array("semantic"), np.int64)
        count = min(len(codes_N), int(config.context_s * RATE_HZ))
        first = int(rng.integers(len(codes_N) - count + 1))
        start_s, end_s = first / RATE_HZ, (first + count) / RATE_HZ
        if first + count == len(codes_N):
            end_s = max(end_s, sample.meta.duration_s)
        lyrics = TimedText.of_words(sample.meta.words, sample.meta.lines).window(start_s, end_s).at(level)
        levels = spec.unflatten(sample.array("instrumental_codes")) if sample.has("instrumental_codes") else None
        music, music_start_s = music_window(levels, spec, start_s, end_s)
        fitting = sum(word.timed for word in lyrics.words) >= config.min_fitting * len(lyrics.words)
        text = text_item(lyrics if sample.meta.words and fitting and not drop_text else None)
        if count == 0 or len(text["text"]) > config.max_text_bytes:
            return None
        pattern, rows = self.model.pattern, self.model.music_rows
        return {
            **text,
            **music_item(None if drop_music else music, pattern, rows, music_start_s),
            **singer_item(None if drop_singer or not config.use_singer else sample.array("singer")),
            "codes": torch.from_numpy(codes_N[first : first + count].copy()),
            "ends": torch.tensor(first + count == len(codes_N)),
        }

    def collate(self, items: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        return stack(items)

    def counts(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        counted = {"codes": (self._targets(batch) != IGNORED).sum()}
        if self._predicts_text:
            counted["bytes"] = (text_targets(batch) != IGNORED).sum()
        return counted

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        clips, codes = batch["codes"].shape
        share = self.config.drop_past if self.model.training else 0.0
        logits_BTV, text_logits_BLV = self.model(batch, hidden_past(clips, codes + 1, share, self.device))
        target_BT = self._targets(batch)
        loss = cross_entropy(logits_BTV, target_BT, counts["codes"])
        metrics = {"semantic_loss": loss, "semantic_accuracy": accuracy(logits_BTV, target_BT)}
        if self._predicts_text:
            metrics["text_loss"] = cross_entropy(text_logits_BLV, text_targets(batch), counts["bytes"])
            loss = loss + self.config.text_loss * metrics["text_loss"]
        return loss, metrics

    @property
    def _predicts_text(self) -> bool:
        return bool(self.model_config.causal_text and self.config.text_loss)

    def _targets(self, batch: dict[str, Tensor]) -> Tensor:
        return targets(batch["codes"], batch["codes_length"], torch.where(batch["ends"], self.model.end, IGNORED))

    def export(self) -> ModelFile:
        return ModelFile("t2s", self.model_config.dump(), self.model.state_dict(), codes_of(self.index))


def targets(codes_BN: Tensor, length_B: Tensor, after_B: Tensor) -> Tensor:
    """target_B(N+1): each clip's codes, then `after`, then IGNORED."""
    target_BT = F.pad(codes_BN, (0, 1))
    place_T = torch.arange(target_BT.shape[1], device=codes_BN.device)
    past_BT, at_BT = place_T > length_B[:, None], place_T == length_B[:, None]
    return torch.where(past_BT, IGNORED, torch.where(at_BT, after_B[:, None], target_BT))


def text_targets(batch: dict[str, Tensor]) -> Tensor:
    """target_BL: position n predicts byte n + 1; the end token predicts nothing, and a dropped text has no bytes."""
    ahead_BL = F.pad(batch["text"][:, 1:], (0, 1), value=EOT)
    place_L = torch.arange(ahead_BL.shape[1], device=ahead_BL.device)
    return torch.where(place_L < batch["text_length"][:, None] - 1, ahead_BL, IGNORED)


def cross_entropy(logits: Tensor, target: Tensor, count: Tensor) -> Tensor:
    """The sum over targets that are not IGNORED, divided by `count`; 0 if all are IGNORED."""
    total = F.cross_entropy(logits.flatten(0, -2).float(), target.flatten(), ignore_index=IGNORED, reduction="sum")
    return total / count.clamp(min=1)


def accuracy(logits: Tensor, target: Tensor) -> Tensor:
    """The share of targets that are the most likely class."""
    counted = target != IGNORED
    return ((logits.argmax(-1) == target) & counted).sum() / counted.sum().clamp(min=1)
