"""Lyrics with their times, and an accompaniment -> semantic codes of the singing: AutoSing's TM2S.

Bytes go through a text encoder, the accompaniment's coarse codes through a music encoder; a causal decoder over
semantic codes attends to both. Every position is a time on one axis of semantic frames (25 a second).

Shapes: B clips, L text tokens, N semantic codes, R rows and M columns of the accompaniment, K codes, D width.
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
from autosing.models.presets import Shape, UsualTakes
from autosing.nn.embedding import CodebookEmbedding, RowEmbedding
from autosing.nn.mup import Linear, Table, Tunables, vector
from autosing.nn.positions import TimeEmbedding
from autosing.nn.transformer import ConditionEncoder, Decoder, Memory
from autosing.text.tokenizer import UNTIMED, VOCABULARY
from autosing.timebase import SEMANTIC_RATE_HZ

RATE_HZ = float(SEMANTIC_RATE_HZ)


class T2SConfig(Config):
    """Everything that the weights depend on; stored in model.json."""

    shape: Shape
    tunables: Tunables = Tunables()
    semantic_size: int = Field(gt=1)
    semantic_width: int = Field(default=64, gt=0)
    codec: CodecSpec
    """The codec of the accompaniment's codes."""
    code_width: int = Field(default=32, gt=0)
    """Numbers of the frozen vector of a code of the accompaniment."""
    music_levels: int = Field(default=2, ge=1)
    """The number of coarse levels that are used; finer ones say little about when and what to sing."""
    context_s: float = Field(default=30.0, gt=0)
    """The longest clip in training; longer singing is generated in overlapping windows of this length."""
    causal_text: bool = True
    """A causal text encoder is also trained to predict the next byte (the auxiliary loss)."""
    use_singer: bool = False
    usual: UsualTakes = UsualTakes()


@dataclass(frozen=True)
class T2SMemory:
    """The conditions, encoded once."""

    text: Memory
    music: Memory
    singer_B1D: Tensor | None

    def without_mask(self) -> "T2SMemory":
        return T2SMemory(self.text.without_mask(), self.music.without_mask(), self.singer_B1D)


class T2S(nn.Module):
    """Conditions and codes so far -> the logits of the next code, the last class being the end (EOS)."""

    def __init__(
        self, config: T2SConfig, codebook_KW: Tensor | None = None, extra: dict[str, Any] | None = None,
        code_vectors: Sequence[Tensor] | None = None,
    ) -> None:  # fmt: skip
        """`codebook_KW`, `code_vectors`: the vectors of semantic codes and of each level of the codec, frozen; zeros
        until weights are loaded."""
        super().__init__()
        self.config, self.extra = config, extra or {}
        shape, tunables = config.shape, config.tunables
        width, heads, factor = shape.width, shape.heads, shape.mlp_factor
        self.pattern = Pattern.of(config.codec, "bricks")
        self.music_rows = sum(level < config.music_levels for level in self.pattern.row_levels)
        self.start = self.end = config.semantic_size
        """As an input, this id is the start token; as a class, the end token."""
        if codebook_KW is None:
            codebook_KW = torch.zeros(config.semantic_size, config.semantic_width)
        assert codebook_KW.shape == (config.semantic_size, config.semantic_width), codebook_KW.shape

        self.bytes = Table(VOCABULARY, width, tunables)
        self.time = TimeEmbedding(width, tunables)
        self.text_encoder = ConditionEncoder(width, heads, shape.text_layers, factor, tunables, config.causal_text)
        self.music_embedding = RowEmbedding(
            self.pattern, self.music_rows, width, tunables, config.code_width, code_vectors
        )
        self.music_encoder = ConditionEncoder(width, heads, shape.music_layers, factor, tunables)
        self.codes = CodebookEmbedding(codebook_KW, width, tunables)
        self.decoder = Decoder(width, heads, shape.key_heads, shape.decoder_layers, factor, tunables)
        self.readout = Linear(width, config.semantic_width, tunables, zero=True)
        self.end_W = vector(config.semantic_width, tunables)
        self.bias_V = nn.Parameter(torch.zeros(config.semantic_size + 1))
        if config.use_singer:
            self.singer = Linear(SINGER_WIDTH, width, tunables, tunables.projector_lr_scale)
            self.null_singer_D = vector(width, tunables)

    def encode(self, batch: Mapping[str, Tensor]) -> T2SMemory:
        """A batch of text_item, music_item, singer_item (autosing.models.conditions) -> the conditions, encoded."""
        time_s_BL = batch["text_time_s"]
        timed_BL = (time_s_BL >= 0) & (_places(time_s_BL) < batch["text_length"][:, None])
        # An untimed byte has the position of the timed byte before it.
        held_BL = time_s_BL.clamp(min=0.0).cummax(1).values
        axis_BL = torch.where(timed_BL, time_s_BL, held_BL) * RATE_HZ
        timed_B = timed_BL.any(1)
        text = self.text_encoder(
            self.bytes(batch["text"]) + self.time(torch.where(timed_BL, time_s_BL, UNTIMED)),
            batch["text_length"], _places(time_s_BL), torch.where(timed_B[:, None], axis_BL, 0.0), timed_B,
        )  # fmt: skip
        music_axis_BM = self.music_positions(batch)
        music = self.music_encoder(
            self.music_embedding(batch["music"]), batch["music_length"], music_axis_BM, music_axis_BM
        )
        singer_B1D = None
        if self.config.use_singer:
            voice_BD = self.singer(batch["singer"].to(self.end_W.dtype))
            singer_B1D = torch.where(batch["has_singer"][:, None], voice_BD, self.null_singer_D)[:, None]
        return T2SMemory(text, music, singer_B1D)

    def music_positions(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The start of each column of the accompaniment, in semantic frames."""
        column_s = self.pattern.block / float(self.config.codec.frame_rate_hz)
        columns_BM = _places(batch["music"][:, 0])
        return (batch["music_start_s"][:, None] + columns_BM * column_s) * RATE_HZ

    def moments(self, positions_BT: Tensor, memory: T2SMemory) -> Tensor:
        """The decoder's input besides the previous code: the time of the code to be predicted, and the voice."""
        x_BTD = self.time(positions_BT / RATE_HZ)
        return x_BTD if memory.singer_B1D is None else x_BTD + memory.singer_B1D

    def logits(self, x_BTD: Tensor) -> Tensor:
        """logits_BTV through the frozen codebook (tied), V = K codes and the end."""
        classes_VW = torch.cat([self.codes.codebook_KW, self.end_W[None]]).to(x_BTD.dtype)
        scale = self.config.tunables.output_mult * 8 / self.config.semantic_width**0.5
        return F.linear(self.readout(x_BTD) * scale, classes_VW, self.bias_V)

    def text_logits(self, text_BLD: Tensor) -> Tensor:
        """Logits of the next byte through the table of bytes (tied)."""
        return F.linear(text_BLD * self.config.tunables.output_scale(text_BLD.shape[-1]), self.bytes.weight_VD)

    def forward(self, batch: Mapping[str, Tensor], hidden_BT1: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The conditions, `codes_BN` (padded) -> logits_B(N+1)V, where place n predicts code n, and text_logits_BLV.
        `hidden_BT1`: where a code is hidden as an input."""
        memory = self.encode(batch)
        codes_BN = batch["codes"]
        inputs_BT = F.pad(codes_BN, (1, 0), value=self.start)
        positions_BT = _places(inputs_BT).float()
        past_BTD = self.codes(inputs_BT)
        if hidden_BT1 is not None:
            past_BTD = past_BTD.masked_fill(hidden_BT1, 0.0)
        x_BTD = past_BTD + self.moments(positions_BT, memory)
        own, across = self.decoder.rotations(positions_BT, memory.text)
        x_BTD = self.decoder(x_BTD, own, across, self.decoder.cross_keys(memory.text, memory.music))
        return self.logits(x_BTD), self.text_logits(memory.text.x_BSD)


def _places(x_BT: Tensor) -> Tensor:
    """0, 1, 2 ... for each clip."""
    return torch.arange(x_BT.shape[-1], device=x_BT.device).expand(x_BT.shape[0], -1)


def load_t2s(folder: Path, device: str | torch.device = "cpu") -> T2S:
    """A run folder -> the model, ready to sing. Raises InputError if it is not one."""
    file = load_model(folder, "t2s")
    model = T2S(T2SConfig.build(file.config, origin=str(folder)), extra=file.extra)
    restore(model, file, folder)
    return model.to(device).eval().requires_grad_(False)
