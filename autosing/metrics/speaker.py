"""Voices of converted clips and voices of known singers -> how near they are, and whether the right one is nearest.

Voices are unit vectors of `autosing.models.speaker` (GE2E). Shapes: N clips, K singers, E numbers of a voice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autosing.errors import InputError


@dataclass(frozen=True)
class SpeakerScores:
    """Of each clip: cosine_N to the singer it was to be, and whether that one is nearer than every other."""

    cosine_N: np.ndarray
    nearest_N: np.ndarray

    @property
    def cosine(self) -> float:
        return float(self.cosine_N.mean())

    @property
    def nearest_rate(self) -> float:
        return float(self.nearest_N.mean())


def cosine(one_E: np.ndarray, other_E: np.ndarray) -> float:
    """From -1 to 1, of vectors of any length but 0."""
    lengths = float(np.linalg.norm(one_E) * np.linalg.norm(other_E))
    if lengths == 0:
        raise InputError("cosine of two voices: one of them is all zeros")
    return float(one_E @ other_E) / lengths


def speaker_scores(
    voices_NE: Sequence[np.ndarray], targets_N: Sequence[str], singers: Mapping[str, np.ndarray]
) -> SpeakerScores:
    """`singers`: a name -> its voice_E (the mean of its clips will do); a tie with another singer is not nearest.

    Raises InputError for a target that is no singer, and where there are no clips or only one singer.
    """
    if len(voices_NE) != len(targets_N) or not len(voices_NE):
        raise InputError(f"voices: {len(voices_NE)} clips for {len(targets_N)} targets; need as many, and one or more")
    if len(singers) < 2:
        raise InputError(f"nearest singer among {len(singers)}: need two or more")
    unknown = sorted(set(targets_N) - set(singers))
    if unknown:
        raise InputError(f"target {unknown[0]}: not among the {len(singers)} singers")
    names = list(singers)
    cosines_NK = np.array([[cosine(voice_E, singers[name]) for name in names] for voice_E in voices_NE])
    target_N = np.array([names.index(name) for name in targets_N])
    rows_N = np.arange(len(target_N))
    own_N = cosines_NK[rows_N, target_N]
    cosines_NK[rows_N, target_N] = -np.inf
    return SpeakerScores(own_N, own_N > cosines_NK.max(1))
