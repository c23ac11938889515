"""python -m train.ship RUN OUT [--bits 8]: a run's model as it is shipped: half precision, or 8 or 6 bits a weight.

OUT gets model.safetensors and model.json; the loaders bring the weights back to single precision. What half precision
changes is small beside what any of these models misses: a number keeps 11 bits. In 8 bits a weight is a whole number
from -127 to 127 times the scale of its row (autosing/packing.py), in 6 bits from -31 to 31; what is no matrix, or
small, stays in half precision.
"""

import argparse
from pathlib import Path
from typing import Literal

from torch import Tensor

from autosing.checkpoint import load_model, save_model
from autosing.console import note
from autosing.errors import InputError
from autosing.packing import in_6_bits, in_8_bits

Bits = Literal[6, 8, 16]
_PACKED = {6: in_6_bits, 8: in_8_bits}
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
        elif bits in _PACKED and tensor.ndim > 1 and tensor.numel() >= _LARGE:
            small |= _PACKED[bits](name, tensor)
        else:
            small[name] = tensor.half()
    save_model(out, file.kind, file.config, small, file.extra)
    return sum(tensor.numel() * tensor.element_size() for tensor in small.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--bits", type=int, choices=(6, 8, 16), default=16)
    given = parser.parse_args()
    note(f"{given.out}: {ship(given.run, given.out, given.bits) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
