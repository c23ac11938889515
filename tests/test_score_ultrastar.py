"""UltraStar <-> score."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.errors import InputError
from autosing.score.formats.options import ReadOptions
from autosing.score.formats.ultrastar import parse_ultrastar, read_ultrastar, write_ultrastar
from autosing.score.score import Note, Score
from autosing.score.tempo import Tempo, TempoMap
from support.scores import star_score


def read(tmp_path, text, encoding="utf-8", **options):
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    return read_ultrastar(tmp_path / "a.txt", ReadOptions(**options))


def test_the_unit_is_a_quarter_of_a_beat_and_pitch_0_is_c4(tmp_path):
    score = read(tmp_path, "#TITLE:x\n#BPM:120\n#GAP:500\n: 0 10 0 la\n* 12 4 -12 lo\nE\n").score
    assert [(n.start_s, n.end_s, n.midi) for n in score.notes] == [(0.5, 1.75, 60), (2.0, 2.5, 48)]


def test_commas_gaps_below_0_and_changes_of_tempo_are_as_given(tmp_path):
    score = read(tmp_path, "#BPM:120,5\n#GAP:-250,5\nB 4 241\n: 0 4 0 a\n: 4 8 0 b\nE\n").score
    quarter = 60 / 120.5
    assert score.notes[0].start_s == pytest.approx(-0.2505) and score.notes[1].start_s == pytest.approx(
        quarter - 0.2505
    )
    assert score.notes[1].end_s == pytest.approx(2 * quarter - 0.2505)


def test_spaces_before_or_behind_part_words_and_a_tilde_holds(tmp_path):
    head = "#LANGUAGE:English\n#BPM:120\n"
    rows = [
        ": 0 2 0 Hel",
        ": 2 2 2 lo ",
        ": 4 2 2 my",
        ": 6 2 4 ~ ",
        ": 8 2 4 ni",
        ": 10 2 5 ~ght",
        "- 12",
        ": 12 2 0 so",
    ]
    score = read(tmp_path, head + "\n".join(rows) + "\nE\n").score
    assert [(w.text, w.line, w.language) for w in score.words] == [
        ("Hello", 0, "en"), ("my", 0, "en"), ("night", 0, "en"), ("so", 1, "en"),
    ]  # fmt: skip
    assert score.slurs == (False, False, False, True, False, True, False)
    before = read(tmp_path, head + ": 0 2 0 Hel\n: 2 2 0 lo\n: 4 2 0  my\n: 6 2 0  own\nE\n").score
    assert [w.text for w in before.words] == ["Hello", "my", "own"]


def test_rap_and_freestyle_are_spoken(tmp_path):
    score = read(tmp_path, "#BPM:120\n: 0 2 3 a\nF 2 2 3  b\nR 4 2 3  c\nG 6 2 3  d\nE\n").score
    assert [n.midi for n in score.notes] == [63, None, None, None]


def test_relative_beats_start_anew_in_each_line(tmp_path):
    score = read(tmp_path, "#RELATIVE:YES\n#BPM:60\n: 0 4 0 a\n- 6 8\n: 0 4 0 b\n- 8\n: 2 2 0 c\nE\n").score
    assert [n.start_s for n in score.notes] == [0.0, 2.0, 4.5]


def test_of_a_duet_one_singer_is_taken_by_name_and_what_both_sing_is_hers_too(tmp_path):
    text = "#BPM:60\n#P1:Ann\n#P2:Bob\nP1\n: 0 4 0 a\n: 4 4 0  b\nP2\n: 0 4 7 c\nP3\n: 8 4 3 d\nE\n"
    found = read(tmp_path, text)
    assert [n.midi for n in found.score.notes] == [60, 60, 63] and "Ann is sung" in found.remarks[0]
    assert [n.midi for n in read(tmp_path, text, track="bob").score.notes] == [67, 63]
    with pytest.raises(InputError, match="no singer 'Eve'; there are 1 Ann"):
        read(tmp_path, text, track="Eve")


def test_old_encodings_are_read_and_told(tmp_path):
    found = read(tmp_path, "#TITLE:Für\n#BPM:100\n: 0 4 0 schö\n: 4 4 0 ne \n: 8 4 0 Grüße\nE\n" * 1, "cp1252")
    assert [w.text for w in found.score.words] == ["schöne", "Grüße"] and "guess" in found.remarks[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("la la la\n", "not readable as an UltraStar file"),
        ("#TITLE:x\n: 0 4 0 la\nE\n", "#BPM is None"),
        ("#BPM:fast\n: 0 4 0 la\nE\n", "#BPM is 'fast'"),
        ("#BPM:0\n: 0 4 0 la\nE\n", "above 0"),
        ("#BPM:120\n: 0 8 0 la\n: 2 8 4  lo\nE\n", "two notes at once at bar 1"),
    ],
)
def test_what_cannot_be_sung_is_refused(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read(tmp_path, text)


def test_words_come_back_by_line():
    found = parse_ultrastar("#BPM:1\n#ARTIST:A\n: 0 1 0 Hel\n: 1 1 0 lo\n- 2\n: 2 1 0 you \n: 3 1 0 two\nE\n")
    assert found.text == "Hello\nyou two" and found.tags["artist"] == "A"
    assert parse_ultrastar("plain words\n#not: a tag first") is None


def test_a_score_comes_back(tmp_path):
    write_ultrastar(star_score(), tmp_path / "a.txt", "Stars", "Me")
    again = read_ultrastar(tmp_path / "a.txt").score
    before = star_score()
    assert [(w.text, w.line, w.language) for w in again.words] == [("sister", 0, "en"), ("stars", 1, "en")]
    assert again.slurs == before.slurs
    assert [n.start_s for n in again.notes] == pytest.approx([n.start_s for n in before.notes], abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(0.05, 3), st.integers(0, 127)), min_size=1, max_size=12),
    st.floats(30, 300),
)
def test_any_times_come_back_within_a_millisecond(tmp_path_factory, notes, bpm):
    at, made = 0.0, []
    for gap, length, pitch in notes:
        made.append(Note(start_s=at + gap, end_s=at + gap + length, midi=pitch))
        at += gap + length
    score = Score(duration_s=at, tempo=TempoMap(tempos=(Tempo(beat=0, bpm=bpm),)), notes=tuple(made))
    path = tmp_path_factory.mktemp("us") / "a.txt"
    write_ultrastar(score, path)
    again = read_ultrastar(path).score
    for one, other in zip(score.notes, again.notes, strict=True):
        assert abs(one.start_s - other.start_s) <= 1e-3 and abs(one.end_s - other.end_s) <= 1e-3 + 1e-9
        assert one.midi == other.midi
