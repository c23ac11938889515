"""A network with weight norms -> the same network without: each direction and length become one weight."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations


def fold_weight_norms(model: nn.Module) -> None:
    """In place, once training is over: what is computed stays the same and costs less."""
    for module in list(model.modules()):
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight", leave_parametrized=True)


def folded_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a network with weight norms -> that of the network without, to the bit what `fold_weight_norms`
    leaves. Of one that has none: the same."""
    lengths, directions = ".parametrizations.weight.original0", ".parametrizations.weight.original1"
    folded = {}
    for name, tensor in state.items():
        if name.endswith(lengths):
            stem = name.removesuffix(lengths)
            folded[f"{stem}.weight"] = torch._weight_norm(state[stem + directions], tensor, 0)
        elif not name.endswith(directions):
            folded[name] = tensor
    return folded
