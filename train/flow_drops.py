"""What an svc_flow is told of a batch -> the same with the singer, or the content, left out of some clips.

So that the flow learns what it makes without them, from which guidance leads away (Ho & Salimans 2022,
arXiv:2207.12598).

Shapes: B clips, D numbers of a folded frame, T folded steps, W width, E = 256 singer.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from autosing.models.svc_flow import SvcFlow
from autosing.models.told import Told
from autosing.nn.flow_matching import drop_conditions


class Kept(NamedTuple):
    """What is left."""

    mu_BDT: Tensor
    """The prior mean, of every clip's content."""
    heard_BWT: Tensor
    """The encoder's states; 0 in clips without content."""
    known_BDT: Tensor
    """The prior mean as the flow is told it: likewise, and without a gradient."""
    singer_BE: Tensor


def with_drops(model: SvcFlow, told: Told, h_BWT: Tensor, drop_singer: float, drop_content: float) -> Kept:
    """drop_*: how often singer, and content with pitch and loudness, are left out. `h_BWT`: what `model.tell` gave."""
    singer_BE = drop_conditions(told.singer_BE, torch.zeros_like(told.singer_BE[0]), drop_singer)
    mu_BDT = model.prior(h_BWT, singer_BE)
    if not drop_content:
        return Kept(mu_BDT, h_BWT, mu_BDT.detach(), singer_BE)
    kept_B11 = (torch.rand(len(h_BWT), 1, 1, device=h_BWT.device) >= drop_content).to(h_BWT.dtype)
    return Kept(mu_BDT, h_BWT * kept_B11, mu_BDT.detach() * kept_B11, singer_BE)
