"""A random generator -> harmony, rhythm and melody: what is to be sung and played. Times in beats, pitches in MIDI."""

from dataclasses import dataclass

import numpy as np

BEATS_A_BAR = 4
CHORDS = {
    "I": (0, 4, 7), "ii": (2, 5, 9), "iii": (4, 7, 11), "IV": (5, 9, 12), "V": (7, 11, 14), "vi": (9, 12, 16),
}  # fmt: skip
"""Scale degree -> semitones above the key."""
LOOPS = (
    ("I", "V", "vi", "IV"), ("vi", "IV", "I", "V"), ("I", "vi", "IV", "V"), ("I", "IV", "ii", "V"),
    ("I", "iii", "IV", "V"), ("vi", "V", "IV", "V"), ("ii", "V", "I", "vi"), ("I", "V", "ii", "IV"),
)  # fmt: skip
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_STEPS = (-2, -1, -1, 0, 1, 1, 2)


@dataclass(frozen=True)
class Note:
    """One syllable's note, on the song's own time."""

    start_s: float
    end_s: float
    midi: int


def bars_for(num_syllables: int) -> int:
    """Bars that a line takes: two, more where syllables would fall closer than eighths."""
    return max(2, -(-(num_syllables + 4) // (2 * BEATS_A_BAR)))


def line_rhythm(num_notes: int, bars: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """onset_N and length_N in beats, on a grid of eighths; the last note is held and leaves room to breathe."""
    beats = bars * BEATS_A_BAR
    slots = beats * 2 - 4
    assert 1 <= num_notes <= slots, (num_notes, bars)
    even_N = np.linspace(0, slots, num_notes, endpoint=False)
    taken = np.unique(np.clip(np.round(even_N + rng.uniform(-0.6, 0.6, num_notes)), 0, slots - 1)).astype(int)
    free = np.setdiff1d(np.arange(slots), taken)
    filled = rng.choice(free, num_notes - len(taken), replace=False)
    onset_N = np.sort(np.concatenate([taken, filled])) / 2
    end = min(beats - 0.5, max(onset_N[-1] + 1.5, beats - 1.5))
    return onset_N, np.append(onset_N[1:], end) - onset_N


def melody(
    onset_N: np.ndarray, chords: list[str], key: int, low: int, high: int, rng: np.random.Generator
) -> list[int]:
    """A walk over the major scale between low and high that lands on a chord tone on strong beats and at the end."""
    scale = [midi for midi in range(low, high + 1) if (midi - key) % 12 in _MAJOR]
    at = int(rng.integers(len(scale) // 4, 3 * len(scale) // 4))
    sung = []
    for number, onset in enumerate(onset_N):
        at = int(np.clip(at + rng.choice(_STEPS), 0, len(scale) - 1))
        if onset % 2 == 0 or number == len(onset_N) - 1:
            chord = chords[min(int(onset // BEATS_A_BAR), len(chords) - 1)]
            tones = {(key + degree) % 12 for degree in CHORDS[chord]}
            at = min((j for j in range(len(scale)) if scale[j] % 12 in tones), key=lambda j: (abs(j - at), j))
        sung.append(scale[at])
    return sung
