"""Phones laid into words and notes found in f0, on made signals whose truth is known."""

import numpy as np
import pytest

from autosing.alignment.phones import PlacingConfig, WordSpan, place
from autosing.models.phone_classes import PhoneClasses, class_scores, mel_frames
from autosing.score.notes import NotesConfig, SyllableSpan, agreement, transcribe_notes, with_notes
from autosing.score.phones import inventory
from autosing.score.score import Note, Score
from autosing.score.sounds import CLASSES, class_of
from autosing.score.timing import with_times
from support.scores import star_score


def spans_of(score: Score, shift_s: float = 0.0) -> list[WordSpan]:
    by_word: dict[int, list[float]] = {}
    for phone in score.phones:
        by_word.setdefault(score.syllables[phone.syllable].word, []).extend((phone.start_s, phone.end_s))
    return [WordSpan(min(times) + shift_s, max(times) + shift_s) for times in by_word.values()]


def heard(score: Score, certainty: float = 3.0, seed: int = 0) -> np.ndarray:
    """Class scores as a good classifier would give them, with noise."""
    score_TC = np.random.default_rng(seed).normal(-certainty, 1, (int(score.duration_s * 100) + 1, len(CLASSES)))
    truth_T = np.zeros(len(score_TC), int)
    for phone in score.phones:
        truth_T[round(phone.start_s * 100) : round(phone.end_s * 100)] = class_of()[phone.symbol]
    score_TC[np.arange(len(score_TC)), truth_T] += 2 * certainty
    return score_TC


@pytest.mark.parametrize("shift_s", [0.0, 0.05, -0.05])
def test_phones_are_found_where_they_sound_though_words_are_off(shift_s):
    truth = with_times(star_score(), [0.0 if p.place == "nucleus" else 0.12 for p in star_score().phones])
    found = place(star_score(), spans_of(truth, shift_s), heard(truth), PlacingConfig())
    for one, other in zip(truth.phones, found.phones, strict=True):
        assert (other.start_s, other.end_s) == pytest.approx((one.start_s, one.end_s), abs=0.015), one.symbol


def test_without_a_hint_phones_share_a_word_by_their_usual_lengths():
    truth = with_times(star_score())
    nothing_TC = np.zeros((401, len(CLASSES)))
    found = place(star_score(), spans_of(truth), nothing_TC, PlacingConfig())
    assert found.timed
    for phone in found.phones:
        assert phone.end_s - phone.start_s >= (0.05 if phone.place == "nucleus" else 0.01)
    assert found.phones[0].start_s == pytest.approx(truth.phones[0].start_s, abs=0.1)


def test_every_phone_has_a_class_and_frames_lie_around_their_time():
    assert set(class_of()) == set(inventory()) and class_of()["<rest>"] == 0
    click_S = np.zeros(16_000)
    click_S[8_000] = 1.0
    assert int(mel_frames(click_S).sum(axis=1).argmax()) == 50 and len(mel_frames(click_S)) == 101


def f0_of(notes, duration_s, vibrato_cents=0.0, gap_s=0.0) -> np.ndarray:
    """(start, end, midi) -> f0 at 100 Hz, with vibrato, unvoiced for `gap_s` before each note."""
    time_T = np.arange(int(duration_s * 100)) / 100
    f0_T = np.zeros(len(time_T))
    for start_s, end_s, midi in notes:
        inside = (time_T >= start_s) & (time_T < end_s - gap_s)
        cents_T = vibrato_cents * np.sin(2 * np.pi * 5.5 * time_T)
        f0_T[inside] = 440 * 2 ** ((midi + cents_T[inside] / 100 - 69) / 12)
    return f0_T


MELODY = [(0.5, 1.0, 60.0), (1.0, 1.5, 62.0), (2.0, 3.0, 64.0), (3.0, 3.5, 65.0)]
SYLLABLES = [SyllableSpan(0.4, 0.5, 0.94), SyllableSpan(0.94, 1.0, 1.5), SyllableSpan(1.9, 2.0, 3.5)]


def assert_melody(notes, melody, slack_s=0.03):
    assert [n.midi for n in notes] == pytest.approx([midi for *_, midi in melody], abs=0.06)
    for note, (start_s, end_s, _) in zip(notes, melody, strict=True):
        assert note.start_s == pytest.approx(start_s, abs=slack_s) and note.end_s == pytest.approx(end_s, abs=0.07)


def test_notes_begin_with_their_vowels_and_a_move_within_a_syllable_is_a_slur():
    notes = transcribe_notes(f0_of(MELODY, 4, gap_s=0.06), SYLLABLES, NotesConfig())
    assert_melody(notes, MELODY, 0.07)
    assert [n.syllable for n in notes] == [0, 1, 2, 2]


def test_vibrato_scoops_and_octave_errors_are_no_notes():
    f0_T = f0_of(MELODY, 4, vibrato_cents=45)
    f0_T[200:206] = 440 * 2 ** ((np.linspace(62.2, 63.8, 6) - 69) / 12)  # scooped into
    f0_T[130:133] *= 2
    assert_melody(transcribe_notes(f0_T, SYLLABLES, NotesConfig()), MELODY)


def test_two_syllables_on_one_pitch_are_two_notes():
    melody = [(0.5, 1.0, 60.0), (1.0, 1.5, 60.0)]
    notes = transcribe_notes(f0_of(melody, 2, gap_s=0.05), SYLLABLES[:2], NotesConfig())
    assert_melody(notes, melody)


def test_a_voice_between_two_tunings_keeps_its_own():
    notes = transcribe_notes(f0_of([(a, b, m + 0.35) for a, b, m in MELODY], 4), SYLLABLES, NotesConfig())
    assert [n.midi for n in notes] == pytest.approx([60.35, 62.35, 64.35, 65.35], abs=0.05)
    exact = transcribe_notes(f0_of([(a, b, m + 0.05) for a, b, m in MELODY], 4), SYLLABLES, NotesConfig())
    assert [n.midi for n in exact] == [60, 62, 64, 65]


def test_what_is_never_voiced_is_spoken():
    notes = transcribe_notes(np.zeros(400), SYLLABLES, NotesConfig())
    assert [n.midi for n in notes] == [None, None, None] and notes[0].start_s == 0.5


def test_notes_of_a_score_belong_to_its_syllables():
    score = with_notes(with_times(star_score()), f0_of(MELODY, 4), NotesConfig())
    assert_melody(score.notes, MELODY)
    assert score.slurs == (False, False, False, True)


def test_agreement_counts_any_octave_and_nothing_else():
    score = Score(duration_s=4, notes=tuple(Note(start_s=a, end_s=b, midi=m) for a, b, m in MELODY))
    assert agreement(score, f0_of(MELODY, 4)) == 1 and agreement(score, f0_of(MELODY, 4) * 2) == 1
    assert agreement(score, f0_of([(a, b, m + 5) for a, b, m in MELODY], 4)) == 0
    assert agreement(score, np.zeros(400)) == 1


def test_a_class_that_training_hardly_had_says_nothing():
    share_C = np.full(len(CLASSES), 1 / len(CLASSES))
    share_C[CLASSES.index("apical")] = 1e-5
    samples_S = np.random.default_rng(0).standard_normal(4_000).astype(np.float32)
    score_TC = class_scores(PhoneClasses().eval(), np.log(share_C), samples_S)
    said_C = np.abs(score_TC).max(axis=0) > 0
    assert [name for name, said in zip(CLASSES, said_C, strict=True) if not said] == ["apical"]
