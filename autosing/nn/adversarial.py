"""x -> x, with its gradient reversed: layers after it learn to detect something, layers before it to hide it.

Ganin & Lempitsky 2015, arXiv:1409.7495, section 3.
"""

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.config import Config


class ReversalConfig(Config):
    """The strength of the reversed gradient, lambda, as a function of the step."""

    peak: float = Field(default=1.0, ge=0)
    """The final lambda."""
    start_step: int = Field(default=0, ge=0)
    """Before this step lambda is 0: the head is trained, and nothing is hidden from it."""
    ramp_steps: int = Field(default=2000, ge=0)
    """Steps from `start_step` on in which lambda rises; 0: at once."""
    steepness: float = Field(default=10.0, gt=0)
    """Steepness of the rise: with 10, nine tenths of the peak are reached at 0.3 of the ramp."""

    def strength(self, step: int) -> float:
        """lambda = peak * (2 / (1 + exp(-steepness * p)) - 1), p the share of the ramp (section 4 of the paper)."""
        if step < self.start_step:
            return 0.0
        if step >= self.start_step + self.ramp_steps:
            return self.peak
        share = (step - self.start_step) / self.ramp_steps
        return self.peak * math.tanh(self.steepness * share / 2)


class GradientReversal(nn.Module):
    """Forward: the identity. Backward: the gradient times -lambda of the step."""

    def __init__(self, config: ReversalConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, x: Tensor, step: int) -> Tensor:
        return reverse_gradient(x, self.config.strength(step))


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """x, whose gradient is multiplied by -strength."""
    turned: Tensor = _Reversal.apply(x, strength)
    return turned


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None
