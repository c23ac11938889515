"""True and found word onsets -> how far they lie apart: AAE, median, percentage of correct onsets (by mir_eval)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosing.errors import InputError


@dataclass(frozen=True)
class OnsetErrors:
    """Over `words` words: average and median absolute error, share within the tolerance, median of (found - true)."""

    words: int
    aae_s: float
    median_s: float
    pco: float
    bias_s: float


def onset_errors(true_s: Sequence[float], found_s: Sequence[float], tolerance_s: float = 0.3) -> OnsetErrors:
    """Word by word, both in the order of time (MIREX lyrics-to-audio alignment: tolerance 0.3 s).

    Raises InputError where the counts differ or nothing is given.
    """
    from mir_eval.alignment import absolute_error, percentage_correct

    if len(true_s) != len(found_s) or not len(true_s):
        raise InputError(
            f"word onsets: {len(found_s)} found for {len(true_s)} labelled; need the same words in the same order"
        )
    true_N, found_N = np.asarray(true_s, dtype=np.float64), np.asarray(found_s, dtype=np.float64)
    median_s, aae_s = absolute_error(true_N, found_N)
    pco = percentage_correct(true_N, found_N, window=tolerance_s)
    bias_s = float(np.median(found_N - true_N))
    return OnsetErrors(len(true_N), float(aae_s), float(median_s), float(pco), bias_s)
