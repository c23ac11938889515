"""lines that were placed -> the same with scores: how likely each line and each word is within 0.5 s of its place.

A logistic model of five figures of a line, fitted on synthetic songs (seeds 101, 202 and 303) with troubles: breaks and
ad libs, and lyrics of other songs, with refrains written once, or with verses missing, too many or in other words. A
word's score comes of its line's and of how well it is heard itself. LOG.md (2026-11-27, lyrics files) has the figures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autosing.alignment.place import PlacedLine, SungLine, syllables
from autosing.text.letters import letters

_BIAS = -5.663
_EVIDENCE, _WORST_CLOSENESS, _PACE, _OF_SONG, _OF_NEIGHBOURS = 0.983, 1.881, -3.678, 1.494, 0.736
_CLEAR = 5.0
"""Nats a letter. A word that is heard so clearly is there; what it has more says nothing of the line's other words."""
_WORD_BIAS, _WORD_CLOSENESS, _WORD_LINE = -0.952, 1.529, 0.975


@dataclass(frozen=True)
class _Heard:
    """A line that was placed."""

    evidence: float
    """Nats a letter by which its letters explain what is heard better than singing in no line; a word's count up to
    _CLEAR."""
    pace: float
    """Log of the seconds that it takes for a syllable."""
    worst: float
    """How near the letters of a word are to the likeliest ones, 0..1, of the word that has least."""


def rated(placed: Sequence[PlacedLine], lines: Sequence[SungLine]) -> list[PlacedLine]:
    """Scores 0..1. A line is told by its own figures, by its pace beside the song's, and by what the song's other lines
    and its two neighbours are worth: wrong lyrics are rarely wrong in one line. One that was not found stays at 0."""
    heard = [_heard(found, line) for found, line in zip(placed, lines, strict=True)]
    known = [line for line in heard if line is not None]
    if not known:
        return list(placed)
    pace, of_song = (float(np.median([getattr(line, name) for line in known])) for name in ("pace", "evidence"))
    out = []
    for number, (found, own) in enumerate(zip(placed, heard, strict=True)):
        if own is None or found.words is None:
            out.append(found)
            continue
        beside = [heard[k] for k in (number - 1, number + 1) if 0 <= k < len(heard)]
        near = min((0.0 if line is None else line.evidence for line in beside), default=of_song)
        line_logit = (
            _BIAS + _EVIDENCE * own.evidence + _WORST_CLOSENESS * own.worst + _PACE * abs(own.pace - pace)
            + _OF_SONG * of_song + _OF_NEIGHBOURS * near
        )  # fmt: skip
        words = tuple(
            replace(word, score=_chance(_WORD_BIAS + _WORD_CLOSENESS * word.score + _WORD_LINE * line_logit))
            for word in found.words
        )
        out.append(PlacedLine(words, _chance(line_logit)))
    return out


def _heard(found: PlacedLine, line: SungLine) -> _Heard | None:
    if found.words is None:
        return None
    num_letters = [max(1, len(letters(text))) for text in line.words]
    length_s = found.words[-1].end_s - found.words[0].start_s
    return _Heard(
        evidence=float(np.average([min(word.evidence, _CLEAR) for word in found.words], weights=num_letters)),
        pace=math.log(length_s / sum(map(syllables, line.words))),
        worst=min(word.score for word in found.words),
    )


def _chance(logit: float) -> float:
    return 1 / (1 + math.exp(-min(max(logit, -30.0), 30.0)))
