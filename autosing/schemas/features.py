"""What a clip can be told by. Each feature is declared here once; stages, join, shards, verify and card loop over them.

A feature is a stage and its table, `<name>.parquet`, and a group of a dataset's members of the same name. To add one:
its record and its declaration here, its stage in processing/stages/<name>.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from autosing.schemas.base import Float32s
from autosing.schemas.tables import Acoustic, Pitch, Semantic, Singer
from autosing.timebase import PITCH_RATE_HZ, SEMANTIC_RATE_HZ


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
    width: tuple[int, ...] | None = None
    """What follows the frames of a series, () for a number a frame; without a rate the whole shape. None: any."""
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
        if width is not None and array.shape[1:] != width:
            return [f"{self.name} has shape {found}, need [frames{''.join(f', {n}' for n in width)}]"]
        if abs(len(array) - wanted) > self.slack:
            return [f"{self.name} has length {len(array)}, its clip's length asks for {wanted:.1f}"]
        return []


@dataclass(frozen=True)
class Feature:
    """A stage whose table shards may carry."""

    name: str
    about: str
    record: type
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Loudness:
    """loudness.parquet: how loud the voice is, 100 frames a second."""

    id: str
    loudness_db: Float32s


FEATURES = {
    feature.name: feature
    for feature in (
        Feature("pitch", "f0 in Hz, 0 where nobody sings", Pitch, (
            Member("pitch", "f0_hz", np.float32, rate_hz=Fraction(PITCH_RATE_HZ), width=()),
        )),
        Feature("loudness", "A-weighted dB, 0 for a full-scale sine of 1 kHz", Loudness, (
            Member("loudness", "loudness_db", np.float32, rate_hz=Fraction(PITCH_RATE_HZ), width=()),
        )),
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
