"""Stamps of an LRC and times heard -> the one offset that most lines agree on.

Each line proposes (heard - stamp); lines within a tolerance of a proposal are its inliers; the proposal with most
inliers wins and the offset is the mean over them (AutoSing's estimator, defined where no line agrees: 0, ratio 0).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LrcOffset:
    """audio time = LRC time + offset_s. `inliers` are indices of the lines that agree; spread_s is theirs around it."""

    offset_s: float
    inlier_ratio: float
    spread_s: float
    inliers: tuple[int, ...]


def estimate_offset(
    stamps_s: Sequence[float | None], heard_s: Sequence[float | None], tolerance_s: float = 1.0
) -> LrcOffset:
    """Lines with both times take part; the ratio counts all lines with a stamp. Of equal proposals the smallest wins.

    spread_s is 1.48 x the median absolute deviation of the inliers: a standard deviation that outliers cannot move.
    """
    assert len(stamps_s) == len(heard_s), (len(stamps_s), len(heard_s))
    stamped = sum(stamp is not None for stamp in stamps_s)
    pairs = [
        (i, h - s) for i, (s, h) in enumerate(zip(stamps_s, heard_s, strict=True)) if s is not None and h is not None
    ]
    if not pairs:
        return LrcOffset(0.0, 0.0, tolerance_s, ())
    differences = np.array([difference for _, difference in pairs])
    agree = np.abs(differences[None, :] - differences[:, None]) <= tolerance_s  # [proposal, line]
    votes = agree.sum(axis=1)
    best = min(np.flatnonzero(votes == votes.max()), key=lambda k: (abs(differences[k]), k))
    inliers = differences[agree[best]]
    spread_s = 1.48 * float(np.median(np.abs(inliers - np.median(inliers))))
    indices = tuple(i for (i, _), yes in zip(pairs, agree[best], strict=True) if yes)
    return LrcOffset(float(inliers.mean()), len(inliers) / stamped, spread_s, indices)
