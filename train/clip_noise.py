"""Standard normal noise of each clip of a batch, a function of the clip's seed: neighbours change nothing.

Shapes: B clips, S samples, F frames, D numbers a frame.
"""

import torch
from torch import Tensor

from autosing.ids import seed_of
from autosing.nn.solvers import frame_noise


class ClipNoise:
    """`seed_B`: a seed for each clip."""

    def __init__(self, seed_B: Tensor) -> None:
        self._seeds = seed_B.tolist()

    def of(self, like_BDF: Tensor, draw: int) -> Tensor:
        """noise_BDF; another for every draw and width."""
        _, width, num_frames = like_BDF.shape
        parts = [frame_noise(seed_of(seed, draw, width), (1, width, num_frames))[0] for seed in self._seeds]
        return torch.cat(parts).to(like_BDF.device)

    def samples(self, like_BS: Tensor) -> Tensor:
        """noise_BS."""
        parts = [
            torch.randn(like_BS.shape[1], generator=torch.Generator().manual_seed(seed_of(seed, "source")))
            for seed in self._seeds
        ]
        return torch.stack(parts).to(like_BS.device)
