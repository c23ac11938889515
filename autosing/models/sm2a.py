"""Semantic codes, an accompaniment and a voice -> acoustic codes of the singing: AutoSing's SM2A.

Semantic codes go through an encoder, the accompaniment's codes through another; a causal decoder over columns of codec
codes attends to both. Positions lie on one axis of codec frames, so the same weights are trained mostly on coarse
columns (bricks) and run on fine ones (bricks unrolled).

Shapes: B clips, N semantic codes, R rows, C columns of the voice, M columns of the accompaniment, V codes of a row,
D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from autosing.checkpoint import load_model, restore
from autosing.codecs.delay import Pattern
from autosing.codecs.spec import CodecSpec
from autosing.config import Config
from autosing.models.conditions import SINGER_WIDTH
from autosing.models.presets import Shape, UsualSampling
from autosing.nn.embedding import CodebookEmbedding, RowEmbedding
from autosing.nn.mup import Linear, Tunables, vector
from autosing.nn.transformer import ConditionEncoder, Decoder, Memory
from autosing.timebase import SEMANTIC_RATE_HZ


class SM2AConfig(Config):
    """Everything that the weights depend on; stored in model.json."""

    shape: Shape
    tunables: Tunables = Tunables()
    semantic_size: int = Field(gt=1)
    semantic_width: int = Field(default=64, gt=0)
    codec: CodecSpec
    """The codec of voice and accompaniment."""
    code_width: int = Field(default=32, gt=0)
    """Numbers of a code's frozen vector."""
    context_s: float = Field(default=30.0, gt=0)
    """The longest clip in training; longer singing is generated in overlapping windows of this length."""
    usual: UsualSampling = UsualSampling()


@dataclass(frozen=True)
class SM2AMemory:
    """The conditions, encoded once."""

    semantic: Memory
    music: Memory
    singer_B1D: Tensor

    def without_mask(self) -> "SM2AMemory":
        return SM2AMemory(self.semantic.without_mask(), self.music.without_mask(), self.singer_B1D)


class SM2A(nn.Module):
    """Conditions and columns so far -> for each row of the next column, the logits of its code."""

    def __init__(
        self, config: SM2AConfig, codebook_KW: Tensor | None = None, extra: dict[str, Any] | None = None,
        code_vectors: Sequence[Tensor] | None = None,
    ) -> None:  # fmt: skip
        """`codebook_KW`, `code_vectors`: the vectors of semantic codes and of each level of the codec, frozen; zeros
        until weights are loaded."""
        super().__init__()
        self.config, self.extra = config, extra or {}
        shape, tunables = config.shape, config.tunables
        width, heads, factor = shape.width, shape.heads, shape.mlp_factor
        self.coarse, self.fine = Pattern.of(config.codec, "bricks"), Pattern.of(config.codec, "bricks_unrolled")
        self.num_rows = self.coarse.num_rows
        if codebook_KW is None:
            codebook_KW = torch.zeros(config.semantic_size, config.semantic_width)
        assert codebook_KW.shape == (config.semantic_size, config.semantic_width), codebook_KW.shape

        self.semantic_embedding = CodebookEmbedding(codebook_KW, width, tunables)
        self.semantic_encoder = ConditionEncoder(width, heads, shape.text_layers, factor, tunables)
        self.columns = RowEmbedding(self.coarse, self.num_rows, width, tunables, config.code_width, code_vectors)
        """For both voice and accompaniment, and tied to the output layer."""
        self.music_encoder = ConditionEncoder(width, heads, shape.music_layers, factor, tunables)
        self.singer = Linear(SINGER_WIDTH, width, tunables, tunables.projector_lr_scale)
        self.null_singer_D = vector(width, tunables)
        self.decoder = Decoder(width, heads, shape.key_heads, shape.decoder_layers, factor, tunables)
        self.head = Linear(width, self.num_rows * width, tunables)
        features, largest = self.columns.features, max(self.columns.sizes)
        self.readouts = nn.ModuleList(Linear(width, features, tunables, zero=True) for _ in range(self.num_rows))
        self.bias_RV = nn.Parameter(torch.zeros(self.num_rows, largest))
        self.readout_scale = tunables.output_mult * 8 / features**0.5

    @property
    def spec(self) -> CodecSpec:
        """The codec of its codes."""
        return self.config.codec

    def encode(self, batch: Mapping[str, Tensor]) -> SM2AMemory:
        """A batch of semantic_item, music_item, singer_item (autosing.models.conditions) -> the conditions, encoded."""
        frame_rate_hz = float(self.spec.frame_rate_hz)
        axis_BN = _times(batch["semantic"], batch["semantic_start_s"], 1 / float(SEMANTIC_RATE_HZ)) * frame_rate_hz
        axis_BM = _times(batch["music"], batch["music_start_s"], self.coarse.block / frame_rate_hz) * frame_rate_hz
        semantic = self.semantic_encoder(
            self.semantic_embedding(batch["semantic"]), batch["semantic_length"], axis_BN, axis_BN
        )
        music = self.music_encoder(self.columns(batch["music"]), batch["music_length"], axis_BM, axis_BM)
        voice_BD = self.singer(batch["singer"].to(self.null_singer_D.dtype))
        singer_BD = torch.where(batch["has_singer"][:, None], voice_BD, self.null_singer_D)
        return SM2AMemory(semantic, music, singer_BD[:, None])

    def row_logits(self, x_PD: Tensor, row: int) -> Tensor:
        """Decoder outputs at any places -> logits_PV of one row's codes. Specials have no class."""
        width = self.config.shape.width
        part = slice(row * width, (row + 1) * width)
        hidden_PD = F.gelu(F.linear(x_PD, self.head.weight_OI[part], self.head.bias_O[part]), approximate="tanh")
        entries_VF = self.columns.entries(row)
        readout_PF = self.readouts[row](hidden_PD) * self.readout_scale
        return F.linear(readout_PF, entries_VF.to(readout_PF.dtype), self.bias_RV[row, : len(entries_VF)])

    def forward(self, batch: Mapping[str, Tensor], hidden_BT1: Tensor | None = None) -> Tensor:
        """The conditions, `columns_BRC` (padded), `positions_BC` -> x_B(C-1)D, where place c predicts column c + 1.
        `hidden_BT1`: where a column is hidden as an input."""
        memory = self.encode(batch)
        positions_BT = batch["positions"][:, 1:]
        past_BTD = self.columns(batch["columns"][:, :, :-1])
        if hidden_BT1 is not None:
            past_BTD = past_BTD.masked_fill(hidden_BT1, 0.0)
        x_BTD = past_BTD + memory.singer_B1D
        own, across = self.decoder.rotations(positions_BT, memory.semantic)
        return self.decoder(x_BTD, own, across, self.decoder.cross_keys(memory.semantic, memory.music))


def _times(x: Tensor, start_s_B: Tensor, step_s: float) -> Tensor:
    """The time of each place of a sequence that begins at `start_s_B`."""
    return start_s_B[:, None] + torch.arange(x.shape[-1], device=x.device) * step_s


def load_sm2a(folder: Path, device: str | torch.device = "cpu") -> SM2A:
    """A run folder -> the model, ready to sing. Raises InputError if it is not one."""
    file = load_model(folder, "sm2a")
    model = SM2A(SM2AConfig.build(file.config, origin=str(folder)), extra=file.extra)
    restore(model, file, folder)
    return model.to(device).eval().requires_grad_(False)
