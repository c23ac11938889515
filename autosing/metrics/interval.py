"""Figures of clips -> the interval in which their mean lies: the percentile bootstrap, by scipy.

Shapes: N clips (or songs: what hangs together, as clips of one song do, is one figure).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autosing.errors import InputError


@dataclass(frozen=True)
class Interval:
    """`value` is the statistic of all clips; low and high hold it in 95 % (or `level`) of resamplings."""

    value: float
    low: float
    high: float


def _mean(x: np.ndarray, axis: int) -> np.ndarray:
    return x.mean(axis)


def ratio_of_sums(part: np.ndarray, whole: np.ndarray, axis: int) -> np.ndarray:
    """Of two columns: the statistic of error rates, such as word errors and words."""
    return np.asarray(part.sum(axis) / whole.sum(axis))


def bootstrap_interval(
    *columns_N: Sequence[float] | np.ndarray,
    statistic: Callable[..., np.ndarray] = _mean,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """The statistic (called with all columns, N on `axis`) and its percentile interval (Efron & Tibshirani 1993,
    chapter 13), clips drawn with replacement. The same figures and seed give the same interval.

    With fewer than 20 clips it is too narrow (that is the method's, not ours). Raises InputError for fewer than two.
    """
    from scipy.stats import bootstrap

    columns = [np.asarray(column_N, dtype=np.float64) for column_N in columns_N]
    counts = {len(column_N) for column_N in columns}
    if len(counts) != 1 or min(counts) < 2:
        raise InputError(f"interval of {sorted(counts)} clips: need two or more, in each column as many")
    found = bootstrap(
        columns, statistic, n_resamples=resamples, confidence_level=level, method="percentile",
        paired=True, vectorized=True, axis=-1, rng=np.random.default_rng(seed),
    )  # fmt: skip
    value = float(statistic(*columns, axis=-1))
    return Interval(value, float(found.confidence_interval.low), float(found.confidence_interval.high))
