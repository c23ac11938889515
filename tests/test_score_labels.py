"""TextGrid, LAB, DiffSinger's .ds and transcriptions.csv <-> score."""

import csv
import json

import pytest

from autosing.errors import InputError
from autosing.score.alphabets import alphabet_of, phones_of_sign
from autosing.score.formats.diffsinger import (
    read_ds,
    read_phrases,
    read_transcriptions,
    write_ds,
    write_transcriptions,
)
from autosing.score.formats.lab import read_lab, read_labels, write_lab
from autosing.score.formats.labels import Label, midi_of, name_of
from autosing.score.formats.options import ReadOptions
from autosing.score.formats.textgrid import read_textgrid, write_textgrid
from autosing.score.score import Breath, Score
from autosing.score.syllabify import syllabify
from autosing.score.timing import with_times
from support.scores import star_score


def timed() -> Score:
    return with_times(star_score()).replace(breaths=(Breath(start_s=1.6, end_s=1.8),))


def assert_alike(again: Score, before: Score, slack_s: float) -> None:
    assert [(p.symbol, p.place) for p in again.phones] == [(p.symbol, p.place) for p in before.phones]
    for one, other in zip(before.phones, again.phones, strict=True):
        assert (other.start_s, other.end_s) == pytest.approx((one.start_s, one.end_s), abs=slack_s)
    assert again.duration_s == pytest.approx(before.duration_s, abs=slack_s)
    assert [(b.start_s, b.end_s) for b in again.breaths] == [pytest.approx((1.6, 1.8), abs=slack_s)]


def assert_notes_alike(again: Score, before: Score, slack_s: float) -> None:
    assert again.slurs == before.slurs
    for one, other in zip(before.notes, again.notes, strict=True):
        assert (other.start_s, other.end_s) == pytest.approx((one.start_s, one.end_s), abs=slack_s)
        assert (other.midi, other.syllable) == (pytest.approx(one.midi), one.syllable)


def test_a_textgrid_keeps_words_phones_and_notes(tmp_path):
    write_textgrid(timed(), tmp_path / "a.TextGrid")
    again = read_textgrid(tmp_path / "a.TextGrid", ReadOptions(language="en")).score
    assert_alike(again, timed(), 1e-4)
    assert_notes_alike(again, timed(), 1e-4)
    assert [w.text for w in again.words] == ["sister", "stars"]


def test_a_lab_keeps_phones_to_100_ns(tmp_path):
    write_lab(timed(), tmp_path / "a.lab")
    assert (tmp_path / "a.lab").read_text().splitlines()[1].split()[2] == "s"
    assert_alike(read_lab(tmp_path / "a.lab").score, timed(), 1e-6)


def test_a_ds_keeps_phones_notes_and_slurs(tmp_path):
    write_ds(timed(), tmp_path / "a.ds")
    again = read_ds(tmp_path / "a.ds").score
    assert_alike(again, timed(), 1e-5)
    assert_notes_alike(again, timed(), 1e-5)
    (phrase,) = json.loads((tmp_path / "a.ds").read_text())
    assert sum(map(int, phrase["ph_num"].split())) == len(phrase["ph_seq"].split())


def test_transcriptions_keep_each_recording(tmp_path):
    write_transcriptions({"one": timed(), "two": timed()}, tmp_path / "transcriptions.csv")
    phrases = read_transcriptions(tmp_path / "transcriptions.csv")
    assert [phrase.name for phrase in phrases] == ["one", "two"]
    assert_notes_alike(phrases[1].score, timed(), 1e-5)
    with pytest.raises(InputError, match="columns a, b; need name, ph_seq"):
        (tmp_path / "b.csv").write_text("a,b\n1,2\n")
        read_transcriptions(tmp_path / "b.csv")


PHRASE = {
    "offset": 2.5, "text": "SP 小 星 SP", "ph_seq": "SP x iao x ing AP", "ph_dur": "0.4 0.1 0.5 0.1 0.6 0.3",
    "ph_num": "2 2 1 1", "note_seq": "rest C4 D#4/Eb4 E4+12 rest", "note_dur": "0.5 0.6 0.3 0.3 0.3",
    "note_slur": "0 0 0 1 0", "f0_seq": "100 110", "f0_timestep": "0.005",
}  # fmt: skip


def ds(tmp_path, *phrases):
    path = tmp_path / "a.ds"
    path.write_text(json.dumps(list(phrases)))
    return path


def test_a_phrase_of_an_opencpop_singer_is_read(tmp_path):
    score = read_ds(ds(tmp_path, PHRASE, PHRASE | {"offset": 6.0})).score
    first = score.phones[:6]
    assert [p.symbol for p in first] == ["ɕ", "j", "aʊ", "ɕ", "i", "ŋ"]
    assert first[1].start_s == pytest.approx(3.0) and first[2].end_s == pytest.approx(3.5)
    assert [n.midi for n in score.notes[:3]] == [60, 63, pytest.approx(64.12)]
    assert [n.syllable for n in score.notes] == [0, 1, 1, 2, 3, 3] and score.breaths[1].start_s == pytest.approx(7.7)
    (phrase, _) = read_phrases(ds(tmp_path, PHRASE, PHRASE))
    assert list(phrase.f0_hz) == [100, 110] and phrase.f0_step_s == 0.005


@pytest.mark.parametrize("slurs", ["0 0 0 0 0", "1 1 1 1 1", None])
def test_slurs_that_nobody_filled_in_are_found_by_time(tmp_path, slurs):
    score = read_ds(ds(tmp_path, PHRASE | {"note_slur": slurs})).score
    assert [n.syllable for n in score.notes] == [0, 1, 1]


def test_a_phrase_may_lack_notes(tmp_path):
    score = read_ds(ds(tmp_path, {k: v for k, v in PHRASE.items() if not k.startswith("note")})).score
    assert len(score.phones) == 6 and not score.notes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ph_dur": "0.4 0.1"}, "phrase 1: ph_dur is 2, ph_seq has 6"),
        ({"ph_num": "2 2 1"}, "sum of ph_num is 5, ph_seq has 6"),
        ({"note_dur": "1 2"}, "note_dur is 2, note_seq has 5"),
        ({"note_slur": "0"}, "note_slur is 1, note_seq has 5"),
        ({"note_seq": "rest H4 D4 E4 rest"}, "note_seq holds 'H4'"),
        ({"ph_dur": "0.4 0.1 0.5 0.1 0.6 x"}, "ph_dur holds"),
        ({"ph_dur": "0.4 0.1 0.5 0.1 0.6 -1"}, "below 0"),
        ({"ph_dur": None}, "no ph_dur"),
        ({"ph_seq": ""}, "no ph_seq"),
        ({"ph_seq": "SP x iao x qqq AP"}, "phones qqq: in none of"),
        ({"note_dur": "0.5 0.6 0.3 0.3 2.3"}, "ph_dur sums to 2.000 s, note_dur to 4.000 s"),
        ({"f0_timestep": None}, "f0_seq without f0_timestep"),
    ],
)
def test_what_does_not_fit_is_named_by_phrase_and_field(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        read_ds(ds(tmp_path, PHRASE | change))


def test_what_is_no_ds_is_refused(tmp_path):
    for text in ("[", "[]", "[1]", '"x"'):
        (tmp_path / "a.ds").write_text(text)
        with pytest.raises(InputError, match=r"a\.ds"):
            read_ds(tmp_path / "a.ds")


def test_labels_in_seconds_and_in_100_ns_are_told_apart(tmp_path):
    (tmp_path / "a.lab").write_text("0 5000000 pau\n5000000 7000000 k\n7000000 10000000 aa\n")
    assert read_labels(tmp_path / "a.lab")[1] == Label(0.5, 0.7, "k")
    (tmp_path / "b.lab").write_text("0.0\t0.5\tpau\n0.5\t1.0\tla la\n")
    assert read_labels(tmp_path / "b.lab")[1] == Label(0.5, 1.0, "la la")
    assert [p.symbol for p in read_lab(tmp_path / "a.lab").score.phones] == ["k", "ɑ"]
    for text, words in (("", "no line"), ("0 x a\n", "line 1"), ("0.0 0.9 a\n0.3 0.9 b\n", "line 2 goes back")):
        (tmp_path / "c.lab").write_text(text)
        with pytest.raises(InputError, match=words):
            read_labels(tmp_path / "c.lab")


def test_a_textgrid_without_known_tiers_or_damaged_is_refused(tmp_path):
    from praatio import textgrid

    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("stress", [(0, 1, "x")], 0, 1))
    grid.save(str(tmp_path / "a.TextGrid"), format="short_textgrid", includeBlankSpaces=True)
    with pytest.raises(InputError, match="no tier of words or phones \\(tiers: stress\\)"):
        read_textgrid(tmp_path / "a.TextGrid")
    (tmp_path / "b.TextGrid").write_text("no grid")
    with pytest.raises(InputError, match=r"b\.TextGrid"):
        read_textgrid(tmp_path / "b.TextGrid")


def test_a_phone_outside_of_all_words_is_named(tmp_path):
    from praatio import textgrid

    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("words", [(0, 1, "la")], 0, 3))
    grid.addTier(textgrid.IntervalTier("phones", [(0, 1, "a"), (2, 3, "a")], 0, 3))
    grid.save(str(tmp_path / "a.TextGrid"), format="long_textgrid", includeBlankSpaces=True)
    with pytest.raises(InputError, match=r"phone 'a' at 2\.000 s lies in no word"):
        read_textgrid(tmp_path / "a.TextGrid")


@pytest.mark.parametrize(
    ("name", "midi"),
    [("C4", 60), ("Bb3", 58), ("C#4/Db4", 61), ("A4+12", 69.12), ("rest", None), ("60", 60), ("C-1", 0), ("0", None)],
)
def test_notes_have_names(name, midi):
    assert midi_of(name) == (None if midi is None else pytest.approx(midi))
    assert midi_of(name_of(midi)) == (None if midi is None else pytest.approx(midi))


@pytest.mark.parametrize(
    ("signs", "language", "alphabet"),
    [
        ("SP zh ang AP", "und", "zh"), ("hh ah0 l ow1", "und", "en"), ("HH AH L OW", "und", "en"),
        ("ʈʂ ɑ ŋ", "und", "ipa"), ("k a N cl t o", "und", "ja"),
         ("s a", "ja", "ja"), ("s a", "zh", "zh"), ("zh/ang en/ah", "und", "ipa"),
        ("s i0 r ir", "und", "zh"),
    ],
)  # fmt: skip
def test_the_alphabet_of_labels_is_found(signs, language, alphabet):
    assert alphabet_of(signs.split(), language) == alphabet


def test_signs_become_phones():
    assert phones_of_sign("ang", "zh") == ["ɑ", "ŋ"] and phones_of_sign("en/ah0", "zh") == ["ʌ"]
    assert (
        phones_of_sign("i0", "zh") == ["ɿ"]
        and phones_of_sign("ky", "ja") == ["k", "j"]
        and phones_of_sign("SP", "ipa") == []
    )


@pytest.mark.parametrize(
    ("phones", "syllables"),
    [
        ("s ɪ s t ɚ", "s ɪ|s t ɚ"),
        ("ɛ k s t ɹ ə", "ɛ k|s t ɹ ə"),
        ("s ɪ ŋ ɪ ŋ", "s ɪ ŋ|ɪ ŋ"),
        ("ɑ t l ə s", "ɑ t|l ə s"),
        ("w ɔ t ɚ", "w ɔ|t ɚ"),
        ("m j u z ɪ k", "m j u|z ɪ k"),
        ("k ɑ n s t ə n t", "k ɑ n|s t ə n t"),
        ("h m", "h m"),
    ],
)
def test_syllables_begin_with_all_the_consonants_that_can(phones, syllables):
    found = syllabify(phones.split())
    assert "|".join(" ".join(s.symbols) for s in found) == syllables
    assert all(s.places.count("nucleus") == 1 for s in found)


def test_the_table_of_a_csv_with_commas_in_quotes_is_read(tmp_path):
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["name", "ph_seq", "ph_dur"], ["a,b", "l a", "0.1 0.4"]])
    assert read_transcriptions(tmp_path / "t.csv")[0].name == "a,b"
