"""True f0 and tracked f0 -> mir_eval's melody scores."""

from fractions import Fraction

import numpy as np


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
