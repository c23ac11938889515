"""A number -> a natural singer: a point between two of Kokoro's styles, a throat, a spectral balance, a manner.

Beyond its styles words are lost: of 44 lines, those mixed from -0.2 to 0 and from 1 to 1.2 lost half of their words.

How well the singer embedding tells them apart: LOG.md, by benchmarks/quality/songs.py.
"""

from dataclasses import dataclass, field

import numpy as np

from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.songs.balance import draw_balance
from autosing.songs.gesture import Gesture, draw_gesture
from autosing.songs.settings import NATURAL_SINGERS

_VOICES = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo")
_FIRST = ("Ines", "Jonas", "Kaya", "Luca", "Mira", "Nils", "Olga", "Pablo")
_LAST = ("Abel", "Brook", "Castro", "Duval", "Engel", "Fabian")


@dataclass(frozen=True)
class NaturalSinger:
    """Who sings. The styles' first half is the timbre that the decoder hears, the second the manner of speaking."""

    name: str
    formant: float
    """What formants are multiplied by; above 1 is a shorter vocal tract."""
    balance_db: tuple[float, ...]
    """See autosing.songs.balance. By styles and formants alone, half of the singers' clips are told apart."""
    gesture: Gesture
    styles: np.ndarray = field(repr=False)
    """[510, 256]"""

    def style(self, num_letters: int) -> np.ndarray:
        return np.asarray(self.styles[min(num_letters, len(self.styles)) - 1])


def natural_singer(number: int, tables: dict[str, np.ndarray]) -> NaturalSinger:
    """Singer number 0..NATURAL_SINGERS-1: two of the voices, mixed, and a formant from 0.84 to 1.18, a balance.

    The mixes and formants are spread evenly (by the golden ratio and the plastic number) rather than by chance.
    """
    if not 0 <= number < NATURAL_SINGERS:
        raise InputError(
            f"natural singer {number}: there are {NATURAL_SINGERS}; give a number from 0 to {NATURAL_SINGERS - 1}"
        )
    rng = np.random.default_rng(seed_of("natural singer", number))
    pairs = [(a, b) for a in range(5) for b in range(a + 1, 5)]
    first, second = pairs[number % len(pairs)]
    weight = (0.5 + number * 0.6180339887) % 1
    styles = weight * tables[_VOICES[first]] + (1 - weight) * tables[_VOICES[second]]
    return NaturalSinger(
        f"{_FIRST[number % 8]} {_LAST[number // 8]}",
        round(0.84 + 0.34 * ((0.5 + number * 0.7548776662) % 1), 3),
        draw_balance(number),
        draw_gesture(rng),
        styles.astype(np.float32),
    )
