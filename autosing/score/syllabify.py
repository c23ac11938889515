"""Phones of a word -> its syllables: each a nucleus with as many consonants before it as can begin a syllable."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from autosing.score.phones import inventory
from autosing.score.score import PhonePlace

_LIQUIDS = frozenset({"lateral", "approximant", "tap", "trill", "glide"})
_OBSTRUENTS = frozenset({"stop", "affricate", "fricative"})
_SONORITY = {
    "stop": 0, "affricate": 0, "fricative": 1, "nasal": 2, "lateral": 3, "trill": 3, "tap": 3, "approximant": 4,
    "glide": 5,
}  # fmt: skip
_NEVER_FIRST = frozenset({"ŋ", "p̚", "t̚", "k̚", "ɴ", "ɫ"})
_S = frozenset({"s", "ʃ", "ʂ", "z"})


@dataclass(frozen=True)
class SungSyllable:
    """Phones and the place of each; one is the nucleus."""

    symbols: tuple[str, ...]
    places: tuple[PhonePlace, ...]

    @classmethod
    def around(cls, symbols: Sequence[str], nucleus: int) -> "SungSyllable":
        places: list[PhonePlace] = [
            "onset" if k < nucleus else "nucleus" if k == nucleus else "coda" for k in range(len(symbols))
        ]
        return cls(tuple(symbols), tuple(places))

    @property
    def nucleus(self) -> int:
        return self.places.index("nucleus")


def syllabify(symbols: Sequence[str]) -> list[SungSyllable]:
    """By the largest onset. A word of consonants is sung on its most sonorous one."""
    manners = [inventory()[symbol].manner for symbol in symbols]
    nuclei = [k for k, symbol in enumerate(symbols) if inventory()[symbol].kind == "vowel"]
    if not nuclei:
        best = max(range(len(symbols)), key=lambda k: (_SONORITY.get(manners[k], 0), -k), default=None)
        return [] if best is None else [SungSyllable.around(symbols, best)]
    bounds = [0]
    for before, after in pairwise(nuclei):
        first = after
        while first > before + 1 and _can_begin(symbols[first - 1 : after]):
            first -= 1
        bounds.append(first)
    ends = [*bounds[1:], len(symbols)]
    return [
        SungSyllable.around(symbols[first:end], nucleus - first)
        for first, end, nucleus in zip(bounds, ends, nuclei, strict=True)
    ]


def _can_begin(cluster: Sequence[str]) -> bool:
    """Whether so many consonants begin syllables: one; a stop or fricative and a liquid; s and what may follow it."""
    manners = [inventory()[symbol].manner for symbol in cluster]
    if cluster[0] in _NEVER_FIRST:
        return False
    if len(cluster) == 1:
        return True
    if cluster[0] in _S and len(cluster) <= 3 and manners[1] != "affricate":
        rest = manners[1:]
        return rest[0] in ("stop", "nasal", *_LIQUIDS) and (
            len(rest) == 1 or (rest[0] == "stop" and rest[1] in _LIQUIDS)
        )
    if len(cluster) != 2 or manners[1] not in _LIQUIDS:
        return False
    if manners[1] == "glide":
        return manners[0] != "glide"
    return (
        manners[0] in _OBSTRUENTS
        and manners[0] != "affricate"
        and not (cluster[0] in "tdθð" and manners[1] == "lateral")
    )
