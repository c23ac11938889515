"""A codec's rates, codebooks and strides as data, and the flat form in which codes are stored.

Levels run from coarse to fine. A frame is one step of the finest rate; level i has one code every `strides[i]`
frames, so a block of max(strides) frames holds a whole number of codes of each level. Codes are stored flat, with the
levels concatenated. For F frames level i has N_i = F / strides[i] codes.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from pydantic import Field

from autosing.config import Config


class CodecSpec(Config):
    """The numbers of a codec that other code needs to know."""

    name: str
    sample_rate_hz: int = Field(gt=0)
    hop_samples: int = Field(gt=0)
    """Samples per frame, at the finest level."""
    strides: tuple[int, ...]
    """Frames per code, for each level, from coarse to fine; each divides the one before; the last is 1."""
    codebook_sizes: tuple[int, ...]

    def model_post_init(self, _: object) -> None:
        assert len(self.strides) == len(self.codebook_sizes) > 0 and self.strides[-1] == 1, self.strides
        assert all(a % b == 0 for a, b in zip(self.strides, self.strides[1:], strict=False)), self.strides

    @property
    def num_levels(self) -> int:
        return len(self.strides)

    @property
    def block_frames(self) -> int:
        return self.strides[0]

    @property
    def frame_rate_hz(self) -> Fraction:
        return Fraction(self.sample_rate_hz, self.hop_samples)

    @property
    def block_samples(self) -> int:
        return self.block_frames * self.hop_samples

    def num_blocks(self, num_samples: int) -> int:
        """The blocks that cover so many samples."""
        return -(-num_samples // self.block_samples)

    def flatten(self, codes: Sequence[np.ndarray]) -> np.ndarray:
        """[codes_N_i] of one clip -> one int32 array, the levels concatenated."""
        return np.concatenate([np.asarray(level, np.int32) for level in codes])

    def unflatten(self, flat: np.ndarray) -> list[np.ndarray]:
        """The inverse of flatten. Raises ValueError if the codes are not whole blocks."""
        try:
            return split_levels(flat, self.strides)
        except ValueError as error:
            raise ValueError(f"codes of {self.name}: {error}") from None


def split_levels(flat: np.ndarray, strides: Sequence[int]) -> list[np.ndarray]:
    """Concatenated codes -> [codes_N_i]. Raises ValueError if they are not whole blocks."""
    per_block = [strides[0] // stride for stride in strides]
    num_blocks, rest = divmod(len(flat), sum(per_block))
    if rest:
        raise ValueError(f"{len(flat)} codes: not a whole number of blocks of {sum(per_block)}")
    return np.split(flat, np.cumsum([n * num_blocks for n in per_block])[:-1])
