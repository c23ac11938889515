"""python -m train.ship RUN OUT [--bits 8]: a run's model as it is shipped, its weights in half precision or in 8 bits.

OUT gets model.safetensors and model.json; the loaders bring the weights back to single precision. What half precision
changes is small beside what any of these models misses: a number keeps 11 bits. In 8 bits a weight is a whole number
from -127 to 127 times the scale of its row (symmetric quantisation by output channel); what is no matrix, or small,
stays in half precision.

Shapes: R rows of a weight, which are its output channels.
"""

import argparse
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from autosing.checkpoint import ROW_SCALE, load_model, save_model
from autosing.console import note
from autosing.errors import InputError

Bits = Literal[8, 16]
_LARGE = 4096
"""Of fewer numbers, little is saved."""


def ship(run: Path, out: Path, bits: Bits = 16) -> int:
    """The bytes of the weights that were written.

    Raises InputError: no model in the run, or a weight that half precision cannot hold.
    """
    file, small = load_model(run), dict[str, Tensor]()
    for name, tensor in file.state.items():
        if not tensor.is_floating_point():
            small[name] = tensor
        elif not bool(tensor.half().isfinite().all()):
            raise InputError(f"model {run}: {name} holds numbers that half precision cannot; ship it as it is")
        elif bits == 8 and tensor.ndim > 1 and tensor.numel() >= _LARGE:
            small[name], small[f"{name}{ROW_SCALE}"] = in_8_bits(tensor)
        else:
            small[name] = tensor.half()
    save_model(out, file.kind, file.config, small, file.extra)
    return sum(tensor.numel() * tensor.element_size() for tensor in small.values())


def in_8_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(whole numbers, scale_R): their product is off by half a scale at most."""
    rows = weight.float().flatten(1)
    scale_R = rows.abs().amax(1).clamp(min=1e-12) / 127
    return (rows / scale_R[:, None]).round().to(torch.int8).view_as(weight), scale_R


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--bits", type=int, choices=(8, 16), default=16)
    given = parser.parse_args()
    note(f"{given.out}: {ship(given.run, given.out, given.bits) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
