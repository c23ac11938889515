"""Notes with the lyrics that stand under them, as files give them -> a score without phones.

Files agree on little: notes may overlap by a few ticks, a syllable may be held by a mark, words may be cut by hyphens.
Readers bring all that into `SungNote`s; here they become words and syllables, and a melody of one voice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autosing.errors import InputError
from autosing.score.score import Note, Score, Syllable, Word
from autosing.score.tempo import TempoMap

OVERLAP_BEATS = 1 / 8
"""Notes that overlap by less, a 32nd, are legato; more is a chord."""
_LINE_BEATS = 0.99


@dataclass(frozen=True)
class SungNote:
    """A note and what stands under it."""

    start_s: float
    end_s: float
    midi: float | None
    """None: spoken."""
    text: str | None = None
    """A syllable, or a whole word; None: nothing stands under the note."""
    hold: bool = False
    """It goes on with the syllable before; `text`, if any, is that syllable's end."""
    joins: bool = False
    """Its syllable goes on with the word of the syllable before."""
    line: int = 0
    language: str = "und"


def assemble(notes: Sequence[SungNote], duration_s: float, tempo: TempoMap) -> Score:
    """The notes must be of one voice (see `one_voice`). A hold with nothing before it is a note without a syllable.

    Where no note names a line, a word behind a rest of a beat begins one.
    """
    line, by_rests = 0, all(note.line == 0 for note in notes)
    words: list[Word] = []
    syllables: list[Syllable] = []
    placed: list[Note] = []
    for number, note in enumerate(notes):
        gap_s = note.start_s - notes[number - 1].end_s if number else 0.0
        if (
            by_rests
            and words
            and gap_s > 0
            and tempo.beats(note.start_s) - tempo.beats(note.start_s - gap_s) > _LINE_BEATS
        ):
            line += 1
        if note.hold and syllables:
            if note.text:
                last = syllables[-1]
                syllables[-1] = last.model_copy(update={"text": last.text + note.text})
                word = words[last.word]
                words[last.word] = word.model_copy(update={"text": word.text + note.text})
        elif note.text is not None and not note.hold:
            if note.joins and words:
                words[-1] = words[-1].model_copy(update={"text": words[-1].text + note.text})
            else:
                words.append(Word(text=note.text, language=note.language, line=line if by_rests else note.line))
            syllables.append(Syllable(word=len(words) - 1, text=note.text))
        sung = len(syllables) - 1 if syllables and (note.hold or note.text is not None) else None
        placed.append(Note(start_s=note.start_s, end_s=note.end_s, midi=note.midi, syllable=sung))
    last_s = max((note.end_s for note in placed), default=0.0)
    return Score(
        duration_s=max(duration_s, last_s), tempo=tempo, words=tuple(words), syllables=tuple(syllables),
        notes=tuple(placed),
    )  # fmt: skip


def one_voice(
    notes: Sequence[SungNote], tempo: TempoMap, highest: bool, origin: str, remedy: str
) -> tuple[list[SungNote], list[str]]:
    """(the notes in order, none overlapping; what was done to that end).

    Legato overlaps are cut short, of octave doublings the upper note is kept, and of chords where `highest` is set.
    Raises InputError for other chords, with bar, beat and `remedy`.
    """
    kept: list[SungNote] = []
    left_out = 0
    for note in sorted(notes, key=lambda n: (n.start_s, -(n.midi or 0))):
        before = kept[-1] if kept else None
        if before is None or before.end_s <= note.start_s + 1e-9:
            kept.append(note)
            continue
        overlap = tempo.beats(before.end_s) - tempo.beats(note.start_s)
        together = tempo.beats(note.start_s) - tempo.beats(before.start_s) <= OVERLAP_BEATS
        if not together and overlap <= OVERLAP_BEATS + 1e-9:
            kept[-1] = replace(before, end_s=note.start_s)
            kept.append(note)
            continue
        high, low = (before, note) if (before.midi or 0) >= (note.midi or 0) else (note, before)
        octaves = together and ((high.midi or 0) - (low.midi or 0)) % 12 == 0
        if not (octaves or highest):
            bar, beat = tempo.bar_and_beat(note.start_s)
            found = f"two notes at once at bar {bar}, beat {beat:g} ({note.start_s:.2f} s)"
            raise InputError(f"{origin}: {found}; need one voice: {remedy}")
        left_out += 1
        if together:
            text, sung = (high.text, high) if high.text is not None else (low.text, low)
            kept[-1] = replace(
                high, start_s=before.start_s, text=text, hold=sung.hold, joins=sung.joins, line=sung.line
            )
        elif high is note:
            kept[-1] = replace(before, end_s=note.start_s)
            kept.append(note)
    return kept, [f"{left_out} notes under a higher one are left out"] if left_out else []
