"""Praat's TextGrid <-> a score, by praatio: tiers of words, phones and, where there are some, notes.

Tiers are found by their names: words/word/lyrics, phones/phone/phonemes, notes/note/pitch. Notes are MIDI numbers or
names (C4, A4+12). Aligners (MFA) and singing corpora (GTSinger, M4Singer) write such files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autosing.errors import InputError
from autosing.score.formats.labels import (
    Label,
    NoteLabel,
    filled,
    midi_of,
    name_of,
    phone_labels,
    score_of_labels,
    word_labels,
)
from autosing.score.formats.options import USUAL, ReadOptions, ReadScore
from autosing.score.score import Score

_WORDS = ("words", "word", "lyrics", "text", "orthography")
_PHONES = ("phones", "phone", "phonemes", "phoneme", "ph", "segments")
_NOTES = ("notes", "note", "pitch", "midi", "score")


def read_textgrid(path: Path, options: ReadOptions = USUAL) -> ReadScore:
    """`options.track`: of several singers ("Anna - phones") whose tiers are read. Raises InputError: not readable, no
    tier of phones or words, phones of no known alphabet."""
    grid = _opened(path)
    words, phones, notes = (_tier(grid, names, options.track) for names in (_WORDS, _PHONES, _NOTES))
    if phones is None and words is None:
        listed = ", ".join(grid.tierNames) or "none"
        raise InputError(f"{path}: no tier of words or phones (tiers: {listed}); name one `phones` and one `words`")
    score = score_of_labels(
        words or [], phones or [], _notes(notes or [], path), float(grid.maxTimestamp), options.language, str(path)
    )
    return ReadScore(score)


def write_textgrid(score: Score, path: Path) -> None:
    """Tiers words, phones and notes. Raises InputError where the phones have no times."""
    from praatio import textgrid

    grid = textgrid.Textgrid()
    notes = [Label(n.start_s, n.end_s, name_of(n.midi) if n.midi is not None else "spoken") for n in score.notes]
    tiers = {
        "words": word_labels(score),
        "phones": phone_labels(score),
        "notes": filled(notes, score.duration_s, "rest"),
    }
    for name, labels in tiers.items():
        entries = [(label.start_s, label.end_s, label.text) for label in labels]
        grid.addTier(textgrid.IntervalTier(name, entries, 0, score.duration_s))
    grid.save(str(path), format="long_textgrid", includeBlankSpaces=True, reportingMode="silence")


def _opened(path: Path) -> Any:
    from praatio import textgrid
    from praatio.utilities.errors import PraatioException

    if not path.is_file():
        raise InputError(f"{path}: no such file; give a TextGrid")
    try:
        return textgrid.openTextgrid(
            str(path), includeEmptyIntervals=True, reportingMode="silence", duplicateNamesMode="rename"
        )
    except (
        PraatioException, ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeError, RecursionError,
    ) as error:  # fmt: skip
        raise InputError(f"{path}: not readable as a TextGrid ({error}); save it again in Praat") from None


def _tier(grid: Any, names: Sequence[str], singer: str | None) -> list[Label] | None:
    """The tier of one of these names, also as `Anna - phones`; None where there is none."""
    for name in grid.tierNames:
        who, _, what = name.rpartition("-")
        if what.strip().lower() in names and (singer is None or not who or who.strip().lower() == singer.lower()):
            tier = grid.getTier(name)
            return [Label(float(e.start), float(e.end), e.label.strip()) for e in tier.entries if hasattr(e, "end")]
    return None


def _notes(labels: Sequence[Label], path: Path) -> list[NoteLabel]:
    found = []
    for label in labels:
        try:
            found.append(NoteLabel(label.start_s, label.end_s, midi_of(label.text.removeprefix("spoken"))))
        except ValueError:
            raise InputError(
                f"{path}: note {label.text!r} at {label.start_s:.3f} s; need C4, A4+12, 69 or rest"
            ) from None
    return found
