"""A score: its laws, its JSON, the places of phones on notes, and what a model is told a frame."""

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import autosing.score
from autosing.errors import InputError
from autosing.score.change import joined
from autosing.score.cut import cut
from autosing.score.frames import frames
from autosing.score.made import score_of_truth
from autosing.score.phones import inventory, ipa_phones, phone_id
from autosing.score.score import Breath, Note, Phone, Score, Syllable, Word
from autosing.score.tempo import Meter, Tempo, TempoMap
from autosing.score.timing import usual_lengths_s, with_times
from support.scores import made_truth, star_score


def test_json_keeps_everything():
    score = with_times(star_score())
    again = Score.from_json(score.to_json())
    assert again == score and again.timed and again.to_json() == score.to_json()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{}", "duration_s"),
        ('{"duration_s": 1, "notes": [{"start_s": 1, "end_s": 0.5}]}', "before it starts"),
        ('{"duration_s": 3, "notes": [{"start_s": 0, "end_s": 1}, {"start_s": 0.5, "end_s": 2}]}', "notes overlap"),
        ('{"duration_s": 3, "notes": [{"start_s": 0, "end_s": 1, "syllable": 0}]}', "there are 0"),
        ('{"duration_s": 3, "notes": [{"start_s": NaN, "end_s": 1}]}', "finite"),
        ('{"duration_s": 3, "phonemes": []}', "phonemes"),
        ('{"duration_s": 3, "words": [{"text": "a"}], "syllables": [{"word": 0}], '
         '"phones": [{"symbol": "zz", "place": "nucleus", "syllable": 0}]}', "inventory"),
        ('{"duration_s": 3, "words": [{"text": "a"}], "syllables": [{"word": 0}], '
         '"phones": [{"symbol": "a", "place": "coda", "syllable": 0}]}', "one nucleus"),
        ("[" * 2000, "score"),
    ],
)  # fmt: skip
def test_what_is_no_score_is_refused_with_the_place(data, words):
    with pytest.raises(InputError, match=words):
        Score.from_json(data)


def test_times_that_are_rounded_to_the_tenth_of_a_millisecond_may_overlap_by_one():
    """22.6563 - 22.6562 is a little more than 0.0001 in binary."""
    notes = (Note(start_s=22.3958, end_s=22.6563, midi=66), Note(start_s=22.6562, end_s=23.0469, midi=63))
    assert Score(duration_s=30, notes=notes).notes == notes
    with pytest.raises(ValidationError, match="notes overlap"):
        Score(duration_s=30, notes=(notes[0], Note(start_s=22.6561, end_s=23, midi=63)))


def test_a_note_that_goes_on_with_its_syllable_is_a_slur_and_what_no_note_covers_is_rest():
    score = star_score()
    assert score.slurs == (False, False, False, True)
    assert score.rests == ((0.0, 0.5), (1.5, 2.0), (3.5, 4.0))
    assert [len(score.notes_of(k)) for k in range(3)] == [1, 1, 2]
    assert [[word.text for word in line] for line in score.lines] == [["sister"], ["stars"]]


def test_a_vowel_starts_with_its_note_and_consonants_borrow_from_before():
    score = with_times(star_score())
    for number in range(len(score.syllables)):
        (nucleus,) = (p for p in score.phones_of(number) if p.place == "nucleus")
        assert nucleus.start_s == pytest.approx(score.notes_of(number)[0].start_s, abs=1e-9)
        assert score.phones_of(number)[-1].end_s <= score.notes_of(number)[-1].end_s + 1e-9
    first, second = score.phones_of(0), score.phones_of(1)
    assert first[0].start_s < 0.5 and second[0].start_s < 1.0
    assert second[0].start_s == pytest.approx(first[-1].end_s)
    assert score.phones_of(2)[-1].end_s == pytest.approx(3.5)  # over both notes of the slur


def test_asked_lengths_are_kept_where_there_is_room_and_shrunk_alike_where_there_is_not():
    score = star_score()
    asked = [0.1 if length else 0.0 for length in usual_lengths_s(score.phones)]
    onset = [p for p in with_times(score, asked).phones_of(2) if p.place == "onset"]
    assert [p.end_s - p.start_s for p in onset] == pytest.approx([0.1, 0.1])
    fast = score.replace(notes=tuple(
        Note(start_s=n.start_s / 20, end_s=n.end_s / 20, midi=n.midi, syllable=n.syllable) for n in score.notes
    ))  # fmt: skip
    onset = [p for p in with_times(fast, asked).phones_of(1) if p.place == "onset"]
    assert sum(p.end_s - p.start_s for p in onset) == pytest.approx(0.5 * 0.025)
    assert onset[0].end_s - onset[0].start_s == pytest.approx(onset[-1].end_s - onset[-1].start_s)


def test_phones_without_a_note_cannot_be_placed():
    score = star_score()
    with pytest.raises(InputError, match=r"syllable 2 \('stars'\) has phones and no note"):
        with_times(score.replace(notes=score.notes[:2]))


def test_frames_say_phone_note_position_and_slur():
    score = with_times(star_score()).replace(breaths=(Breath(start_s=1.6, end_s=1.8),))
    told = frames(score, Fraction(100))
    assert len(told.phone_F) == 400
    symbols = list(inventory())
    assert [symbols[told.phone_F[f]] for f in (0, 101, 170, 220, 399)] == ["<rest>", "ɚ", "<breath>", "ɑ", "<rest>"]
    assert told.midi_F[60] == 60 and told.midi_F[120] == 62 and told.midi_F[350 - 1] == 65.5 and told.midi_F[10] == 0
    borrowed = 195
    assert symbols[told.phone_F[borrowed]] == "t" and told.midi_F[borrowed] == 64 and told.note_position_F[borrowed] < 0
    assert told.note_position_F[250] == pytest.approx(0.505, abs=1e-3) and told.note_s_F[250] == 1.0
    assert told.slur_F[310] and not told.slur_F[290] and not told.slur_F[10]
    assert set(np.unique(told.place_F)) == {0, 1, 2, 3} and told.language_F[220] == 1 and told.note_index_F[0] == -1


def test_frames_of_any_rate_cover_the_score_and_agree_with_the_times():
    score = with_times(star_score())
    for rate in (Fraction(24000, 256), Fraction(50), Fraction(441, 5)):
        told = frames(score, rate)
        assert len(told.phone_F) == -(-score.duration_s * rate // 1)
        for k, phone in enumerate(score.phones):
            inside = np.flatnonzero(told.phone_index_F == k)
            assert abs(len(inside) - float(rate) * (phone.end_s - phone.start_s)) <= 1
    with pytest.raises(InputError, match="place them first"):
        frames(star_score(), Fraction(50))


def test_beats_and_seconds_are_inverse_over_changes_of_tempo():
    tempo = TempoMap(
        first_beat_s=0.25,
        tempos=(Tempo(beat=0, bpm=120), Tempo(beat=4, bpm=60), Tempo(beat=5, bpm=90.5)),
        meters=(Meter(beat=0, numerator=6, denominator=8), Meter(beat=6, numerator=2, denominator=2)),
    )
    assert tempo.seconds(4) == 2.25 and tempo.seconds(5) == 3.25 and tempo.seconds(-1) == -0.25
    for time_s in np.linspace(-1, 20, 50):
        assert tempo.seconds(tempo.beats(time_s)) == pytest.approx(time_s, abs=1e-9)
    assert tempo.bar_and_beat(tempo.seconds(3.5)) == (2, 2.0) and tempo.bar_and_beat(tempo.seconds(6)) == (3, 1.0)


def test_ids_of_phones_are_those_of_yesterday():
    """Models keep ids: lines may be added at the end of the table, none may change."""
    table = Path(autosing.score.__file__).with_name("phones.tsv").read_text(encoding="utf-8").splitlines()
    assert hashlib.sha256("\n".join(table[:151]).encode()).hexdigest() == FIRST_150
    assert [phone.id for phone in inventory().values()] == list(range(len(inventory())))
    assert phone_id("<pad>") == 0 and phone_id("a") == 28


FIRST_150 = "5478f4df9e51653e01b878b36bc8cb5bc122f6ad0c5da1aebd73527fe31e3652"


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("ˈsɪstɚ", "s ɪ s t ɚ"),
        ("t͡ʃɝːt͡ʃ", "tʃ ɚ tʃ"),
        ("ʈ͡ʂʰu̯ɑŋ", "ʈʂʰ w ɑ ŋ"),
        ("ɔ̃ gɑ̃", "ɔ̃ ɡ ɑ̃"),
        ("ç", "ç"),
        ("k͈am̚", "k͈ a m"),
        ("haʊ2s", "h aʊ s"),
    ],
)
def test_ipa_is_read_by_its_longest_spellings(text, phones):
    assert ipa_phones(text) == phones.split()


def test_a_letter_that_is_no_phone_is_named():
    with pytest.raises(InputError, match="phone 'ʘ' in 'aʘ'"):
        ipa_phones("aʘ")
    assert ipa_phones("aʘ", unknown="drop") == ["a"]


def test_a_window_keeps_whole_words_and_the_place_of_beats():
    score = with_times(star_score())
    late = cut(score, 1.5, 4.0)
    assert [w.text for w in late.words] == ["stars"] and late.words[0].line == 0 and late.duration_s == 2.5
    assert [n.start_s for n in late.notes] == [0.5, 1.5] and late.slurs == (False, True)
    assert late.tempo.beats(0.5) == pytest.approx(score.tempo.beats(2.0))
    assert cut(score, 0.6, 1.9).words == ()
    whole = cut(score, 0, 4)
    assert whole.words == score.words and whole.notes == score.notes and whole == cut(whole, 0, 4)
    assert [p.start_s for p in whole.phones] == pytest.approx([p.start_s for p in score.phones], abs=1e-6)
    told, whole = frames(late, Fraction(30)), frames(score, Fraction(30))
    np.testing.assert_array_equal(told.phone_F, whole.phone_F[45:])
    np.testing.assert_array_equal(told.midi_F, whole.midi_F[45:])


def test_short_rests_within_a_line_are_sung_through_and_no_others():
    def score(**more: object) -> Score:
        spans = [(0.0, 0.2), (0.3, 0.5), (0.9, 1.0), (1.1, 1.2)]
        return Score(
            duration_s=2.0, words=tuple(Word(text="la", line=line) for line in (0, 0, 0, 1)),
            syllables=tuple(Syllable(word=k) for k in range(4)),
            notes=tuple(Note(start_s=a, end_s=b, midi=60, syllable=k) for k, (a, b) in enumerate(spans)), **more,
        )  # fmt: skip

    def ends(one: Score, longest_s: float) -> list[float]:
        return [note.end_s for note in joined(one, longest_s).notes]

    assert ends(score(), 0.1) == [0.3, 0.5, 1.0, 1.2], "not to the next line, and not over a longer rest"
    assert ends(score(), 0.5) == [0.3, 0.9, 1.0, 1.2]
    assert ends(score(), 0.0) == [0.2, 0.5, 1.0, 1.2]
    assert ends(score(breaths=(Breath(start_s=0.22, end_s=0.28),)), 0.5) == [0.2, 0.9, 1.0, 1.2]


def test_words_of_several_languages_stand_in_one_score():
    score = Score(
        duration_s=2,
        words=(Word(text="oh", language="en"), Word(text="별", language="ko")),
        syllables=(Syllable(word=0), Syllable(word=1)),
        phones=(
            Phone(symbol="oʊ", place="nucleus", syllable=0),
            Phone(symbol="p", place="onset", syllable=1),
            Phone(symbol="j", place="onset", syllable=1),
            Phone(symbol="ʌ", place="nucleus", syllable=1),
            Phone(symbol="l", place="coda", syllable=1),
        ),
        notes=(Note(start_s=0, end_s=1, midi=60, syllable=0), Note(start_s=1, end_s=2, midi=62, syllable=1)),
    )
    told = frames(with_times(score), Fraction(50))
    assert set(told.language_F) == {1, 3}


def test_the_truth_of_a_made_song_is_a_score_with_its_times():
    truth = made_truth(
        "ko", [("타", ["t", "h", "ɐ"], 2), ("왜", ["w", "e"], 1), ("돌", ["d", "o", "ɫ"], 1)],
    )  # fmt: skip
    score = score_of_truth(truth)
    assert [p.symbol for p in score.phones] == ["tʰ", "a", "w", "e", "t", "o", "l"]
    assert [p.place for p in score.phones] == ["onset", "nucleus"] * 3 + ["coda"]
    assert score.timed and score.phones[0].end_s == truth.phones[2].start_s == score.notes[0].start_s
    english = score_of_truth(made_truth("en", [("car", ["k", "ɑːɹ"], 1), ("fire", ["f", "aɪɚ"], 1)]))
    assert [p.symbol for p in english.phones] == ["k", "ɑ", "ɹ", "f", "aɪ", "ɚ"]
    assert english.phones[1].end_s - english.phones[1].start_s == pytest.approx(0.1 - 0.03)
    assert english.phones[2].end_s == pytest.approx(0.2)
    assert english.phones[5].place == "coda"
    natural = score_of_truth(made_truth("en", [("bird", ["b", "ɜ", "ɹ", "d"], 1)]))
    assert [p.symbol for p in natural.phones] == ["b", "ɚ", "d"] and natural.phones[1].end_s == pytest.approx(0.3)
