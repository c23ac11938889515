"""Codes of several rates <-> columns of rows that a transformer predicts one after another, for any set of strides.

A column covers `block` frames. A level with stride s <= block has block / s rows in it; a slower level has one row, in
every (s / block)-th column only. Levels are delayed, the coarsest least, so that a column's parallel heads know all
coarser codes of the same frames. The three patterns follow from this rule:

- `bricks`: AutoSing's: a column covers strides[1] frames. SNAC's (8, 4, 2, 1): 8 rows, 2496 frames -> 632 columns.
- `bricks_unrolled`: each column of bricks as `block` sub-steps, with a code at the sub-step at which its frames begin,
  so that fine codes are predicted one after another instead of at once. 2496 frames -> 2528 columns.
- `delay`: MusicGen's (arXiv:2306.05284, section 2.1): a column for each frame, a row for each level.

Positions lie on one axis of frames whatever the pattern, so a model can be trained on coarse columns and run on
fine ones (AutoSing's "multiscale").

Shapes: B clips, N_i codes of level i, R rows, C columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from autosing.codecs.spec import CodecSpec
from autosing.errors import InputError

PatternName = Literal["bricks", "bricks_unrolled", "delay"]
_MASK, _PAD = -1, -2
FREE = -1
"""Stands for a code that must be predicted. All other entries are determined by the pattern."""


@dataclass(frozen=True)
class Pattern:
    """How codes are arranged in columns. Two specials follow the largest codebook in every row: `mask` where a row has
    no code (not trained, forced when sampling), `pad` before and after the codes of a row (trained, forced)."""

    strides: tuple[int, ...]
    codebook_sizes: tuple[int, ...]
    block: int
    """Frames a column (of sub-steps, if unrolled) covers; divides strides[0]."""
    unrolled: bool
    extra: int
    """Columns beyond the blocks, for the delays."""

    def __post_init__(self) -> None:
        assert len(self.strides) == len(self.codebook_sizes) > 0 and self.strides[-1] == 1, self
        assert all(a % b == 0 for a, b in zip(self.strides, self.strides[1:], strict=False)), self
        assert all(self.block % s == 0 or s % self.block == 0 for s in self.strides), self
        assert self.strides[0] % self.block == 0 and self.extra >= max(self.delays), self

    @classmethod
    def of(cls, spec: CodecSpec, name: PatternName = "bricks", block: int | None = None) -> "Pattern":
        """The pattern of a codec by name. `block` other than AutoSing's strides[1] trades columns for rows."""
        strides, levels = spec.strides, spec.num_levels
        usual = {"delay": 1, "bricks": strides[min(1, levels - 1)], "bricks_unrolled": strides[min(1, levels - 1)]}
        if name not in usual:
            raise InputError(f"token pattern {name!r}: unknown; need one of {', '.join(usual)}")
        block = usual[name] if block is None else block
        if block not in strides:
            raise InputError(f"token pattern {name}: a block of {block} frames; need one of the strides {strides}")
        extra = levels if name == "delay" else 2 * levels
        return cls(strides, spec.codebook_sizes, block, name == "bricks_unrolled", extra)

    @property
    def mask(self) -> int:
        return max(self.codebook_sizes)

    @property
    def pad(self) -> int:
        return self.mask + 1

    @property
    def vocabulary(self) -> int:
        """The classes of a row: codes, mask, pad."""
        return self.mask + 2

    @property
    def delays(self) -> tuple[int, ...]:
        """Columns (before unrolling) by which each level is delayed; the first column is all pad: the start."""
        return tuple(range(1, len(self.strides) + 1))

    @property
    def row_levels(self) -> tuple[int, ...]:
        """The level of each row."""
        return tuple(i for i, stride in enumerate(self.strides) for _ in range(max(1, self.block // stride)))

    @property
    def row_sizes(self) -> tuple[int, ...]:
        """The codes that each row can hold."""
        return tuple(self.codebook_sizes[level] for level in self.row_levels)

    @property
    def num_rows(self) -> int:
        return len(self.row_levels)

    @property
    def steps_per_block(self) -> int:
        return self.block if self.unrolled else 1

    def num_columns(self, num_frames: int) -> int:
        """The columns that hold so many frames (rounded up to whole blocks of the coarsest stride)."""
        blocks = -(-num_frames // self.strides[0]) * (self.strides[0] // self.block)
        return (blocks + self.extra) * self.steps_per_block

    def num_frames(self, num_columns: int) -> int:
        """The inverse of num_columns. Raises ValueError if the columns do not hold whole blocks."""
        blocks, rest = divmod(num_columns, self.steps_per_block)
        frames = (blocks - self.extra) * self.block
        if rest or frames < 0 or frames % self.strides[0]:
            raise ValueError(
                f"{num_columns} columns hold {frames} frames (rest {rest}): need whole blocks of {self.strides[0]}"
            )
        return frames

    def positions(self, num_columns: int, first: int = 0) -> Tensor:
        """positions_C (int64): the frame at which each column begins, from column `first` on; delays are ignored."""
        return (torch.arange(num_columns) + first) * (1 if self.unrolled else self.block)

    def to_columns(self, codes: Sequence[Tensor]) -> Tensor:
        """[codes_BN_i] (or [codes_N_i]) -> columns_BRC (or columns_RC), int64."""
        frames = codes[-1].shape[-1]
        found = [level.shape[-1] for level in codes]
        if found != [frames // stride for stride in self.strides] or frames % self.strides[0]:
            raise ValueError(f"levels of {found} codes: need whole blocks of strides {self.strides}")
        index_RC = _index(self, frames).to(codes[0].device)
        flat_BN = torch.cat([level.long() for level in codes], dim=-1)
        if frames == 0:
            return self._specials(index_RC).expand(*flat_BN.shape[:-1], *index_RC.shape)
        return torch.where(index_RC >= 0, flat_BN[..., index_RC.clamp(min=0)], self._specials(index_RC))

    def to_levels(self, columns_BRC: Tensor) -> list[Tensor]:
        """columns_BRC (or columns_RC) -> [codes_BN_i]; entries at which a special is forced are ignored."""
        frames = self.num_frames(columns_BRC.shape[-1])
        place_N = _places(self, frames).to(columns_BRC.device)
        flat_BN = columns_BRC.flatten(-2)[..., place_N]
        return list(flat_BN.split([frames // stride for stride in self.strides], dim=-1))

    def _specials(self, index_RC: Tensor) -> Tensor:
        return torch.where(index_RC == _PAD, self.pad, self.mask)


def multiscale(
    coarse: Pattern, fine: Pattern, codes: Sequence[Tensor], rng: np.random.Generator, p_coarse: float = 0.75
) -> tuple[Tensor, Tensor]:
    """[codes_N_i] of one clip -> (columns_RC, positions_C): the whole clip in coarse columns or, with probability
    1 - p_coarse, a crop of as many fine columns that begins at a block, with its true positions."""
    columns_RC = coarse.to_columns(codes)
    num_columns = columns_RC.shape[1]
    if rng.random() < p_coarse:
        return columns_RC, coarse.positions(num_columns)
    fine_RC = fine.to_columns(codes)
    last = (fine_RC.shape[1] - num_columns) // fine.strides[0]
    first = int(rng.integers(last + 1)) * fine.strides[0]
    return fine_RC[:, first : first + num_columns], fine.positions(num_columns, first)


@lru_cache(maxsize=64)
def _index(pattern: Pattern, num_frames: int) -> Tensor:
    """index_RC: the index of each entry in the clip's flat codes (levels concatenated), or _MASK, or _PAD."""
    num_blocks = -(-num_frames // pattern.strides[0]) * (pattern.strides[0] // pattern.block)
    frames, steps, first = num_blocks * pattern.block, pattern.steps_per_block, 0
    rows: list[Tensor] = []
    for stride, delay in zip(pattern.strides, pattern.delays, strict=True):
        for start in range(0, pattern.block, stride):
            frame_K = torch.arange(num_blocks) * pattern.block + start
            code_K = torch.where(frame_K % stride == 0, first + frame_K // stride, _MASK)
            column_C = torch.full((num_blocks + pattern.extra,), _PAD)
            column_C[delay : delay + num_blocks] = code_K
            step_CS = torch.full((len(column_C), steps), _MASK)
            step_CS[:, start % steps] = column_C
            rows.append(step_CS.flatten())
        first += frames // stride
    return torch.stack(rows)


@lru_cache(maxsize=64)
def _places(pattern: Pattern, num_frames: int) -> Tensor:
    """place_N: the index of each of the clip's flat codes in the flattened rows and columns."""
    index_P = _index(pattern, num_frames).flatten()
    live_P = torch.nonzero(index_P >= 0)[:, 0]
    place_N = torch.empty(len(live_P), dtype=torch.long)
    place_N[index_P[live_P]] = live_P
    return place_N
