"""How a song is articulated -> a few codes; and content, phones and notes -> the codes that are likely.

AlignSTS's rhythm adaptor: loudness and voicing of singing are squeezed through a small codebook, so that the aligner is
told when sounds change and little else, and a predictor names the codes where no singing is there to be read.

Shapes: B clips, F frames, J = F / stride places of codes, D width of a code, V codes, W width.
"""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.config import Config
from autosing.nn.convnext import ConvNeXt
from autosing.nn.quantize import ResidualQuantizer


class RhythmConfig(Config):
    """AlignSTS has 6 codes at 47 a second."""

    codes: int = Field(default=16, ge=2)
    width: int = Field(default=16, ge=2)
    stride: int = Field(default=4, ge=1)
    """Frames of the space a code."""
    blocks: int = Field(default=2, ge=1)
    """Of the predictor."""


class Rhythm(nn.Module):
    """`read` of singing, `predict` without it; `shown` is what the aligner is told."""

    def __init__(self, config: RhythmConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.reader = nn.Sequential(
            nn.Conv1d(2, 4 * config.width, 7, padding=3), nn.GELU(),
            nn.Conv1d(4 * config.width, 4 * config.width, config.stride, stride=config.stride), nn.GELU(),
            nn.Conv1d(4 * config.width, config.width, 1),
        )  # fmt: skip
        self.quantizer = ResidualQuantizer((1,), (config.codes,), config.width)
        self.predictor = ConvNeXt(width, width, 2 * width, config.blocks)
        self.logits = nn.Conv1d(width, config.codes, 1)
        self.show = nn.Conv1d(config.width, width, 1)

    def read(self, loudness_BF: Tensor, voiced_BF: Tensor) -> Tensor:
        """latent_BDJ, before it is quantised. `loudness_BF`: as autosing.models.told.loudness_told says it."""
        x_B2F = torch.stack([loudness_BF, voiced_BF.to(loudness_BF.dtype)], dim=1)
        latent_BDJ: Tensor = self.reader(self._filled(x_B2F))
        return latent_BDJ

    def codes_of(self, latent_BDJ: Tensor) -> Tensor:
        """codes_BJ."""
        rows_MD = latent_BDJ.detach().float().mT.flatten(0, 1)
        return self.quantizer.level(0).nearest(rows_MD).view(len(latent_BDJ), -1)

    def vectors_of(self, codes_BJ: Tensor) -> Tensor:
        """latent_BDJ of codes."""
        return self.quantizer.level(0).vectors_VD[codes_BJ].mT

    def predict(self, x_BWF: Tensor) -> Tensor:
        """logits_BVJ, from what the aligner knows without codes."""
        pooled_BWJ = F.avg_pool1d(self._filled(x_BWF), self.config.stride)
        logits_BVJ: Tensor = self.logits(self.predictor(pooled_BWJ))
        return logits_BVJ

    def shown(self, latent_BDJ: Tensor, num_frames: int) -> Tensor:
        """x_BWF."""
        return self.show(latent_BDJ).repeat_interleave(self.config.stride, dim=2)[..., :num_frames]

    def _filled(self, x_BCF: Tensor) -> Tensor:
        return F.pad(x_BCF, (0, -x_BCF.shape[2] % self.config.stride))
