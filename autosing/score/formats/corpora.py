"""How singing corpora label a recording -> a score.

Rows of numbers for each phone (Opencpop, M4Singer), words with phones and notes (GTSinger), notes and lyrics (CSD).
The first two say of each phone its length, its note, that note's length, and whether it only goes on with the vowel
before on another note. Their notes begin with the consonant; a score's notes begin with the vowel.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from autosing.errors import InputError
from autosing.score.alphabets import BREATH_SIGNS, REST_SIGNS, phones_of_sign
from autosing.score.assemble import SungNote, assemble
from autosing.score.formats.labels import Label, NoteLabel, score_of_labels
from autosing.score.g2p.words import Spoken, pronounce
from autosing.score.phones import is_vowel
from autosing.score.score import Note, Score, Syllable, Word
from autosing.score.tempo import TempoMap

_QUIET = REST_SIGNS | BREATH_SIGNS
_SLACK_S = 0.1
"""Labels whose sum differs from the recording by more are refused."""


def score_of_phone_rows(
    signs: Sequence[str],
    lengths_s: Sequence[float],
    midis: Sequence[float | None],
    slurs: Sequence[bool],
    text: str,
    language: str,
    origin: str,
) -> Score:
    """Of phones in a row. Raises InputError where the rows differ in length, or a phone is unknown."""
    counts = {"phones": len(signs), "lengths": len(lengths_s), "notes": len(midis), "slurs": len(slurs)}
    if len(set(counts.values())) != 1:
        found = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise InputError(f"{origin}: {found}; need as many of each")
    at_s, labels, notes = 0.0, list[Label](), list[NoteLabel]()
    for sign, length_s, midi, slur in zip(signs, lengths_s, midis, slurs, strict=True):
        end_s = at_s + length_s
        if slur and labels:  # the vowel goes on
            labels[-1] = Label(labels[-1].start_s, end_s, labels[-1].text)
        else:
            labels.append(Label(at_s, end_s, sign))
        carries = sign not in _QUIET and any(is_vowel(phone) for phone in phones_of_sign(sign, language))
        if carries:
            if notes and not slur and at_s - notes[-1].end_s < _SLACK_S * 2:  # over the consonant between
                notes[-1] = NoteLabel(notes[-1].start_s, at_s, notes[-1].midi, notes[-1].slur)
            notes.append(NoteLabel(at_s, end_s, midi, slur))
        at_s = end_s
    score = score_of_labels([], labels, notes, at_s, language, origin)
    return _with_characters(score, text)


def is_gtsinger(values: Any) -> bool:
    """Whether it is a list of words with phones and notes."""
    return (
        isinstance(values, list) and bool(values) and all(isinstance(word, dict) for word in values)
        and any("ph_start" in word and "note_start" in word for word in values)
    )  # fmt: skip


def score_of_gtsinger(words: Sequence[Mapping[str, Any]], language: str, origin: str) -> Score:
    """Raises InputError naming the word that is not as it should be."""
    spoken, phones, notes = list[Label](), list[Label](), list[NoteLabel]()
    for number, word in enumerate(words, start=1):
        try:
            text = str(word["word"]).strip()
            breath = text in BREATH_SIGNS or text == "breathe"
            quiet = breath or text in REST_SIGNS
            kind = "AP" if breath else "SP" if quiet else text
            spoken.append(Label(float(word["start_time"]), float(word["end_time"]), kind))
            for sign, first, last in zip(word["ph"], word["ph_start"], word["ph_end"], strict=True):
                if not quiet:
                    phones.append(Label(float(first), float(last), str(sign).split("_")[0]))
            for midi, first, last in zip(word["note"], word["note_start"], word["note_end"], strict=True):
                if midi and not quiet:
                    notes.append(NoteLabel(float(first), float(last), float(midi)))
        except (KeyError, TypeError, ValueError):
            found = f"word {number} is {str(word)[:80]}"
            raise InputError(
                f"{origin}: {found}; need word, ph, ph_start, ph_end, note, note_start, note_end"
            ) from None
    duration_s = max((word.end_s for word in spoken), default=0.0)
    return score_of_labels(spoken, phones, notes, duration_s, language, origin)


def score_of_csd(rows: Sequence[Mapping[str, str]], lyrics: str, language: str, origin: str) -> Score:
    """`rows`: start, end, pitch of each note; `lyrics`: the text, a syllable a note.

    Raises InputError where they differ in number: the notes cannot be sung then.
    """
    notes = []
    for number, row in enumerate(rows, start=1):
        try:
            notes.append((float(row["start"]), float(row["end"]), float(row["pitch"])))
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{origin}: row {number} is {dict(row)}; need start, end and pitch") from None
    lines = [line.split() for line in lyrics.splitlines() if line.strip()]
    texts: list[tuple[str, bool, int]] = []
    for number, line in enumerate(lines):
        counts = [len(syllables) for syllables in pronounce([Spoken(word, language) for word in line])]
        for word, count in zip(line, counts, strict=True):
            pieces = list(word) if language == "ko" and len(word) == count else [word, *[""] * (count - 1)]
            texts += [(piece, k > 0, number) for k, piece in enumerate(pieces)]
    if len(texts) != len(notes):
        raise InputError(f"{origin}: {len(texts)} syllables of lyrics for {len(notes)} notes; need as many")
    sung = [
        SungNote(start_s, end_s, midi, text, False, joins, line, language)
        for (start_s, end_s, midi), (text, joins, line) in zip(notes, texts, strict=True)
    ]
    return assemble(sung, 0.0, TempoMap())


def _with_characters(score: Score, text: str) -> Score:
    """Words spelt as the text's characters, where there are as many as syllables."""
    characters = [letter for letter in text if letter.isalpha()]
    if len(characters) != len(score.syllables):
        return score
    words = tuple(
        Word(text=letter, language=score.words[syllable.word].language)
        for letter, syllable in zip(characters, score.syllables, strict=True)
    )
    syllables = tuple(Syllable(word=k, text=letter) for k, letter in enumerate(characters))
    return score.replace(words=words, syllables=syllables, notes=tuple(Note(**n.model_dump()) for n in score.notes))
