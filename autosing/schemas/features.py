"""What a clip can be told by. Each feature is declared here once; stages, join, shards, verify and card loop over them.

A feature is a stage and its table, `<name>.parquet`, and a group of a dataset's members of the same name. To add one:
its record and its declaration here, its stage in processing/stages/<name>.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from pydantic import Field

from autosing.config import Config
from autosing.schemas.base import Float16Frames, Float32s
from autosing.schemas.tables import Acoustic, Pitch, Semantic, Singer
from autosing.timebase import CONTENT_RATE_HZ, PITCH_RATE_HZ, SEMANTIC_RATE_HZ


@dataclass(frozen=True)
class Member:
    """One array of a feature: a column of the table, and `<name>.npy` of a sample."""

    name: str
    column: str
    dtype: Any
    wide_dtype: Any = None
    """Where its numbers do not fit `dtype`: codes of a codebook of more than 32,768."""
    rate_hz: Fraction | None = None
    """Frames a second along the first axis; None: no series, or one whose length says more (codec codes)."""
    slack: int = 2
    """So many frames it may be longer or shorter than its clip."""
    width: tuple[int | None, ...] | None = None
    """What follows the frames of a series, () for a number a frame; without a rate the whole shape. None: any. A None
    in it: as many as the stage's parts have, which the index records."""
    unit: bool = False
    """A vector of length 1."""
    optional: bool = False
    """Absent from clips without an accompaniment."""

    @property
    def file(self) -> str:
        return f"{self.name}.npy"

    def cells(self, row: Any, wide: bool) -> np.ndarray | None:
        """The array of a table's row as shards hold it."""
        value = getattr(row, self.column)
        return None if value is None else value.astype(self.dtype_of(wide))

    def dtype_of(self, wide: bool) -> Any:
        return self.wide_dtype if wide and self.wide_dtype is not None else self.dtype

    def damage(self, array: np.ndarray, duration_s: float) -> Sequence[str]:
        """What is wrong with the array of a clip of that length, in words."""
        found, width = list(array.shape), self.width
        if self.rate_hz is None:
            wrong = width is not None and array.shape != width
            if wrong or (self.unit and not abs(float(np.linalg.norm(array)) - 1) < 1e-3):
                norm = f" and norm {float(np.linalg.norm(array)):.3f}" if self.unit else ""
                return [f"{self.name} has shape {found}{norm}, need {list(width or ())}{' and 1' if self.unit else ''}"]
            return []
        wanted = float(duration_s * self.rate_hz)
        if width is not None and not _fits(array.shape[1:], width):
            need = ", ".join(["frames", *("any" if n is None else str(n) for n in width)])
            return [f"{self.name} has shape {found}, need [{need}]"]
        if abs(len(array) - wanted) > self.slack:
            return [f"{self.name} has length {len(array)}, its clip's length asks for {wanted:.1f}"]
        return []


def _fits(shape: tuple[int, ...], width: tuple[int | None, ...]) -> bool:
    return len(shape) == len(width) and all(n in (None, held) for held, n in zip(shape, width, strict=True))


class Part(Config):
    """One of the things that stand side by side in each frame of a feature: a layer of an encoder, and its share."""

    name: str
    """Of the encoder."""
    layer: int
    width: int = Field(gt=0)
    """So many numbers of a frame are its own."""
    digest: str
    """sha256 of its weights."""


@dataclass(frozen=True)
class Feature:
    """A stage whose table shards may carry."""

    name: str
    about: str
    record: type
    members: tuple[Member, ...]
    asked_for: bool = False
    """Made only where it is named (`--stages`, or a config's `run`): it is large, and not all models are told it."""


@dataclass(frozen=True)
class Loudness:
    """loudness.parquet: how loud the voice is, 100 frames a second."""

    id: str
    loudness_db: Float32s


@dataclass(frozen=True)
class Content:
    """content.parquet: what is sung, 50 frames a second, each of as many numbers as the encoders give."""

    id: str
    content: Float16Frames


FEATURES = {
    feature.name: feature
    for feature in (
        Feature("pitch", "f0 in Hz, 0 where nobody sings", Pitch, (
            Member("pitch", "f0_hz", np.float32, rate_hz=Fraction(PITCH_RATE_HZ), width=()),
        )),
        Feature("loudness", "A-weighted dB, 0 for a full-scale sine of 1 kHz", Loudness, (
            Member("loudness", "loudness_db", np.float32, rate_hz=Fraction(PITCH_RATE_HZ), width=()),
        )),
        Feature("content", "speech encoders' frames side by side", Content, (
            Member("content", "content", np.float16, rate_hz=CONTENT_RATE_HZ, slack=1, width=(None,)),
        ), asked_for=True),
        Feature("singer", "the voice as a unit vector (GE2E)", Singer, (
            Member("singer", "embedding", np.float32, width=(256,), unit=True),
        )),
        Feature("semantic", "content codes", Semantic, (
            Member("semantic", "codes", np.int16, np.int32, rate_hz=Fraction(SEMANTIC_RATE_HZ), slack=1, width=()),
        )),
        Feature("acoustic", "codec codes of voice and accompaniment, levels laid flat", Acoustic, (
            Member("vocals_codes", "vocals", np.int32),
            Member("instrumental_codes", "instrumental", np.int32, optional=True),
        )),
    )
}  # fmt: skip
"""In the order in which their stages run."""
