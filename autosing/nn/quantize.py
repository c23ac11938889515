"""latent_BDF -> codes of several rates, and the latent of codes: residual quantisation, with a rate for each level.

Level i averages the residual of the coarser levels over `strides[i]` frames and takes the nearest of its vectors (van
den Oord 2017; residual as in SoundStream, arXiv:2107.03312; rates as in SNAC, arXiv:2410.14411). Vectors are
initialised by k-means on latents of an unquantised warm-up, follow their members by moving averages, and are replaced
when they have no members.

Shapes: B clips, D width, F frames, N_i = F / strides[i], V vectors of a level, M latents to be placed (in `encode`:
blocks of W frames, K beams, C codes chosen so far).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Level(nn.Module):
    """One codebook: vectors_VD, and the moving sums and counts of which they are the quotient."""

    vectors_VD: Tensor
    counts_V: Tensor
    sums_VD: Tensor

    def __init__(self, size: int, width: int, decay: float = 0.995, dead_below: float = 0.03) -> None:
        super().__init__()
        self.decay, self.dead_below = decay, dead_below
        self.register_buffer("vectors_VD", torch.zeros(size, width))
        self.register_buffer("counts_V", torch.ones(size))
        self.register_buffer("sums_VD", torch.zeros(size, width))

    def nearest(self, x_MD: Tensor) -> Tensor:
        """codes_M. The squares of x are left out, as they are the same for all vectors."""
        distance_MV = self.vectors_VD.pow(2).sum(1) - 2 * x_MD @ self.vectors_VD.mT
        return distance_MV.argmin(1)

    @torch.no_grad()
    def start(self, x_MD: Tensor, generator: torch.Generator, rounds: int = 12) -> None:
        """k-means. In each round, vectors without members are moved to random latents."""
        size = len(self.vectors_VD)
        self.vectors_VD.copy_(x_MD[_draw(x_MD, size, generator)])
        for _ in range(rounds):
            counts_V, sums_VD = self._members(x_MD)
            empty_V = counts_V == 0
            self.vectors_VD.copy_(sums_VD / counts_V.clamp(min=1)[:, None])
            self.vectors_VD[empty_V] = x_MD[_draw(x_MD, int(empty_V.sum()), generator)]
        self.counts_V.fill_(1.0)
        self.sums_VD.copy_(self.vectors_VD)

    @torch.no_grad()
    def follow(self, x_MD: Tensor, generator: torch.Generator) -> None:
        """One moving-average step of each vector towards its members among these latents; dead vectors are replaced."""
        counts_V, sums_VD = self._members(x_MD)
        # Counts relative to uniform use, so that `dead_below` means the same for every batch and level.
        scale = len(self.vectors_VD) / counts_V.sum()
        self.counts_V.lerp_(counts_V * scale, 1 - self.decay)
        self.sums_VD.lerp_(sums_VD * scale, 1 - self.decay)
        self.vectors_VD.copy_(self.sums_VD / self.counts_V.clamp(min=1e-6)[:, None])
        dead_V = self.counts_V < self.dead_below
        fresh = x_MD[_draw(x_MD, int(dead_V.sum()), generator)]
        self.vectors_VD[dead_V], self.sums_VD[dead_V], self.counts_V[dead_V] = fresh, fresh, 1.0

    def _members(self, x_MD: Tensor) -> tuple[Tensor, Tensor]:
        code_M = self.nearest(x_MD)
        counts_V = torch.zeros_like(self.counts_V).index_add_(0, code_M, torch.ones_like(x_MD[:, 0]))
        return counts_V, torch.zeros_like(self.sums_VD).index_add_(0, code_M, x_MD)


class ResidualQuantizer(nn.Module):
    """All levels, coarse to fine. Before `start` has been called, latents pass through unchanged."""

    started: Tensor

    def __init__(self, strides: Sequence[int], sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.levels = nn.ModuleList(Level(size, width) for size in sizes)
        self.register_buffer("started", torch.tensor(False))

    def level(self, number: int) -> Level:
        """One codebook, counted from the coarsest."""
        found = self.levels[number]
        assert isinstance(found, Level)
        return found

    def encode(self, z_BDF: Tensor, beams: int = 4, levels: int | None = None) -> list[Tensor]:
        """[codes_BN_i], by beam search over levels for each block: `beams` sums of vectors are kept from level to
        level. With one beam each level takes its nearest vector; four leave 7 % less error. `levels`: only so many of
        the coarsest (None: all)."""
        block = self.strides[0]
        rest_MKDW = z_BDF.unflatten(2, (-1, block)).transpose(1, 2).flatten(0, 1)[:, None]
        chosen_MKC = torch.zeros(*rest_MKDW.shape[:2], 0, dtype=torch.long, device=z_BDF.device)
        for level, stride in self._levels()[:levels]:
            for first in range(0, block, stride):
                part_MKDW = rest_MKDW[..., first : first + stride]
                # A vector v changes the error by stride * (v * v - 2 * v * mean of the part).
                added_MKV = level.vectors_VD.pow(2).sum(1) - 2 * part_MKDW.mean(3) @ level.vectors_VD.mT
                error_MKV = rest_MKDW.pow(2).sum((2, 3))[..., None] + stride * added_MKV
                size = len(level.vectors_VD)
                best_MK = error_MKV.flatten(1).topk(min(beams, error_MKV[0].numel()), dim=1, largest=False).indices
                parent_MK, code_MK = best_MK // size, best_MK % size
                rest_MKDW = rest_MKDW.gather(1, parent_MK[..., None, None].expand(-1, -1, *rest_MKDW.shape[2:]))
                rest_MKDW[..., first : first + stride] -= level.vectors_VD[code_MK][..., None]
                chosen_MKC = chosen_MKC.gather(1, parent_MK[..., None].expand(-1, -1, chosen_MKC.shape[2]))
                chosen_MKC = torch.cat([chosen_MKC, code_MK[..., None]], dim=2)
        codes_BMC = chosen_MKC[:, 0].unflatten(0, (len(z_BDF), -1))
        per_block = [block // stride for stride in self.strides[:levels]]
        return [level_BMc.flatten(1) for level_BMc in codes_BMC.split(per_block, dim=2)]

    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        """[codes_BN_i] -> z_BDF, the sum of the levels' vectors: of all levels, or of the coarsest that are given."""
        parts = [
            self.level(i).vectors_VD[codes_BN].mT.repeat_interleave(stride, dim=2)
            for i, (stride, codes_BN) in enumerate(zip(self.strides[: len(codes)], codes, strict=True))
        ]
        return torch.stack(parts).sum(0)

    def forward(self, z_BDF: Tensor, levels_B: Tensor | None = None) -> tuple[Tensor, Tensor, list[Tensor]]:
        """-> (quantised z_BDF with a straight-through gradient, commitment loss, [input x_MD of each level]); the last
        is for `follow`. `levels_B`: the number of levels used for each clip (quantiser dropout as in SoundStream);
        inputs are computed for all levels."""
        z_BDF = z_BDF.float()
        if not bool(self.started):
            return z_BDF, z_BDF.new_zeros(()), []
        with torch.autocast(z_BDF.device.type, enabled=False):  # distances of neighbours are lost in bf16
            spoken, asked = self._walk(z_BDF)
        commitment = (z_BDF - spoken[-1].detach()).pow(2).mean()
        heard_BDF = spoken[-1]
        if levels_B is not None:
            heard_BDF = torch.stack(spoken)[levels_B, torch.arange(len(z_BDF), device=z_BDF.device)]
        return z_BDF + (heard_BDF - z_BDF).detach(), commitment, asked

    @torch.no_grad()
    def start(self, z_BDF: Tensor, generator: torch.Generator) -> None:
        """k-means of each level on the residual of the levels before it."""
        rest_BDF = z_BDF
        for level, stride in self._levels():
            pooled_BDN = _pool(rest_BDF, stride)
            level.start(_rows(pooled_BDN), generator)
            rest_BDF = rest_BDF - self._heard(level, pooled_BDN)[1].repeat_interleave(stride, dim=2)
        self.started.fill_(True)

    @torch.no_grad()
    def follow(self, asked: Sequence[Tensor], generator: torch.Generator) -> None:
        """Moving averages, after a training step."""
        for (level, _), x_MD in zip(self._levels(), asked, strict=True):
            level.follow(x_MD, generator)

    def _walk(self, z_BDF: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """([the sum of the first 0, 1, 2 ... levels], [the input of each level])."""
        rest_BDF, spoken, asked = z_BDF.detach(), [torch.zeros_like(z_BDF)], []
        for level, stride in self._levels():
            pooled_BDN = _pool(rest_BDF, stride)
            vectors_BDF = self._heard(level, pooled_BDN)[1].repeat_interleave(stride, dim=2)
            rest_BDF = rest_BDF - vectors_BDF
            spoken.append(spoken[-1] + vectors_BDF)
            asked.append(_rows(pooled_BDN))
        return spoken, asked

    def _levels(self) -> list[tuple[Level, int]]:
        return [(self.level(i), stride) for i, stride in enumerate(self.strides)]

    @staticmethod
    def _heard(level: Level, pooled_BDN: Tensor) -> tuple[Tensor, Tensor]:
        codes_BN = level.nearest(_rows(pooled_BDN)).view(pooled_BDN.shape[0], pooled_BDN.shape[2])
        return codes_BN, level.vectors_VD[codes_BN].mT


def _pool(x_BDF: Tensor, stride: int) -> Tensor:
    return x_BDF.unflatten(2, (-1, stride)).mean(3)


def _rows(x_BDN: Tensor) -> Tensor:
    return x_BDN.mT.flatten(0, 1)


def _draw(x_MD: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(len(x_MD), (count,), generator=generator).to(x_MD.device)
