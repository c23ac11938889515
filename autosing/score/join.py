"""Scores of phrases, each with its place -> one score on one time line."""

from collections.abc import Sequence

from autosing.score.score import Breath, Note, Phone, Score, Syllable, Word


def join(phrases: Sequence[tuple[float, Score]]) -> Score:
    """(start in seconds, score) in order; each phrase's lines are lines of their own. The tempo is the first one's."""
    words: list[Word] = []
    syllables: list[Syllable] = []
    phones: list[Phone] = []
    notes: list[Note] = []
    breaths: list[Breath] = []
    line = 0
    for start_s, score in phrases:
        word, syllable = len(words), len(syllables)
        words += [w.model_copy(update={"line": w.line + line}) for w in score.words]
        syllables += [s.model_copy(update={"word": s.word + word}) for s in score.syllables]
        for phone in score.phones:
            moved = {} if phone.start_s is None or phone.end_s is None else {
                "start_s": phone.start_s + start_s, "end_s": phone.end_s + start_s,
            }  # fmt: skip
            phones.append(phone.model_copy(update={"syllable": phone.syllable + syllable, **moved}))
        for note in score.notes:
            sung = None if note.syllable is None else note.syllable + syllable
            notes.append(
                Note(start_s=note.start_s + start_s, end_s=note.end_s + start_s, midi=note.midi, syllable=sung)
            )
        breaths += [Breath(start_s=b.start_s + start_s, end_s=b.end_s + start_s) for b in score.breaths]
        line = max((w.line for w in words), default=-1) + 1
    return Score(
        duration_s=max(start_s + score.duration_s for start_s, score in phrases), tempo=phrases[0][1].tempo,
        words=tuple(words), syllables=tuple(syllables), phones=tuple(phones), notes=tuple(notes),
        breaths=tuple(breaths),
    )  # fmt: skip
