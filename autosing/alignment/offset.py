"""Stamps of an LRC and detected start times -> the one offset that most lines agree on.

Each line proposes (detected - stamp). The lines within a tolerance of a proposal are its inliers. The proposal with
most inliers wins, and the offset is the mean over them. This is AutoSing's estimator, except that the case without
any proposal is defined: offset 0, ratio 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LrcOffset:
    """audio time = LRC time + offset_s. `inliers`: indices of the lines that agree; `spread_s`: their spread."""

    offset_s: float
    inlier_ratio: float
    spread_s: float
    inliers: tuple[int, ...]


def estimate_offset(
    stamps_s: Sequence[float | None], detected_s: Sequence[float | None], tolerance_s: float = 1.0
) -> LrcOffset:
    """Only lines with both times propose; the ratio is over all lines with a stamp. On a tie the smallest offset wins.

    spread_s is 1.48 x the median absolute deviation of the inliers: a standard deviation that outliers cannot move.
    """
    assert len(stamps_s) == len(detected_s), (len(stamps_s), len(detected_s))
    stamped = sum(stamp is not None for stamp in stamps_s)
    pairs = [
        (i, d - s) for i, (s, d) in enumerate(zip(stamps_s, detected_s, strict=True)) if s is not None and d is not None
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
