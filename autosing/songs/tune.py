"""A spoken line -> a tune that people would sing to it: the rhythm of its speech on a grid, small steps, few leaps.

Both keep the words clear. Sung so, Whisper base takes one word in seven wrongly where the same line, spoken, costs one
in fourteen; with wide leaps and every vowel as long as its note it is nearly one in two.

Shapes: N syllables of the line.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosing.songs.score import BEATS_A_BAR, CHORDS

GRID = 4
"""Places of a beat at which a syllable may start: sixteenths."""
_LONGEST = 8
"""Places that a syllable may last inside a line."""
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 4, 7, 9))
"""Major and its pentatonic; both hold a tone of every chord."""
_STEPS, _STEP_ODDS = (-2, -1, 0, 1, 2), (0.08, 0.27, 0.3, 0.27, 0.08)


@dataclass(frozen=True)
class Manner:
    """How a song moves."""

    scale: tuple[int, ...]
    bold: float
    """The share of syllables that leap."""


def draw_manner(rng: np.random.Generator) -> Manner:
    """Three songs of four are calm; the fourth leaps now and then."""
    scale = _SCALES[int(rng.integers(len(_SCALES)))]
    return Manner(scale, float(rng.uniform(0.06, 0.14)) if rng.random() < 0.25 else 0.0)


def speech_rhythm(spoken_N: np.ndarray, stretch: float, stressed_N: Sequence[bool]) -> tuple[np.ndarray, int]:
    """Where syllables start in speech, in places of the grid -> (onset_N in beats, bars) on the grid, never closer.

    Stressed syllables come on the beat where that costs little. The best path over the places (dynamic programming): a
    step costs the square of its distance, in logarithms, from the spoken one stretched; stress off the beat 0.2 or 0.4.
    """
    apart_N = np.diff(spoken_N)

    def place_cost(place: int, stressed: bool) -> float:
        depth = (place % GRID == 0) + (place % (GRID // 2) == 0)  # 2 on the beat, 1 on the eighth, 0 between
        return 0.2 * (2 - depth) if stressed else 0.03 * depth

    # The line starts on the first beat, or on the last place before it where its first syllable bears no stress.
    best: dict[int, tuple[float, tuple[int, ...]]] = {
        place: (place_cost(place, stressed_N[0]), (place,)) for place in (GRID - 2, GRID - 1, GRID)
    }
    for apart, stressed in zip(apart_N, stressed_N[1:], strict=True):
        least, wanted = max(1, int(np.ceil(apart - 1e-6))), max(stretch * apart, 0.8)
        reached: dict[int, tuple[float, tuple[int, ...]]] = {}
        for place, (cost, path) in best.items():
            for step in range(least, max(least, _LONGEST) + 1):
                total = cost + float(np.log(step / wanted)) ** 2 + place_cost(place + step, stressed)
                if place + step not in reached or total < reached[place + step][0]:
                    reached[place + step] = (total, (*path, place + step))
        best = reached
    _, path = min(best.values())
    onset_N = np.array(path) / GRID
    return onset_N, int(np.ceil((onset_N[-1] + 2) / BEATS_A_BAR))


def lengths(onset_N: np.ndarray, bars: int, hold: float) -> np.ndarray:
    """length_N in beats: each until the next; the last is held for `hold` beats at most and leaves room to breathe."""
    end = min(bars * BEATS_A_BAR - 0.5, onset_N[-1] + hold)
    return np.append(onset_N[1:], end) - onset_N


def calm_melody(
    onset_N: np.ndarray,
    stressed_N: Sequence[bool],
    chords: Sequence[str],
    key: int,
    home: int,
    low: int,
    high: int,
    manner: Manner,
    rng: np.random.Generator,
) -> list[int]:
    """MIDI pitches that mostly step, rise a little on stress, sink to the end and close on a tone of the chord.

    `home` is where the singer is at ease; what strays is drawn back to it.
    """
    scale = [midi for midi in range(low, high + 1) if (midi - key) % 12 in manner.scale]
    centre = min(range(len(scale)), key=lambda j: abs(scale[j] - home))
    at = int(np.clip(centre + rng.integers(-1, 3), 0, len(scale) - 1))
    sung = []
    for number, onset in enumerate(onset_N):
        if number:
            step = int(rng.choice(_STEPS, p=_STEP_ODDS))
            if manner.bold and rng.random() < manner.bold:
                step = int(rng.choice((-4, -3, 3, 4)))
            if stressed_N[number] and not stressed_N[number - 1] and step < 0 and rng.random() < 0.5:
                step = -step
            sinking = centre - 1 if number > 0.7 * len(onset_N) else centre + 1
            if abs(at + step - sinking) > 2 and rng.random() < 0.6:
                step = int(np.sign(sinking - at))
            at = int(np.clip(at + step, 0, len(scale) - 1))
        if number == len(onset_N) - 1:
            chord = chords[min(int(onset // BEATS_A_BAR), len(chords) - 1)]
            tones = {(key + degree) % 12 for degree in CHORDS[chord]}
            at = min((j for j in range(len(scale)) if scale[j] % 12 in tones), key=lambda j: (abs(j - at), j))
        sung.append(scale[at])
    return sung
