"""Codes -> vectors through frozen codebooks: rows of codec columns, and semantic codes.

Shapes: B clips, T places, R rows of a column, L levels, V entries of a row, C code width, F features of an entry
(W of them frozen), K semantic codes, W codebook width, D width.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosing.codecs.delay import Pattern
from autosing.nn.mup import Linear, Table, Tunables, vector

_LEARNED = 32
"""Numbers of a code that are learned beside its frozen vector."""


class RowEmbedding(nn.Module):
    """columns_BRT -> x_BTD, and back: what a code is among those of its row.

    A code is told by the frozen vector of its codec (its numbers and their squares, so that a readout can be near one
    vector and far from all others), beside a few learned numbers: codes that sound alike are alike from the first step
    on, where a table of thousands of codes must meet each of them many times. Specials have learned numbers alone.
    """

    frozen_LVW: Tensor

    def __init__(
        self,
        pattern: Pattern,
        num_rows: int,
        width: int,
        tunables: Tunables,
        code_width: int,
        vectors: Sequence[Tensor] | None = None,
    ) -> None:
        """vectors: vectors_VC of each level, C <= code_width (Codec.code_vectors); None: zeros, until weights are
        loaded, or for ever."""
        super().__init__()
        self.sizes, self.vocabulary = pattern.row_sizes[:num_rows], pattern.vocabulary
        self.levels = pattern.row_levels[:num_rows]
        self.register_buffer("frozen_LVW", torch.zeros(max(self.levels) + 1, self.vocabulary, 2 * code_width))
        for level, held_VC in enumerate((vectors or ())[: len(self.frozen_LVW)]):
            size, held = held_VC.shape
            self.frozen_LVW[level, :size, :held] = _standard(held_VC)
            self.frozen_LVW[level, :size, code_width : code_width + held] = _standard(_standard(held_VC).square())
        self.table = Table(num_rows * self.vocabulary, _LEARNED, tunables)
        self.features = 2 * code_width + _LEARNED
        self.project = Linear(num_rows * self.features, width, tunables, tunables.projector_lr_scale)
        self.register_buffer("first_R", torch.arange(num_rows) * self.vocabulary, persistent=False)
        self.first_R: Tensor
        self.register_buffer("level_R", torch.tensor(self.levels) * self.vocabulary, persistent=False)
        self.level_R: Tensor

    def forward(self, columns_BRT: Tensor) -> Tensor:
        ids_BTR = columns_BRT.transpose(1, 2)
        frozen_BTRW = F.embedding(ids_BTR + self.level_R, self.frozen_LVW.flatten(0, 1))
        x_BTRF = torch.cat([frozen_BTRW, self.table(ids_BTR + self.first_R)], dim=-1)
        return self.project(x_BTRF.flatten(2)) * 0.5

    def entries(self, row: int) -> Tensor:
        """entries_VF, F = features, of a row's codes alone: logits from them have no class for specials."""
        first, size = row * self.vocabulary, self.sizes[row]
        return torch.cat([self.frozen_LVW[self.levels[row], :size], self.table.weight_VD[first : first + size]], dim=-1)


def _standard(vectors_VC: Tensor) -> Tensor:
    """Centred, with one spread for all numbers: distances between vectors stay those of the codec."""
    centred_VC = vectors_VC.float() - vectors_VC.float().mean(0)
    return centred_VC / centred_VC.std().clamp(min=1e-6)


class CodebookEmbedding(nn.Module):
    """codes_BT -> x_BTD: the frozen codebook vector, projected. Entry K is the learned start (or end) vector."""

    def __init__(self, codebook_KW: Tensor, width: int, tunables: Tunables) -> None:
        super().__init__()
        self.register_buffer("codebook_KW", _standard(codebook_KW))
        self.codebook_KW: Tensor
        self.project = Linear(codebook_KW.shape[1], width, tunables, tunables.projector_lr_scale)
        self.special_D = vector(width, tunables)

    def forward(self, codes_BT: Tensor) -> Tensor:
        size = len(self.codebook_KW)
        x_BTD = self.project(F.embedding(codes_BT.clamp(max=size - 1), self.codebook_KW))
        return torch.where((codes_BT == size)[..., None], self.special_D, x_BTD)
