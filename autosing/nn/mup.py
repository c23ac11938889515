"""muP: a learning rate and an init that hold for every width, so that settings tuned at width 192 fit the large sizes.

After Yang et al., Tensor Programs V (arXiv:2203.03466), table 3, for Adam: a matrix from a wide input starts with
standard deviation ~ 1/sqrt(fan_in) and has a learning rate ~ 1/fan_in; vectors (embeddings, biases, norms) keep their
rate; logits through a table are scaled by 1/width; queries and output projections start at zero.

Shapes: I inputs, O outputs, V entries of a table, D width.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from autosing.config import Config


class Tunables(Config):
    """Hyperparameters tuned once, at `base_width`, for init, forward pass or optimiser (tests/test_mup.py)."""

    base_width: int = Field(default=192, gt=0)
    init_std: float = Field(default=1.0, gt=0)
    """A matrix starts with standard deviation init_std / sqrt(fan_in), truncated at 3 sigma."""
    embedding_std: float = Field(default=0.3, gt=0)
    embedding_lr_scale: float = Field(default=8.0, gt=0)
    """Factor on the learning rate of tables and null tokens."""
    projector_lr_scale: float = Field(default=2.5, gt=0)
    """Factor on the learning rate of projections of frozen vectors: semantic codebook, singer, time."""
    output_mult: float = Field(default=0.5, gt=0)
    query_mult: float = Field(default=1.0, gt=0)
    """Scores are query_mult * 8 / head_width * (q . k)."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Only for matrices."""

    def output_scale(self, width: int) -> float:
        """The factor on logits through a table of vectors of this width."""
        return self.output_mult * self.base_width / width


class Linear(nn.Module):
    """x_I -> x_O. The weight is stored with its longer side last: products with one row are then faster on a CPU."""

    bias_O: nn.Parameter
    """None if there is no bias."""

    def __init__(
        self, inputs: int, outputs: int, tunables: Tunables, lr_scale: float = 1.0, zero: bool = False,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr_scale = lr_scale * tunables.base_width / inputs
        self.input_last = inputs > outputs
        self.weight = nn.Parameter(torch.zeros(*((outputs, inputs) if self.input_last else (inputs, outputs))))
        self.register_parameter("bias_O", nn.Parameter(torch.zeros(outputs)) if bias else None)
        if not zero:
            std = tunables.init_std / inputs**0.5
            nn.init.trunc_normal_(self.weight, std=std, a=-3 * std, b=3 * std)

    @property
    def weight_OI(self) -> Tensor:
        return self.weight if self.input_last else self.weight.t()

    def forward(self, x_I: Tensor) -> Tensor:
        return F.linear(x_I, self.weight_OI, self.bias_O)


class Table(nn.Module):
    """ids -> vectors; also vectors -> logits, through the same entries (tied)."""

    def __init__(self, entries: int, width: int, tunables: Tunables) -> None:
        super().__init__()
        self.weight_VD = nn.Parameter(torch.randn(entries, width) * tunables.embedding_std)

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight_VD)


def vector(width: int, tunables: Tunables) -> nn.Parameter:
    """One learned vector: a null token, a start token."""
    return nn.Parameter(torch.randn(width) * tunables.embedding_std)


def parameter_groups(module: nn.Module, tunables: Tunables) -> list[dict[str, Any]]:
    """Every trained parameter once, grouped by {"lr_scale", "weight_decay"}: the optimiser's side of muP."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, lr_scale, weight_decay in _scales(module.modules(), tunables):
        groups.setdefault((lr_scale, weight_decay), []).append(parameter)
    return [{"params": params, "lr_scale": lr, "weight_decay": wd} for (lr, wd), params in sorted(groups.items())]


def _scales(modules: Iterable[nn.Module], tunables: Tunables) -> Iterator[tuple[nn.Parameter, float, float]]:
    for module in modules:
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            if isinstance(module, Linear):
                yield (
                    (parameter, module.lr_scale, tunables.weight_decay) if name == "weight" else (parameter, 1.0, 0.0)
                )
            elif isinstance(module, nn.LayerNorm):
                yield parameter, 1.0, 0.0
            else:
                yield parameter, tunables.embedding_lr_scale, 0.0
