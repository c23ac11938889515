"""The records of a dataset's features in index.json: `autosing verify` checks shards by them, models their codes."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from autosing.codecs.spec import CodecSpec, split_levels
from autosing.config import Config
from autosing.timebase import SEMANTIC_RATE_HZ

JSON = "json"
"""The type of a member that is no array."""
_DURATION_STEP_S = 0.001
"""Durations of clips are rounded to this."""


class CodecRecord(Config):
    """The codec of the codes in vocals_codes and instrumental_codes."""

    spec: CodecSpec
    digest: str

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        return self.spec.codebook_sizes

    @property
    def strides(self) -> tuple[int, ...]:
        return self.spec.strides

    @property
    def rate_hz(self) -> float:
        """Of the finest level."""
        return float(self.spec.frame_rate_hz)


class SemanticRecord(Config):
    """The codebook of the codes in `semantic`."""

    digest: str
    size: int = Field(gt=0)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        return (self.size,)

    @property
    def strides(self) -> tuple[int, ...]:
        return (1,)

    @property
    def rate_hz(self) -> float:
        return float(SEMANTIC_RATE_HZ)


Codes = CodecRecord | SemanticRecord
"""The codec or codebook of codes: codebook sizes, rates, and the digest of the weights."""


class MemberRecord(Config):
    """One array of a feature, as it lies in the shards; see autosing.schemas.features.Member."""

    dtype: str
    """Of its numbers, or JSON."""
    rate_hz: float | None = None
    """Frames per second along the first axis (of codes: at the finest level); None: no series."""
    width: tuple[int | None, ...] | None = None
    """The shape after the first axis; without a rate the whole shape. None, also inside: any."""
    unit: bool = False
    """A vector of length 1."""
    optional: bool = False
    """Absent from clips without an accompaniment."""
    codebook_sizes: tuple[int, ...] = ()
    """The codebook size of each level of codes, coarse to fine."""
    strides: tuple[int, ...] = (1,)
    """Frames per code, for each level. Levels are concatenated, in whole blocks of strides[0] frames."""

    def file(self, name: str) -> str:
        """What the member of that name is called in a sample."""
        return f"{name}.{'json' if self.dtype == JSON else 'npy'}"

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not self.strides or (self.codebook_sizes and len(self.codebook_sizes) != len(self.strides)):
            raise ValueError(f"{len(self.codebook_sizes)} codebook_sizes, {len(self.strides)} strides; need as many")
        return self

    def damage(self, name: str, array: np.ndarray, duration_s: float) -> Iterator[str]:
        """What is wrong with the array `name` of a clip of that length, as messages.

        Array and clip may differ by one frame (codes: one block) in length.
        """
        if array.dtype.name != self.dtype:
            yield f"{name} is of type {array.dtype.name}, the index promises {self.dtype}"
        series = self.rate_hz is not None
        found = array.shape[1:] if series else array.shape
        if (self.width is not None and not _fits(found, self.width)) or (series and not array.ndim):
            yield f"{name} has shape {list(array.shape)}, need {self._shape()}"
            return
        norm = float(np.linalg.norm(array)) if self.unit else 1.0
        if not abs(norm - 1) < 1e-3:
            yield f"{name} has norm {norm:.3f}, need 1"
        if self.rate_hz is not None:
            yield from self._damage_of_frames(name, array, self.rate_hz / self.strides[0], duration_s)

    def _damage_of_frames(self, name: str, array: np.ndarray, block_rate_hz: float, duration_s: float) -> Iterator[str]:
        try:
            levels = split_levels(array, self.strides)
        except ValueError as error:
            yield f"{name}: {error}"
            return
        wanted = duration_s * block_rate_hz
        if abs(len(levels[0]) - wanted) > 1 + _DURATION_STEP_S * block_rate_hz:
            unit = " (blocks)" if self.strides[0] > 1 else ""
            yield f"{name}{unit} has length {len(levels[0])}, its clip's length asks for {wanted:.1f}"
        if not self.codebook_sizes:
            return
        for level, (codes, size) in enumerate(zip(levels, self.codebook_sizes, strict=True)):
            if len(codes) and not (codes.min() >= 0 and codes.max() < size):
                where = f", level {level}," if len(levels) > 1 else ""
                yield f"{name}{where} holds codes {codes.min()} to {codes.max()}, the codebook has {size}"

    def _shape(self) -> str:
        frames: tuple[Any, ...] = () if self.rate_hz is None else ("frames",)
        return f"[{', '.join('any' if n is None else str(n) for n in (*frames, *(self.width or ())))}]"


def _fits(shape: tuple[int, ...], width: tuple[int | None, ...]) -> bool:
    return len(shape) == len(width) and all(n in (None, held) for held, n in zip(shape, width, strict=True))


class Part(Config):
    """One part of the concatenation that is a frame of a feature: a layer of an encoder, and its width."""

    name: str
    """The encoder's name."""
    layer: int
    width: int = Field(gt=0)
    """The number of values of a frame that belong to it."""
    digest: str
    """sha256 of its weights."""


class FeatureRecord(Config):
    """A feature that every sample has: its arrays, and what they were made with."""

    members: dict[str, MemberRecord]
    digest: str
    """Over the stage's config and weights: equal for features that can be mixed."""
    parts: tuple[Part, ...] = ()
    """The encoders of `content`, with which its model must be used (autosing.models.content.load_content)."""
