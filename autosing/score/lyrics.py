"""A score's notes and other words -> the score with these words, a syllable a note."""

from collections.abc import Sequence
from itertools import pairwise

from autosing.errors import InputError
from autosing.score.assemble import SungNote, assemble
from autosing.score.g2p.words import Spoken, pronounce
from autosing.score.score import Note, Score

HOLDS = frozenset("-–—_~")
"""A word of these alone holds the syllable before it over one more note."""


def with_lyrics(score: Score, lines: Sequence[str], language: str = "und") -> Score:
    """The score without phones; notes that go on with a slur go on with it. `language`: ISO 639 of all words, or und.

    Raises InputError where there are more or fewer syllables than notes, or a word that cannot be pronounced.
    """
    asked = [(number, text) for number, line in enumerate(lines) for text in _texts(line, language)]
    heads = [k for k, slurred in enumerate(score.slurs) if not slurred]
    if len(asked) != len(heads):
        shown = " ".join(text if text is not None else "-" for _, (text, _) in asked[:8])
        raise InputError(
            f"lyrics: {len(asked)} syllables ({shown} ...) for {len(heads)} notes; need as many: write - to hold a "
            "syllable over another note, or give a part of the score with --from and --to"
        )
    under = dict(zip(heads, asked, strict=True))
    notes = [_under(note, under.get(k), language) for k, note in enumerate(score.notes)]
    return assemble(notes, score.duration_s, score.tempo)


def _under(note: Note, asked: tuple[int, tuple[str | None, bool]] | None, language: str) -> SungNote:
    span = (note.start_s, note.end_s, note.midi)
    if asked is None:
        return SungNote(*span, hold=True)
    line, (text, joins) = asked
    return SungNote(*span, text=text, hold=text is None, joins=joins, line=line, language=language)


def _texts(line: str, language: str) -> list[tuple[str | None, bool]]:
    """(syllable as it is to be written, whether it goes on with the word before); a syllable of None is held."""
    found: list[tuple[str | None, bool]] = []
    words = line.split()
    spoken = iter(pronounce([Spoken(word, language) for word in words if not set(word) <= HOLDS]))
    for word in words:
        if set(word) <= HOLDS:
            found.append((None, False))
            continue
        found += cut_word(word, max(1, len(next(spoken))))
    return found


def cut_word(word: str, count: int) -> list[tuple[str, bool]]:
    """(text, whether it goes on with the word before) of each of its syllables.

    Where a word is cut in writing says nothing of its sound: it is pronounced as a whole.
    """
    edges = [round(len(word) * k / count) for k in range(count + 1)]
    return [(word[a:b], k > 0) for k, (a, b) in enumerate(pairwise(edges))]
