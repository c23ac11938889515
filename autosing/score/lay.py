"""Words and a melody that were not written for each other -> a score: syllables on notes, and what did not fit.

Where notes are more, some syllables are held over several; where syllables are more, some share a note, which is cut
alike. Which, is the cheapest way through both (dynamic programming): a syllable is held within a phrase and rather at
the end of a line, words begin rather than go on after a rest, short notes are not cut.

Shapes: N syllables, M notes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosing.errors import InputError
from autosing.score.g2p.words import Spoken, pronounce
from autosing.score.score import Note, Phone, Score, Syllable, Word
from autosing.score.syllabify import SungSyllable
from autosing.score.tempo import TempoMap

_REST_S = 0.15
"""A shorter gap between notes is none."""
_SHORTEST_S = 0.12
"""A syllable should last so long."""
_HOLD, _HOLD_AT_END, _HOLD_OVER_REST, _SHARE, _SHARE_IN_WORD, _TOO_SHORT, _REST_IN_WORD, _LINE_WITHOUT_REST = (
    1.0, 0.6, 3.0, 1.5, 1.1, 4.0, 2.0, 1.0,
)  # fmt: skip
_MORE = 4
"""A syllable is held over at most so many notes more than there are on average, and likewise shared."""


@dataclass(frozen=True)
class _Sung:
    """A syllable to be laid."""

    word: int
    syllable: SungSyllable
    begins_word: bool
    begins_line: bool
    ends_line: bool


@dataclass(frozen=True)
class Laid:
    score: Score
    """Phones without times."""
    remarks: tuple[str, ...]
    """What did not fit: held and shared notes."""


def laid(lines: Sequence[str], language: str, melody: Score) -> Laid:
    """The words of `lines` on the notes of `melody`, whose own words are not read; its slurs stay slurs.

    Raises InputError: no notes, no words, or a word that cannot be pronounced.
    """
    heads = [k for k, slurred in enumerate(melody.slurs) if not slurred]
    if not heads:
        raise InputError("melody: no note in it; give a score with notes, or a melody that is sung or hummed")
    groups = [melody.notes[a:b] for a, b in zip(heads, [*heads[1:], len(melody.notes)], strict=True)]
    words, sung = _syllables(lines, language)
    path = _cheapest(sung, groups)
    syllables = tuple(Syllable(word=each.word) for each in sung)
    phones = tuple(
        Phone(symbol=symbol, place=place, syllable=k)
        for k, each in enumerate(sung)
        for symbol, place in zip(each.syllable.symbols, each.syllable.places, strict=True)
    )
    notes: list[Note] = []
    held, shared = [], []
    at_n = at_m = 0
    for count_n, count_m in path:
        mine = [note for group in groups[at_m : at_m + count_m] for note in group]
        if count_n == 1:
            notes += [_on(note, at_n, note.start_s, note.end_s) for note in mine]
            if count_m > 1:
                held.append(words[sung[at_n].word].text)
        else:
            notes += _cut(mine, at_n, count_n)
            shared.append(" ".join(dict.fromkeys(words[sung[k].word].text for k in range(at_n, at_n + count_n))))
        at_n, at_m = at_n + count_n, at_m + count_m
    score = Score(
        duration_s=melody.duration_s, tempo=melody.tempo, words=tuple(words), syllables=syllables, phones=phones,
        notes=tuple(notes),
    )  # fmt: skip
    return Laid(score, (*_told(held, "held over several notes"), *_told(shared, "sung on one note")))


def melody_of_notes(notes: Sequence[Note], duration_s: float) -> Score:
    """A score without words."""
    return Score(duration_s=duration_s, tempo=TempoMap(), notes=tuple(notes))


def _syllables(lines: Sequence[str], language: str) -> tuple[list[Word], list[_Sung]]:
    words: list[Word] = []
    sung: list[_Sung] = []
    for number, line in enumerate(lines):
        texts = [text for text in line.split() if any(letter.isalnum() for letter in text)]
        found = [
            (text, syllables)
            for text, syllables in zip(texts, pronounce([Spoken(text, language) for text in texts]), strict=True)
            if syllables
        ]
        for at, (text, syllables) in enumerate(found):
            words.append(Word(text=text, language=language, line=number))
            for k, syllable in enumerate(syllables):
                last = at + 1 == len(found) and k + 1 == len(syllables)
                sung.append(_Sung(len(words) - 1, syllable, k == 0, k == 0 and at == 0, last))
    if not sung:
        raise InputError("words: none that can be sung; give some, by --lyrics")
    return words, sung


def _cheapest(sung: Sequence[_Sung], groups: Sequence[Sequence[Note]]) -> list[tuple[int, int]]:
    """(syllables, notes) of each step: (1, m) or (n, 1)."""
    num_n, num_m = len(sung), len(groups)
    most_m, most_n = math.ceil(num_m / num_n) + _MORE, math.ceil(num_n / num_m) + _MORE
    starts_M = np.array([group[0].start_s for group in groups])
    ends_M = np.array([group[-1].end_s for group in groups])
    rest_M = np.concatenate([[True], starts_M[1:] - ends_M[:-1] > _REST_S])
    cost_NM = np.full((num_n + 1, num_m + 1), np.inf)
    came = np.zeros((num_n + 1, num_m + 1, 2), int)
    cost_NM[0, 0] = 0.0
    steps = [(1, m) for m in range(1, most_m + 1)] + [(n, 1) for n in range(2, most_n + 1)]
    for n in range(num_n):
        for m in range(num_m):
            if not np.isfinite(cost_NM[n, m]):
                continue
            here = cost_NM[n, m] + _entry(sung[n], bool(rest_M[m]))
            for count_n, count_m in steps:
                to = (n + count_n, m + count_m)
                if to[0] > num_n or to[1] > num_m:
                    continue
                value = here + _step(sung[n : to[0]], rest_M[m + 1 : to[1]], ends_M[to[1] - 1] - starts_M[m])
                if value < cost_NM[to]:
                    cost_NM[to], came[to] = value, (count_n, count_m)
    assert np.isfinite(cost_NM[-1, -1]), (num_n, num_m)
    path, at = [], (num_n, num_m)
    while at != (0, 0):
        step = (int(came[at][0]), int(came[at][1]))
        path.append(step)
        at = (at[0] - step[0], at[1] - step[1])
    return path[::-1]


def _entry(syllable: _Sung, after_rest: bool) -> float:
    if after_rest:
        return 0.0 if syllable.begins_word else _REST_IN_WORD
    return _LINE_WITHOUT_REST if syllable.begins_line else 0.0


def _step(mine: Sequence[_Sung], rests_within: np.ndarray, seconds: float) -> float:
    if len(mine) == 1:
        hold = _HOLD_AT_END if mine[0].ends_line else _HOLD
        return len(rests_within) * hold + _HOLD_OVER_REST * float(rests_within.sum())
    cost = sum(_SHARE if each.begins_word else _SHARE_IN_WORD for each in mine[1:])
    return cost + (_TOO_SHORT if seconds / len(mine) < _SHORTEST_S else 0.0)


def _on(note: Note, syllable: int, start_s: float, end_s: float) -> Note:
    return Note(start_s=start_s, end_s=end_s, midi=note.midi, syllable=syllable)


def _cut(notes: Sequence[Note], first: int, count: int) -> list[Note]:
    """Each syllable gets as much of the notes' time."""
    edges_s = np.linspace(notes[0].start_s, notes[-1].end_s, count + 1)
    found = []
    for k in range(count):
        for note in notes:
            start_s, end_s = max(note.start_s, float(edges_s[k])), min(note.end_s, float(edges_s[k + 1]))
            if end_s > start_s:
                found.append(_on(note, first + k, start_s, end_s))
    return found


def _told(which: Sequence[str], what: str) -> list[str]:
    if not which:
        return []
    shown = ", ".join(which[:5]) + (f" and {len(which) - 5} more" if len(which) > 5 else "")
    return [f"{what}: {shown}"]
