"""A song's score -> that of a window of it, on the window's own time, as `segment` cuts words: whole ones or none."""

from autosing.score.score import Breath, Note, Phone, Score
from autosing.text.spans import ROUNDING_S


def cut(score: Score, start_s: float, end_s: float) -> Score:
    """The words whose phones and notes lie inside, lines counted anew; notes without a word, and breaths, likewise."""

    def inside(first_s: float, last_s: float) -> bool:
        return first_s >= start_s - ROUNDING_S and last_s <= end_s + ROUNDING_S

    kept = [number for number, span in word_spans(score).items() if inside(*span)]
    word_of = {number: k for k, number in enumerate(kept)}
    syllables = [n for n, syllable in enumerate(score.syllables) if syllable.word in word_of]
    syllable_of = {number: k for k, number in enumerate(syllables)}
    lines = {line: k for k, line in enumerate(dict.fromkeys(score.words[n].line for n in kept))}

    def moved(time_s: float) -> float:
        return round(time_s - start_s, 6)  # microseconds: for short JSON

    notes = [
        note for note in score.notes
        if (inside(note.start_s, note.end_s) if note.syllable is None else note.syllable in syllable_of)
    ]  # fmt: skip
    return Score(
        duration_s=moved(end_s),
        tempo=score.tempo.moved(-start_s),
        words=tuple(score.words[n].model_copy(update={"line": lines[score.words[n].line]}) for n in kept),
        syllables=tuple(
            score.syllables[n].model_copy(update={"word": word_of[score.syllables[n].word]}) for n in syllables
        ),
        phones=tuple(
            Phone(symbol=phone.symbol, place=phone.place, syllable=syllable_of[phone.syllable],
                  start_s=None if phone.start_s is None else moved(phone.start_s),
                  end_s=None if phone.end_s is None else moved(phone.end_s))
            for phone in score.phones if phone.syllable in syllable_of
        ),
        notes=tuple(
            Note(start_s=moved(note.start_s), end_s=moved(note.end_s), midi=note.midi,
                 syllable=None if note.syllable is None else syllable_of[note.syllable])
            for note in notes
        ),
        breaths=tuple(
            Breath(start_s=moved(breath.start_s), end_s=moved(breath.end_s))
            for breath in score.breaths if inside(breath.start_s, breath.end_s)
        ),
    )  # fmt: skip


def word_spans(score: Score) -> dict[int, tuple[float, float]]:
    """Word's number -> (start_s, end_s) of its phones and notes, of the words that have any with times."""
    spans: dict[int, tuple[float, float]] = {}
    timed = [(note.syllable, note.start_s, note.end_s) for note in score.notes]
    timed += [
        (phone.syllable, phone.start_s, phone.end_s)
        for phone in score.phones if phone.start_s is not None and phone.end_s is not None
    ]  # fmt: skip
    for syllable, start_s, end_s in timed:
        if syllable is not None:
            word = score.syllables[syllable].word
            first_s, last_s = spans.get(word, (start_s, end_s))
            spans[word] = (min(first_s, start_s), max(last_s, end_s))
    return dict(sorted(spans.items()))
