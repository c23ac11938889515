"""A weight <-> few bits a number: whole numbers times the scale of their row (symmetric quantisation by channel).

Shapes: R rows of a weight, which are its output channels; N numbers of a row; K = 3 bytes for each 4 numbers of 6 bits.
"""

import torch
from torch import Tensor

SCALE, SHAPE = ".row_scale", ".shape"
"""Behind a weight's name: what each of its rows is to be multiplied by; and, of 6 bits, its own shape."""


def quantised(weight: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """(whole numbers from -most to most, int8, in the weight's shape; scale_R): their product is off by half a scale at
    most."""
    rows = weight.float().flatten(1)
    scale_R = rows.abs().amax(1).clamp(min=1e-12) / most
    return (rows / scale_R[:, None]).round().to(torch.int8).view_as(weight), scale_R


def in_8_bits(name: str, weight: Tensor) -> dict[str, Tensor]:
    """The tensors that stand for the weight."""
    whole, scale_R = quantised(weight, 127)
    return {name: whole, f"{name}{SCALE}": scale_R}


def in_6_bits(name: str, weight: Tensor) -> dict[str, Tensor]:
    """The tensors that stand for the weight."""
    whole, scale_R = quantised(weight, 31)
    shape = torch.tensor(weight.shape, dtype=torch.int32)
    return {name: pack(whole.flatten(1)), f"{name}{SCALE}": scale_R, f"{name}{SHAPE}": shape}


def pack(whole_RN: Tensor) -> Tensor:
    """int8 from -32 to 31 -> uint8, [R, K ceil(N / 4)]."""
    spare = -whole_RN.shape[1] % 4
    four = (torch.nn.functional.pad(whole_RN, (0, spare)).int() + 32).unflatten(1, (-1, 4))
    a, b, c, d = four.unbind(2)
    three = torch.stack([a << 2 | b >> 4, (b & 15) << 4 | c >> 2, (c & 3) << 6 | d], dim=2)
    return three.flatten(1).to(torch.uint8)


def unpack(packed_RK: Tensor, count: int) -> Tensor:
    """What `pack` was given; `count`: N."""
    x, y, z = packed_RK.int().unflatten(1, (-1, 3)).unbind(2)
    four = torch.stack([x >> 2, (x & 3) << 4 | y >> 4, (y & 15) << 2 | z >> 6, z & 63], dim=2)
    return (four.flatten(1)[:, :count] - 32).to(torch.int8)


def of_full_width(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state whose packed weights are brought to single precision."""
    full = {}
    for name, tensor in state.items():
        if name.endswith((SCALE, SHAPE)):
            continue
        scale_R, shape = state.get(f"{name}{SCALE}"), state.get(f"{name}{SHAPE}")
        if shape is not None:
            own = shape.tolist()
            tensor = unpack(tensor, int(shape[1:].prod())).view(own)
        full[name] = tensor if scale_R is None else tensor.float() * scale_R.view(-1, *[1] * (tensor.ndim - 1))
    return full
