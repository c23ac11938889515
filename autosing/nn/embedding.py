"""Codes -> vectors: rows of codec columns summed, and semantic codes through their frozen codebook.

Shapes: B clips, T places, R rows of a column, V entries of a row, K semantic codes, W codebook width, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosing.codecs.delay import Pattern
from autosing.nn.mup import Linear, Table, Tunables, vector


class RowEmbedding(nn.Module):
    """columns_BRT -> x_BTD: the sum of the rows' vectors. One table holds all rows, each with its mask and pad."""

    def __init__(self, pattern: Pattern, num_rows: int, width: int, tunables: Tunables) -> None:
        super().__init__()
        self.sizes, self.vocabulary = pattern.row_sizes[:num_rows], pattern.vocabulary
        self.table = Table(num_rows * self.vocabulary, width, tunables)
        self.register_buffer("first_R", torch.arange(num_rows) * self.vocabulary, persistent=False)
        self.first_R: Tensor
        self.scale = num_rows**-0.5

    def forward(self, columns_BRT: Tensor) -> Tensor:
        ids_PR = (columns_BRT.transpose(1, 2) + self.first_R).flatten(0, 1)
        x_PD = F.embedding_bag(ids_PR, self.table.weight_VD, mode="sum") * self.scale
        return x_PD.view(columns_BRT.shape[0], columns_BRT.shape[2], -1)

    def entries(self, row: int) -> Tensor:
        """entries_VD of a row's codes alone: logits from them have no class for specials."""
        first = row * self.vocabulary
        return self.table.weight_VD[first : first + self.sizes[row]]


class CodebookEmbedding(nn.Module):
    """codes_BT -> x_BTD: the frozen codebook vector, projected. Entry K is the learned start (or end) vector."""

    def __init__(self, codebook_KW: Tensor, width: int, tunables: Tunables) -> None:
        super().__init__()
        centred_KW = codebook_KW.float() - codebook_KW.float().mean(0)
        self.register_buffer("codebook_KW", centred_KW / centred_KW.std().clamp(min=1e-6))
        self.codebook_KW: Tensor
        self.project = Linear(codebook_KW.shape[1], width, tunables, tunables.projector_lr_scale)
        self.special_D = vector(width, tunables)

    def forward(self, codes_BT: Tensor) -> Tensor:
        size = len(self.codebook_KW)
        x_BTD = self.project(F.embedding(codes_BT.clamp(max=size - 1), self.codebook_KW))
        return torch.where((codes_BT == size)[..., None], self.special_D, x_BTD)
