"""Unit vectors that lie close together -> where each lies from their centre, in units of their spread.

Shapes: B clips, N vectors, E numbers.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

_LEAST_LENGTH = 0.25
"""Vectors that lie closer together than that, as those of one singer do, are not blown up further."""


class Centred(nn.Module):
    """x_BE -> gain * (x - centre * |x|): a vector of zeros, which stands for nobody, stays zeros."""

    centre_E: Tensor
    gain: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("centre_E", torch.zeros(width))
        self.register_buffer("gain", torch.tensor(float(np.sqrt(width))))

    def fit(self, vectors_NE: Sequence[np.ndarray]) -> None:
        """Centre and gain such that each number of these vectors has mean 0, and all of them together variance 1. Of no
        vectors: the centre stays where it is, at 0."""
        if not len(vectors_NE):
            return
        all_NE = np.stack(vectors_NE).astype(np.float64)
        centre_E = all_NE.mean(0)
        length = float(np.sqrt(np.square(all_NE - centre_E).sum(1).mean()))
        self.centre_E.copy_(torch.from_numpy(centre_E))
        self.gain.fill_(float(np.sqrt(len(centre_E))) / max(length, _LEAST_LENGTH))

    def forward(self, x_BE: Tensor) -> Tensor:
        return self.gain * (x_BE - self.centre_E * x_BE.norm(dim=1, keepdim=True))
