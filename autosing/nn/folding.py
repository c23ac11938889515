"""A network with weight norms -> the same network without: each direction and length become one weight."""

from torch import nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations


def fold_weight_norms(model: nn.Module) -> None:
    """In place, once training is over: what is computed stays the same and costs less."""
    for module in list(model.modules()):
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight", leave_parametrized=True)
