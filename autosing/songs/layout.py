"""Spoken words and a note for each of their syllables -> where every phoneme lies on the song's time line.

The law of singing: a vowel starts where its note starts. Consonants before it keep the length they were spoken with and
take their time from the note before; consonants that close a syllable end it; the vowel holds all that is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from autosing.songs.analysis import SpokenWord
from autosing.songs.espeak import SpokenPhone
from autosing.songs.score import Note

_LONGEST_ONSET_S, _LONGEST_CODA_S = 0.14, 0.12
_SHARE = 0.5
"""Consonants take at most this part of what lies between two vowel onsets, and of what then is left."""


@dataclass(frozen=True)
class PlacedPhone:
    """A phoneme of word number `word` of the line: as it was spoken, and when it is sung."""

    word: int
    spoken: SpokenPhone
    nucleus: bool
    start_s: float
    end_s: float


@dataclass(frozen=True)
class PlacedSyllable:
    """Indices into the line's phones: [first, last], with the vowel at `nucleus`."""

    word: int
    first: int
    nucleus: int
    last: int


class HasNuclei(Protocol):
    """A word: its phones, and which of them carry a note each."""

    @property
    def phones(self) -> list[SpokenPhone]: ...

    @property
    def nuclei(self) -> list[int]: ...


def lay_out(words: Sequence[SpokenWord], notes: Sequence[Note]) -> tuple[list[PlacedPhone], list[PlacedSyllable]]:
    """Every phone of the line in order, none overlapping, and its syllables, one a note."""
    flat = [(w, phone) for w, word in enumerate(words) for phone in word.phones]
    syllables = syllables_of(words)
    assert len(syllables) == len(notes), (len(syllables), len(notes))
    onsets_s = _onset_lengths([phone for _, phone in flat], syllables, notes)
    placed: list[PlacedPhone] = []

    def place(first: int, last: int, start_s: float, lengths_s: Sequence[float], vowel: int | None = None) -> float:
        for i, length_s in zip(range(first, last), lengths_s, strict=True):
            word, phone = flat[i]
            placed.append(PlacedPhone(word, phone, i == vowel, start_s, start_s + length_s))
            start_s += length_s
        return start_s

    for number, (syllable, note) in enumerate(zip(syllables, notes, strict=True)):
        onset_s = onsets_s[number]
        place(syllable.first, syllable.nucleus, note.start_s - sum(onset_s), onset_s)
        end_s = note.end_s
        if number + 1 < len(notes):
            end_s = min(end_s, notes[number + 1].start_s - sum(onsets_s[number + 1]))
        room_s = end_s - note.start_s
        coda = [phone for _, phone in flat[syllable.nucleus + 1 : syllable.last + 1]]
        coda_s = _fit(coda, _LONGEST_CODA_S, _SHARE * room_s)
        vowel_end_s = place(
            syllable.nucleus, syllable.nucleus + 1, note.start_s, [room_s - sum(coda_s)], syllable.nucleus
        )
        place(syllable.nucleus + 1, syllable.last + 1, vowel_end_s, coda_s)
    return placed, syllables


def syllables_of(words: Sequence[HasNuclei]) -> list[PlacedSyllable]:
    """Between two vowels of a word the first of several consonants closes the syllable, the rest open the next."""
    found, offset = [], 0
    for w, word in enumerate(words):
        first = 0
        for number, nucleus in enumerate(word.nuclei):
            is_last = number + 1 == len(word.nuclei)
            following = len(word.phones) if is_last else word.nuclei[number + 1]
            between = following - nucleus - 1
            last = following - 1 if is_last else nucleus + (1 if between > 1 else 0)
            found.append(PlacedSyllable(w, offset + first, offset + nucleus, offset + last))
            first = last + 1
        offset += len(word.phones)
    return found


def _onset_lengths(
    phones: Sequence[SpokenPhone], syllables: Sequence[PlacedSyllable], notes: Sequence[Note]
) -> list[list[float]]:
    gaps_s = [float("inf"), *(b.start_s - a.start_s for a, b in pairwise(notes))]
    return [
        _fit(phones[s.first : s.nucleus], _LONGEST_ONSET_S, _SHARE * gap_s)
        for s, gap_s in zip(syllables, gaps_s, strict=True)
    ]


def _fit(phones: Sequence[SpokenPhone], longest_s: float, room_s: float) -> list[float]:
    """The spoken lengths, each at most `longest_s`, shrunk alike where together they exceed the room."""
    lengths_s = [min(phone.end_s - phone.start_s, longest_s) for phone in phones]
    scale = min(1.0, room_s / sum(lengths_s)) if lengths_s else 1.0
    return [length_s * scale for length_s in lengths_s]
