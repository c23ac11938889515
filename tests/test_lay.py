"""Words on notes that were not written for them: in order, all of both, and what did not fit is told."""

import numpy as np
import pytest

from autosing.errors import InputError
from autosing.score.hummed import notes_of_melody
from autosing.score.lay import laid, melody_of_notes
from autosing.score.score import Note, Score


def melody(*spans: tuple[float, float]) -> Score:
    notes = [Note(start_s=start, end_s=end, midi=60 + k) for k, (start, end) in enumerate(spans)]
    return melody_of_notes(notes, spans[-1][1] + 0.5 if spans else 1.0)


def even(count: int, length_s: float = 0.4, rests: tuple[int, ...] = ()) -> Score:
    """Notes without gaps, half a second of rest before those in `rests`."""
    at, spans = 0.0, []
    for k in range(count):
        at += 0.5 if k in rests else 0.0
        spans.append((at, at + length_s))
        at += length_s
    return melody(*spans)


def test_as_many_syllables_as_notes_are_laid_one_by_one():
    found = laid(["river of gold"], "en", even(4))
    assert [note.syllable for note in found.score.notes] == [0, 1, 2, 3] and not found.remarks
    assert [note.midi for note in found.score.notes] == [60, 61, 62, 63]
    assert [word.text for word in found.score.words] == ["river", "of", "gold"] and found.score.phones


def test_spare_notes_are_held_at_the_ends_of_lines_and_never_over_a_rest():
    found = laid(["go home", "now"], "en", even(5, rests=(3,)))
    held = [note.syllable for note in found.score.notes]
    assert held == [0, 1, 1, 2, 2], "both lines keep to their phrase"
    assert found.remarks == ("held over several notes: home, now",)


def test_spare_syllables_share_the_long_note_and_its_time():
    found = laid(["one two three"], "en", melody((0.0, 0.15), (0.15, 1.35)))
    notes = found.score.notes
    assert [note.syllable for note in notes] == [0, 1, 2] and [note.midi for note in notes] == [60, 61, 61]
    assert notes[1].end_s == pytest.approx(0.75) and notes[2].end_s == pytest.approx(1.35)
    assert found.remarks == ("sung on one note: two three",)


def test_words_begin_after_rests():
    """Five syllables on six notes with a rest before the third note: the rest falls between words."""
    found = laid(["happy again now"], "en", even(6, rests=(2,)))
    score = found.score
    after = score.notes[2].syllable
    assert score.syllables[after].word != score.syllables[after - 1].word


@pytest.mark.parametrize(("words", "notes"), [(1, 30), (30, 1), (7, 5), (5, 7), (12, 12)])
def test_nothing_is_lost_whatever_the_numbers(words, notes):
    whole = even(notes, length_s=3.0)
    found = laid([" ".join(["la"] * words)], "en", whole)
    score = found.score
    assert [word.text for word in score.words] == ["la"] * words
    assert {note.syllable for note in score.notes} == set(range(words))
    sung_s = sum(note.duration_s for note in score.notes)
    assert sung_s == pytest.approx(sum(note.duration_s for note in whole.notes))
    assert bool(found.remarks) == (words != notes)


def test_no_notes_and_no_words_are_refused():
    with pytest.raises(InputError, match="no note in it"):
        laid(["la"], "en", melody_of_notes([], 1.0))
    with pytest.raises(InputError, match="--lyrics"):
        laid(["..."], "en", even(2))


def test_a_hummed_melody_has_its_notes():
    """Three pitches, the second twice with a breath between; a blip of 20 ms is no note."""
    hz = [440 * 2 ** ((midi - 69) / 12) for midi in (60, 64, 62)]
    f0 = np.concatenate([
        np.full(40, hz[0]), np.full(50, hz[1]), np.zeros(15), np.full(45, hz[1]), np.full(60, hz[2]), np.zeros(20),
        np.full(2, 300.0), np.zeros(10),
    ]).astype(np.float32)  # fmt: skip
    notes = notes_of_melody(f0)
    assert [round(note.midi) for note in notes] == [60, 64, 64, 62]
    starts = [note.start_s for note in notes]
    assert starts == pytest.approx([0.0, 0.4, 1.05, 1.5], abs=0.04)
    assert notes_of_melody(np.zeros(100, np.float32)) == []
