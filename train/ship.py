"""python -m train.ship RUN OUT: a run's model as it is shipped, its weights in half precision.

OUT gets model.safetensors and model.json; the loaders bring the weights back to single precision. What half precision
changes is small beside what any of these models misses: a number keeps 11 bits.
"""

import sys
from pathlib import Path

import torch

from autosing.checkpoint import load_model, save_model
from autosing.console import note
from autosing.errors import InputError


def ship(run: Path, out: Path) -> int:
    """The bytes of the weights that were written.

    Raises InputError: no model in the run, or a weight that half precision cannot hold.
    """
    file = load_model(run)
    halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in file.state.items()}
    for name, tensor in halved.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"model {run}: {name} holds numbers that half precision cannot; ship it as it is")
    save_model(out, file.kind, file.config, halved, file.extra)
    return sum(tensor.numel() * tensor.element_size() for tensor in halved.values())


if __name__ == "__main__":
    run, out = map(Path, sys.argv[1:])
    note(f"{out}: {ship(run, out) / 1e6:.1f} MB")
