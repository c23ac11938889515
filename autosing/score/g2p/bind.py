"""A score without phones -> the same with them: each word's syllables meet its notes.

Files and dictionaries count syllables differently ("every", "fire"), and some files write a whole word under its first
note. Notes are what is sung: where a word has fewer notes than syllables, weak ones join their neighbours; where it has
more, the last syllable is held.
"""

from collections.abc import Sequence

from autosing.errors import InputError
from autosing.score.g2p.words import Spoken, pronounce
from autosing.score.phones import is_vowel
from autosing.score.score import Note, Phone, Score, Syllable
from autosing.score.syllabify import SungSyllable

_WEAK = {"ə": 0, "ɪ": 1, "ɚ": 1, "ʊ": 2, "i": 2, "ɯ": 2, "n̩": 0, "l̩": 0, "m̩": 0}
"""Vowels that can be swallowed, the weakest first."""


def with_phones(score: Score) -> Score:
    """Phones that are there are replaced, and have no times. Lines are read one by one.

    Raises InputError naming the word that cannot be pronounced.
    """
    spoken: list[list[SungSyllable]] = []
    for first, last in _lines(score):
        words = score.words[first:last]
        try:
            spoken += pronounce([Spoken(word.text, word.language) for word in words])
        except InputError as error:
            raise InputError(f"line {' '.join(word.text for word in words)!r}: {error}") from None
    return bind(score, spoken)


def bind(score: Score, spoken: Sequence[Sequence[SungSyllable]]) -> Score:
    """The same, of words that are pronounced already: for each word its syllables."""
    syllables: list[Syllable] = []
    phones: list[Phone] = []
    moved: dict[int, int] = {}
    own_notes = _notes_by_word(score)
    firsts = {syllable.word: k for k, syllable in reversed(list(enumerate(score.syllables)))}
    for number, (sung, notes) in enumerate(zip(spoken, own_notes, strict=True)):
        written = [s.text for s in score.syllables if s.word == number] if number in firsts else []
        starts = _starts(score, notes)
        fitted = _fitted(sung, max(len(notes), 1) if notes else len(sung))
        heads = _heads(len(fitted), starts, len(notes))
        for k, syllable in enumerate(fitted):
            text = written[k] if len(written) == len(fitted) else ""
            syllables.append(Syllable(word=number, text=text))
            phones += [
                Phone(symbol=symbol, place=place, syllable=len(syllables) - 1)
                for symbol, place in zip(syllable.symbols, syllable.places, strict=True)
            ]
            end = heads[k + 1] if k + 1 < len(heads) else len(notes)
            moved |= dict.fromkeys(notes[heads[k] : end] if heads else [], len(syllables) - 1)
    notes_out = tuple(
        Note(start_s=note.start_s, end_s=note.end_s, midi=note.midi, syllable=moved.get(k))
        for k, note in enumerate(score.notes)
    )
    return score.replace(syllables=tuple(syllables), phones=tuple(phones), notes=notes_out)


def _lines(score: Score) -> list[tuple[int, int]]:
    edges = [k for k, word in enumerate(score.words) if k == 0 or word.line != score.words[k - 1].line]
    return list(zip(edges, [*edges[1:], len(score.words)], strict=True)) if edges else []


def _notes_by_word(score: Score) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in score.words]
    for k, note in enumerate(score.notes):
        if note.syllable is not None:
            found[score.syllables[note.syllable].word].append(k)
    return found


def _starts(score: Score, notes: Sequence[int]) -> list[int]:
    """Which of a word's notes begin a syllable in the file."""
    held = [score.notes[k].syllable for k in notes]
    return [i for i, syllable in enumerate(held) if i == 0 or syllable != held[i - 1]]


def _heads(count: int, starts: Sequence[int], num_notes: int) -> list[int]:
    """On which of the word's notes each syllable begins: where the file begins them, and on held notes beyond."""
    if not num_notes:
        return []
    heads = list(starts[:count])
    spare = [i for i in range(num_notes) if i not in starts]
    while len(heads) < count:
        later = [i for i in spare if i > heads[-1]] or spare
        heads.append(later[0])
        spare.remove(later[0])
        heads.sort()
    return heads


def _fitted(sung: Sequence[SungSyllable], most: int) -> list[SungSyllable]:
    """At most so many syllables: neighbours joined, the weakest vowel first."""
    held = list(sung)
    while len(held) > most:
        at = min(range(len(held)), key=lambda k: (_WEAK.get(_vowel(held[k]), 3), k == 0, -k))
        with_next = at == 0 or (at + 1 < len(held) and not held[at + 1].symbols[: held[at + 1].nucleus])
        first = at if with_next else at - 1
        held[first : first + 2] = [_joined(held[first], held[first + 1])]
    return held


def _joined(a: SungSyllable, b: SungSyllable) -> SungSyllable:
    """One syllable with the stronger vowel as its nucleus."""
    symbols = (*a.symbols, *b.symbols)
    stronger_is_b = _WEAK.get(_vowel(a), 3) < _WEAK.get(_vowel(b), 3)
    nucleus = len(a.symbols) + b.nucleus if stronger_is_b else a.nucleus
    return SungSyllable.around(symbols, nucleus)


def _vowel(syllable: SungSyllable) -> str:
    symbol = syllable.symbols[syllable.nucleus]
    return symbol if is_vowel(symbol) else "ə"
