"""True f0 and tracked f0 -> mir_eval's melody scores, and errors in cents and of voicing.

Shapes: T frames.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from autosing.errors import InputError

GROSS_ERROR = 0.2
"""A pitch that is off by more than this share is a gross error (Chu & Alwan 2009)."""


def pitch_scores(
    true_f0_hz: np.ndarray, true_rate_hz: Fraction | int, f0_hz: np.ndarray, rate_hz: Fraction | int
) -> dict[str, float]:
    """f0 of any two frame rates, 0 where unvoiced, frame t at t / rate.

    accuracy: share of truly voiced frames whose tracked pitch lies within 50 cents (a frame called unvoiced misses);
    chroma: the same with octaves forgiven; recall and false_alarm: of voicing.
    """
    import mir_eval.melody

    times_T = np.arange(len(true_f0_hz)) / float(true_rate_hz)
    tracked_T = np.arange(len(f0_hz)) / float(rate_hz)
    scores = mir_eval.melody.evaluate(times_T, np.asarray(true_f0_hz, float), tracked_T, np.asarray(f0_hz, float))
    names = {
        "accuracy": "Raw Pitch Accuracy",
        "chroma": "Raw Chroma Accuracy",
        "recall": "Voicing Recall",
        "false_alarm": "Voicing False Alarm",
    }
    return {ours: float(scores[theirs]) for ours, theirs in names.items()}


@dataclass(frozen=True)
class PitchErrors:
    """Over `frames` frames of the true f0, `both_voiced` of them voiced in both."""

    frames: int
    both_voiced: int
    rmse_cents: float | None
    """Root of the mean squared difference where both are voiced; None where no frame is. An octave counts 1200."""
    correlation: float | None
    """Pearson's, of log f0 where both are voiced; None where either is the same in all of these frames."""
    voicing_error: float
    """Share of frames that only one of the two calls voiced (VDE, Nakatani et al. 2008)."""
    ffe: float
    """F0 frame error (Chu & Alwan 2009): share of frames of wrong voicing, or off by more than 20 %."""


def pitch_errors(
    true_f0_hz: np.ndarray, true_rate_hz: Fraction | int, f0_hz: np.ndarray, rate_hz: Fraction | int
) -> PitchErrors:
    """As in `pitch_scores`: f0 of any two frame rates, 0 where unvoiced; mir_eval lays the tracked on the true frames.

    Raises InputError where one of them has no frame.
    """
    from mir_eval.melody import to_cent_voicing

    if not len(true_f0_hz) or not len(f0_hz):
        raise InputError(f"pitch: {len(f0_hz)} frames found for {len(true_f0_hz)} true ones; need one or more of each")
    true_voiced_T, true_cents_T, voiced_T, cents_T = to_cent_voicing(
        np.arange(len(true_f0_hz)) / float(true_rate_hz), np.asarray(true_f0_hz, float),
        np.arange(len(f0_hz)) / float(rate_hz), np.asarray(f0_hz, float),
    )  # fmt: skip
    both_T, wrong_T = (true_voiced_T > 0) & (voiced_T > 0), (true_voiced_T > 0) != (voiced_T > 0)
    true_N, found_N = true_cents_T[both_T], cents_T[both_T]
    gross_N = np.abs(2 ** ((found_N - true_N) / 1200) - 1) > GROSS_ERROR
    varied = len(true_N) > 1 and np.ptp(true_N) > 0 and np.ptp(found_N) > 0
    return PitchErrors(
        frames=len(both_T),
        both_voiced=len(true_N),
        rmse_cents=float(np.sqrt(np.square(found_N - true_N).mean())) if len(true_N) else None,
        correlation=float(np.corrcoef(true_N, found_N)[0, 1]) if varied else None,
        voicing_error=float(wrong_T.mean()),
        ffe=float((wrong_T.sum() + gross_N.sum()) / len(both_T)),
    )
