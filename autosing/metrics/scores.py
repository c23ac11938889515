"""The figures of one clip, those of many -> means with intervals, and which clips are worst.

Shapes: N clips.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from autosing.metrics.interval import bootstrap_interval, ratio_of_sums
from autosing.metrics.recognition import Recognised


@dataclass(frozen=True)
class Scores:
    """Of one clip; None where a figure has no meaning."""

    f0_rmse_cents: float | None = None
    f0_correlation: float | None = None
    voicing_error: float | None = None
    ffe: float | None = None
    chroma: float | None = None
    mel_distance_db: float | None = None
    mcd_db: float | None = None
    lsd_db: float | None = None
    cosine_to_target: float | None = None
    nearest: float | None = None
    """1 where the target is nearer than all other singers, by GE2E."""
    nearest_spectrum: float | None = None
    """The same by the average spectrum (autosing.metrics.timbre)."""
    cosine_to_source: float | None = None
    rtf: float | None = None
    lines: tuple[Recognised, ...] = ()
    """Against the words of the truth."""
    found: tuple[int, int] | None = None
    """(words of the source that are heard again, words heard in the source)."""

    def of(self, name: str) -> tuple[float, float] | None:
        """A figure of FIGURES as (part, whole), whose ratio it is; None where it has no meaning."""
        if name in _COUNTED:
            wrong, whole = _COUNTED[name]
            of = sum(getattr(line, whole) for line in self.lines)
            return (
                (float(sum(min(getattr(x, wrong), getattr(x, whole)) for x in self.lines)), float(of)) if of else None
            )
        if name == "found_again":
            return (float(self.found[0]), float(self.found[1])) if self.found and self.found[1] else None
        value = getattr(self, name)
        return None if value is None else (float(value), 1.0)

    def row(self) -> dict[str, float]:
        """The figures that it has, by name."""
        pairs = {name: self.of(name) for name in FIGURES}
        return {name: pair[0] / pair[1] for name, pair in pairs.items() if pair is not None}


@dataclass(frozen=True)
class Figure:
    """How a figure is shown, and which way it is better."""

    label: str
    better: Literal["low", "high", "neither"]


FIGURES: dict[str, Figure] = {
    "f0_rmse_cents": Figure("F0 RMSE, cents", "low"),
    "f0_correlation": Figure("F0 correlation", "high"),
    "voicing_error": Figure("voicing error", "low"),
    "ffe": Figure("FFE", "low"),
    "chroma": Figure("raw chroma accuracy", "high"),
    "mel_distance_db": Figure("mel distance, dB", "low"),
    "mcd_db": Figure("MCD, dB", "low"),
    "lsd_db": Figure("LSD, dB", "low"),
    "wer": Figure("WER", "low"),
    "cer": Figure("CER", "low"),
    "found_again": Figure("words heard again", "high"),
    "cosine_to_target": Figure("cosine to singer", "high"),
    "nearest": Figure("singer nearest", "high"),
    "nearest_spectrum": Figure("singer nearest by spectrum", "high"),
    "cosine_to_source": Figure("cosine to source", "neither"),
    "rtf": Figure("RTF", "neither"),
}
_COUNTED = {"wer": ("word_errors", "words"), "cer": ("character_errors", "characters")}
_RATIOS = (*_COUNTED, "found_again")


def summary(scores: Sequence[Scores], seed: int = 0) -> dict[str, Any]:
    """Of each figure that the clips have: its mean, its 95 % interval by bootstrap over clips (none for a single clip),
    and of how many clips where not of all. Error rates are over all words; a line's errors are at most its words."""
    found: dict[str, Any] = {"clips": len(scores)}
    for name in FIGURES:
        pairs = [pair for one in scores if (pair := one.of(name)) is not None]
        if not pairs:
            continue
        parts, wholes = (list(column) for column in zip(*pairs, strict=True))
        found[name] = _interval([parts, wholes] if name in _RATIOS else [parts], seed)
        if len(pairs) < len(scores):
            found[name]["clips"] = len(pairs)
    return found


def _interval(columns: Sequence[Sequence[float]], seed: int) -> dict[str, Any]:
    """One column: its mean. Two: the sum of the first over that of the second."""
    arrays = [np.asarray(column, np.float64) for column in columns]
    value = float(arrays[0].mean() if len(arrays) == 1 else arrays[0].sum() / arrays[1].sum())
    result: dict[str, Any] = {"mean": round(value, 4), "interval": None}
    if len(arrays[0]) > 1:
        two = len(arrays) == 2
        within = (
            bootstrap_interval(*arrays, statistic=ratio_of_sums, seed=seed)
            if two
            else bootstrap_interval(*arrays, seed=seed)
        )
        result["interval"] = [round(within.low, 4), round(within.high, 4)]
    if len(arrays) == 2:
        result["of"] = int(arrays[1].sum())
    return result


def badness(systems: Mapping[str, Sequence[Scores]]) -> np.ndarray:
    """badness_N of the clips that all of these systems sang: how far a clip's figures lie on the bad side of the mean,
    in standard deviations over all systems' clips, as the mean over figures and systems. 0: as bad as most."""
    columns = []
    for name, figure in FIGURES.items():
        if figure.better == "neither":
            continue
        rows = [[one.row().get(name, np.nan) for one in scores] for scores in systems.values()]
        values_MN = np.array(rows, np.float64)
        spread = np.nanstd(values_MN) if np.isfinite(values_MN).any() else 0.0
        if spread > 0:
            sign = 1.0 if figure.better == "low" else -1.0
            columns.append(sign * (values_MN - np.nanmean(values_MN)) / spread)
    if not columns:
        return np.zeros(len(next(iter(systems.values()))))
    # A figure that a clip lacks says nothing of it: it counts as the mean.
    badness_N: np.ndarray = np.nan_to_num(np.array(columns)).mean(axis=(0, 1))
    return badness_N
