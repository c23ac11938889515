"""Task sm2a: clips' semantic codes, accompaniment codes and singer -> a model that predicts the voice's codec codes.

Loss: the mean over the columns' rows of the cross-entropy of their codes; entries that the delay pattern determines are
not counted. Most clips are trained in coarse columns, some as a part in fine ones at its true positions (AutoSing's
multiscale).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from autosing.audio.io import Audio
from autosing.checkpoint import ModelFile, load_model, restore
from autosing.codecs.delay import multiscale
from autosing.config import Config
from autosing.models.bundled import SEMANTIC
from autosing.models.conditions import crop_blocks, music_item, semantic_item, singer_item, stack
from autosing.models.presets import SHAPES, Shape, Size, UsualSampling
from autosing.models.sm2a import SM2A, SM2AConfig
from autosing.nn.mup import Tunables, parameter_groups
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.storage.store import Place
from autosing.timebase import SEMANTIC_RATE_HZ
from train.past_dropout import hidden_past
from train.singers import Singers
from train.task import Counts, Task
from train.tasks.codebook import (
    code_vectors,
    code_width,
    codec_of,
    codes_of,
    config_to_go_on,
    described,
    records_of,
    semantic_codebook,
)


class SM2ASettings(Config):
    """The YAML's `task:` mapping of `autosing train sm2a`."""

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
    context_s: float = Field(default=30.0, gt=0)
    p_coarse: float = Field(default=0.75, ge=0, le=1)
    """How often a clip is trained in coarse columns rather than a part of it in fine ones."""
    drop_semantic: float = Field(default=0.1, ge=0, le=1)
    """How often a condition is left out, as classifier-free guidance needs it."""
    drop_music: float = Field(default=0.1, ge=0, le=1)
    drop_singer: float = Field(default=0.1, ge=0, le=1)
    drop_past: float = Field(default=0.0, ge=0, le=0.5)
    """The share of columns so far that is hidden (see train/past_dropout.py)."""
    usual: UsualSampling = UsualSampling()
    """How `autosing sing` draws codes where nothing else is asked for; kept in the model."""
    keep_singers: bool = False
    """Keep the train split's singers (names, mean vectors) with the model, for 'autosing sing --singer NAME'."""
    listen_s: float = Field(default=6.0, ge=0)
    """Seconds of the prompt that are generated (in coarse columns) for the listening samples."""


class TrainSM2A(Task):
    """See the module."""

    name = "sm2a"
    Settings = SM2ASettings
    members = ("meta", "semantic", "acoustic", "singer")
    length_file = "semantic.npy"

    def __init__(self, config: SM2ASettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        codec, semantic = records_of(index)
        codebook_KW = semantic_codebook(config.semantic, semantic)
        size, width = codebook_KW.shape
        self._vectors = code_vectors(codec, config.codec)
        self.model_config = SM2AConfig(
            shape=config.shape or SHAPES[config.size], tunables=config.tunables, semantic_size=size,
            semantic_width=width, codec=codec.spec, context_s=config.context_s, usual=config.usual,
            **code_width(self._vectors),
        )  # fmt: skip
        begin_with = config.begin_with
        if begin_with is not None:
            self.model_config = config_to_go_on(begin_with, self.name, self.model_config, config.shape, index)
        self.model = SM2A(self.model_config, codebook_KW, code_vectors=self._vectors)
        if begin_with is not None:
            restore(self.model, load_model(Path(begin_with), self.name), Path(begin_with))
        self.modules = nn.ModuleDict({"model": self.model})
        self.singers = Singers("clip")
        self._prompts: dict[bool, dict[str, Tensor]] = {}
        """Whether in training -> the first clip of training or validation."""

    def describe(self) -> dict[str, str]:
        return described(self.config.size, self.model_config.shape, self.config.semantic, True, self._vectors)

    def survey(self, dataset: Place) -> None:
        if self.config.keep_singers:
            self.singers.survey(dataset, self.index)

    def parameter_groups(self, phase: str) -> list[dict[str, Any]]:
        return parameter_groups(self.model, self.model_config.tunables)

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Tensor] | None:
        """The clip, or a part as long as the context, in coarse or fine columns; conditions are given or dropped."""
        config, spec = self.config, self.model_config.codec
        chances = (config.drop_semantic, config.drop_music, config.drop_singer)
        drop_semantic, drop_music, drop_singer = rng.random(3) < chances
        voice = [level.astype(np.int64) for level in spec.unflatten(sample.array("vocals_codes"))]
        music = spec.unflatten(sample.array("instrumental_codes")) if sample.has("instrumental_codes") else None
        block_s = spec.block_samples / spec.sample_rate_hz
        blocks = len(voice[-1]) // spec.block_frames
        count = min(blocks, int(config.context_s / block_s))
        if count == 0:
            return None
        first = int(rng.integers(blocks - count + 1))
        start_s, end_s = first * block_s, (first + count) * block_s
        code = math.ceil(start_s * SEMANTIC_RATE_HZ - 1e-6)
        codes_N = sample.array("semantic")[code : math.ceil(end_s * SEMANTIC_RATE_HZ - 1e-6)]
        stretch = [torch.from_numpy(level) for level in crop_blocks(voice, spec, first, count)]
        columns_RC, positions_C = multiscale(self.model.coarse, self.model.fine, stretch, rng, config.p_coarse)
        own_music = None if music is None or drop_music else crop_blocks(music, spec, first, count)
        return {
            **semantic_item(None if drop_semantic else codes_N, code / float(SEMANTIC_RATE_HZ) - start_s),
            **music_item(own_music, self.model.coarse, self.model.num_rows),
            **singer_item(None if drop_singer else sample.array("singer")),
            "columns": columns_RC,
            "positions": positions_C,
        }

    def collate(self, items: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        batch = stack(items)
        beyond_BC = torch.arange(batch["columns"].shape[-1]) >= batch["columns_length"][:, None]
        batch["columns"] = batch["columns"].masked_fill(beyond_BC[:, None], self.model.coarse.pad)
        return batch

    def counts(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        learned_BRC = batch["columns"][:, :, 1:] < self.model.coarse.mask
        return {f"row{row}": learned_BRC[:, row].sum() for row in range(self.model.num_rows)}

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        if self.model.training not in self._prompts:
            self._prompts[self.model.training] = {name: value[0] for name, value in batch.items()}
        clips, _, columns = batch["columns"].shape
        share = self.config.drop_past if self.model.training else 0.0
        x_PD = self.model(batch, hidden_past(clips, columns - 1, share, self.device)).flatten(0, 1)
        target_PR = batch["columns"][:, :, 1:].transpose(1, 2).flatten(0, 1)
        losses: list[Tensor] = []
        metrics: dict[str, Tensor] = {}
        for row in range(self.model.num_rows):
            place_K = torch.nonzero(target_PR[:, row] < self.model.coarse.mask)[:, 0]
            logits_KV = self.model.row_logits(x_PD[place_K], row)
            target_K = target_PR[place_K, row]
            total = F.cross_entropy(logits_KV.float(), target_K, reduction="sum")
            losses.append(total / counts[f"row{row}"].clamp(min=1))
            metrics[f"loss_row{row}"] = losses[-1]
            metrics[f"accuracy_row{row}"] = (logits_KV.argmax(-1) == target_K).sum() / max(len(place_K), 1)
        return torch.stack(losses).mean(), metrics

    def listen(self, step: int) -> dict[str, Audio]:
        """The first validation (or training) clip, sung from its semantic codes; nothing if the codec is missing."""
        prompt = self._prompts.get(False, self._prompts.get(True))
        duration_s = self.config.listen_s
        if prompt is None or not duration_s or not prompt["semantic_length"]:
            return {}
        from autosing.generation.acoustic import generate_acoustic

        assert self.index.codec is not None
        codec = codec_of(self.index.codec)
        if codec is None:
            return {}
        semantic_N = prompt["semantic"][: prompt["semantic_length"]].cpu().numpy()
        music_RM = prompt["music"][:, : prompt["music_length"]].cpu()
        music = [level.numpy() for level in self.model.coarse.to_levels(music_RM)] if music_RM.shape[1] else None
        singer = prompt["singer"].cpu().numpy() if prompt["has_singer"] else None
        duration_s = min(duration_s, len(semantic_N) / float(SEMANTIC_RATE_HZ))
        (sung,) = generate_acoustic(self.model, [semantic_N], music, singer, duration_s, scale="coarse")
        return {"sung": Audio(codec.decode_flat(codec.spec.flatten(sung))[None], codec.spec.sample_rate_hz)}

    def export(self) -> ModelFile:
        coarse = self.config.p_coarse
        scales = [name for name, share in (("coarse", coarse), ("fine", 1 - coarse)) if share > 0]
        extra = {"scales": scales, **codes_of(self.index), **self.singers.extra()}
        return ModelFile("sm2a", self.model_config.dump(), self.model.state_dict(), extra)
