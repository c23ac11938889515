"""Frames that each look at what lies around one place of a memory: attention within windows, drawn to their middles.

AlignSTS (Li et al. 2023, arXiv:2305.04476) attends within a band around the diagonal and draws attention to it by a
loss (guided attention, Tachibana et al. 2018, arXiv:1710.08969, section 3.2). Here the middle of each window is told,
so that singing may hold a vowel and pass over a pause, and a bias draws attention there from the first step on.

Shapes: B clips, F frames, S places of the memory, H heads, W head width, V width of values, D = H * W.
"""

import torch
from torch import Tensor, nn

_BLOCK = 1024
"""Frames that look at a time, each block at no more of the memory than its windows: what is held is not F * S."""
_FIRST_SPREAD = 2.0


def window_mask(centre_BF: Tensor, places_B: Tensor, num_places: int, reach: int, first: int = 0) -> Tensor:
    """seen_BFS: which of `num_places` places, counted from `first` on, lie within `reach` of a frame's middle and
    before its clip's end. A middle beyond the ends counts as the end, so every frame sees something."""
    at_S = first + torch.arange(num_places, device=centre_BF.device)
    away_BFS = at_S - clamped(centre_BF, places_B)[..., None]
    return (away_BFS.abs() <= reach) & (at_S < places_B[:, None, None])


def clamped(centre_BF: Tensor, places_B: Tensor) -> Tensor:
    """Middles within their clips' memory."""
    return torch.minimum(centre_BF.clamp(min=0), (places_B[:, None] - 1).to(centre_BF.dtype))


def attend_windows(
    q_BHFW: Tensor, k_BHSW: Tensor, v_BHSV: Tensor, centre_BF: Tensor, places_B: Tensor, spread_H: Tensor, reach: int,
    sigma: float, block: int = _BLOCK,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(y_BHFV, away_BF): what is looked at, and how far attention strays from the middles: the mean over heads and
    places of 1 - exp(-d^2 / (2 sigma^2)), 0 on the middle and 1 far from it.

    Scores are lowered by d^2 / (2 spread^2), d in places, for each head by its own spread.
    """
    made, strayed = [], []
    for start in range(0, centre_BF.shape[1], block):
        middle_BF = clamped(centre_BF[:, start : start + block], places_B)
        first = max(0, int(middle_BF.min()) - reach) if centre_BF.shape[1] > block else 0
        last = int(middle_BF.max()) + reach + 1 if centre_BF.shape[1] > block else k_BHSW.shape[2]
        k_BHsW, v_BHsV = k_BHSW[:, :, first:last], v_BHSV[:, :, first:last]
        at_S = first + torch.arange(k_BHsW.shape[2], device=middle_BF.device)
        far_BFS = (at_S - middle_BF[..., None]).float().square()
        seen_BFS = window_mask(middle_BF, places_B, k_BHsW.shape[2], reach, first)
        score_BHFS = (q_BHFW[:, :, start : start + block] @ k_BHsW.mT).float() * q_BHFW.shape[-1] ** -0.5
        score_BHFS = score_BHFS - far_BFS[:, None] / (2 * spread_H.float().square()[:, None, None])
        share_BHFS = score_BHFS.masked_fill(~seen_BFS[:, None], float("-inf")).softmax(3)
        made.append(share_BHFS.to(v_BHsV.dtype) @ v_BHsV)
        stray_BFS = 1 - torch.exp(-far_BFS / (2 * sigma**2))
        strayed.append((share_BHFS.mean(1) * stray_BFS).sum(2))
    return torch.cat(made, dim=2), torch.cat(strayed, dim=1)


class WindowAttention(nn.Module):
    """(x_BFD, memory_BSD) -> (x_BFD, how far it strays_BF); see `attend_windows`."""

    def __init__(self, width: int, heads: int, reach: int, sigma: float) -> None:
        super().__init__()
        assert width % heads == 0, (width, heads)
        self.heads, self.reach, self.sigma = heads, reach, sigma
        self.norm = nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.log_spread_H = nn.Parameter(torch.full((heads,), _FIRST_SPREAD).log())
        nn.init.zeros_(self.query.weight)

    def forward(self, x_BFD: Tensor, memory_BSD: Tensor, centre_BF: Tensor, places_B: Tensor) -> tuple[Tensor, Tensor]:
        heads = (self.heads, -1)
        q_BHFW = self.query(self.norm(x_BFD)).unflatten(2, heads).transpose(1, 2)
        k_BSD, v_BSD = self.key_value(memory_BSD).chunk(2, dim=2)
        k_BHSW, v_BHSW = (part.unflatten(2, heads).transpose(1, 2) for part in (k_BSD, v_BSD))
        y_BHFW, strayed_BF = attend_windows(
            q_BHFW, k_BHSW, v_BHSW, centre_BF, places_B, self.log_spread_H.exp(), self.reach, self.sigma
        )
        return x_BFD + self.out(y_BHFW.transpose(1, 2).flatten(2)), strayed_BF


class Transport(nn.Module):
    """(x_BFD, memory_BSD, values_BSV) -> (values_BFV, how far it strays_BF): one head carries values as they are."""

    def __init__(self, width: int, reach: int, sigma: float) -> None:
        super().__init__()
        self.reach, self.sigma = reach, sigma
        self.norm = nn.LayerNorm(width)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.log_spread_H = nn.Parameter(torch.tensor([1.0]).log())
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.query.bias)

    def forward(
        self, x_BFD: Tensor, memory_BSD: Tensor, values_BSV: Tensor, centre_BF: Tensor, places_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        q_BHFW, k_BHSW = self.query(self.norm(x_BFD))[:, None], self.key(memory_BSD)[:, None]
        y_BHFV, strayed_BF = attend_windows(
            q_BHFW, k_BHSW, values_BSV[:, None], centre_BF, places_B, self.log_spread_H.exp(), self.reach, self.sigma
        )
        return y_BHFV[:, 0], strayed_BF
