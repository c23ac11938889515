"""A score -> the same in another tempo, or higher, or with its notes joined."""

from itertools import pairwise

from autosing.errors import InputError
from autosing.score.score import Breath, Note, Phone, Score
from autosing.score.tempo import Meter, Tempo, TempoMap

SLOWEST, FASTEST = 0.25, 4.0
MOST_SEMITONES = 36.0


def in_tempo(score: Score, factor: float) -> Score:
    """Everything `factor` times as fast. Consonants that have times change likewise: leave their times out (see
    `without_times`) to have them last as long as ever.

    Raises InputError for a factor that nobody sings at.
    """
    if not SLOWEST <= factor <= FASTEST:
        raise InputError(f"tempo factor {factor:g}: need {SLOWEST:g} to {FASTEST:g}; 1 is as written")
    if factor == 1:
        return score
    tempo = score.tempo
    return score.replace(
        duration_s=score.duration_s / factor,
        tempo=TempoMap(
            first_beat_s=tempo.first_beat_s / factor,
            tempos=tuple(Tempo(beat=t.beat, bpm=t.bpm * factor) for t in tempo.tempos),
            meters=tuple(Meter(beat=m.beat, numerator=m.numerator, denominator=m.denominator) for m in tempo.meters),
        ),
        phones=tuple(
            Phone(
                symbol=p.symbol, place=p.place, syllable=p.syllable,
                start_s=None if p.start_s is None else p.start_s / factor,
                end_s=None if p.end_s is None else p.end_s / factor,
            )
            for p in score.phones
        ),
        notes=tuple(
            Note(start_s=n.start_s / factor, end_s=n.end_s / factor, midi=n.midi, syllable=n.syllable)
            for n in score.notes
        ),
        breaths=tuple(Breath(start_s=b.start_s / factor, end_s=b.end_s / factor) for b in score.breaths),
    )  # fmt: skip


def transposed(score: Score, semitones: float) -> Score:
    """Notes so many semitones (fractions too) higher. Raises InputError beyond three octaves or what MIDI has."""
    if not abs(semitones) <= MOST_SEMITONES:
        raise InputError(f"shift {semitones:g}: need -{MOST_SEMITONES:g} to {MOST_SEMITONES:g} semitones")
    sung = [note.midi + semitones for note in score.notes if note.midi is not None]
    if sung and not 0 <= min(sung) <= max(sung) <= 127:
        raise InputError(
            f"shift {semitones:g}: notes would lie at {min(sung):g} to {max(sung):g}; need 0 to 127 (MIDI)"
        )
    notes = tuple(
        note if note.midi is None else note.model_copy(update={"midi": note.midi + semitones}) for note in score.notes
    )
    return score.replace(notes=notes)


def without_times(score: Score) -> Score:
    """The phones' times forgotten."""
    phones = tuple(Phone(symbol=p.symbol, place=p.place, syllable=p.syllable) for p in score.phones)
    return score.replace(phones=phones)


def joined(score: Score, longest_s: float) -> Score:
    """Notes held up to the next note where a rest between them lasts at most `longest_s`; not over a breath, nor from
    one line to the next."""
    lines = [None if n.syllable is None else score.words[score.syllables[n.syllable].word].line for n in score.notes]
    notes = list(score.notes)
    for k, (note, following) in enumerate(pairwise(score.notes)):
        breathes = any(b.start_s < following.start_s and b.end_s > note.end_s for b in score.breaths)
        if lines[k] == lines[k + 1] and not breathes and 0 < following.start_s - note.end_s <= longest_s:
            notes[k] = note.model_copy(update={"end_s": following.start_s})
    return score.replace(notes=tuple(notes))
