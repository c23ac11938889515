"""A source's pitch -> the pitch that is sung: shifted, in the singer's range, carried on where nobody sings.

Shapes: T values at 100 Hz, F a model's frames.
"""

from dataclasses import dataclass

import numpy as np

from autosing.errors import InputError

MOST_SEMITONES = 36.0


@dataclass(frozen=True)
class Range:
    """Where a voice sings: the 5th, 50th and 95th percentile of its voiced frames."""

    low_hz: float
    middle_hz: float
    high_hz: float

    @classmethod
    def of(cls, f0_hz_T: np.ndarray) -> "Range | None":
        """None where less than a tenth of a second is voiced."""
        voiced_T = f0_hz_T[f0_hz_T > 0]
        if len(voiced_T) < 10:
            return None
        low, middle, high = np.percentile(voiced_T, [5, 50, 95])
        return cls(float(low), float(middle), float(high))


def key_semitones(source: Range | None, singer: Range | None) -> int:
    """Whole semitones from the source's range to the singer's, so that the two middles meet as near as the ends allow.

    0 where one of them is not known. Octaves are not preferred: the accompaniment, where there is one, moves with it.
    """
    if source is None or singer is None:
        return 0
    wanted = 12 * np.log2(singer.middle_hz / source.middle_hz)
    # The ends matter, too: a narrow singer's range must hold as much of the song's as it can.
    lowest = 12 * np.log2(singer.low_hz / source.low_hz)
    highest = 12 * np.log2(singer.high_hz / source.high_hz)
    if lowest <= highest:
        wanted = float(np.clip(wanted, lowest, highest))
    return round(float(wanted))


def octaves(source: Range | None, singer: Range | None) -> int:
    """Whole octaves, in semitones, that bring the two middles nearest; 0 where one of them is not known."""
    if source is None or singer is None:
        return 0
    return 12 * round(float(np.log2(singer.middle_hz / source.middle_hz)))


def shifted(f0_hz_T: np.ndarray, semitones: float) -> np.ndarray:
    """The track so many semitones (fractions too) higher. Raises InputError beyond three octaves."""
    if not abs(semitones) <= MOST_SEMITONES:
        raise InputError(f"--shift {semitones:g}: need -{MOST_SEMITONES:g} to {MOST_SEMITONES:g} semitones")
    moved_T: np.ndarray = (f0_hz_T * 2 ** (semitones / 12)).astype(np.float32)
    return moved_T


def carried_on(f0_hz_T: np.ndarray) -> np.ndarray:
    """The pitch without gaps: between two voiced frames log f0 goes in a straight line, at the ends it stays. A track
    without any pitch is 220 Hz throughout."""
    voiced = np.flatnonzero(f0_hz_T > 0)
    if not len(voiced):
        return np.full(len(f0_hz_T), 220.0, np.float32)
    log_T = np.interp(np.arange(len(f0_hz_T)), voiced, np.log(f0_hz_T[voiced]))
    return np.exp(log_T).astype(np.float32)
