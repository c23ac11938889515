"""Lyrics as text: LRC in all its forms, words of a line in any script, the letters that a word sounds like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosing.text.letters import letters
from autosing.text.lrc import LrcLine, LrcWord, parse_lrc, write_lrc
from autosing.text.normalize import join_words, lines_of, main_script, words_of, written_in


@pytest.mark.parametrize(
    ("text", "starts_s"),
    [
        ("[01:02]a", [62.0]),
        ("[01:02.5]a", [62.5]),
        ("[01:02.05]a", [62.05]),
        ("[01:02.005]a", [62.005]),
        ("[01:02,50]a", [62.5]),
        ("[01:02:50]a", [62.5]),
        ("[1:00:02.50]a", [3602.5]),
        ("[123:01.00]a", [7381.0]),
        ("[00:01.00][00:09.00]a", [1.0, 9.0]),
        ("\ufeff[00:01.00]a\r\n[00:02.00]b\r\n", [1.0, 2.0]),
        ("[00:02.00]b\n[00:01.00]a", [1.0, 2.0]),
        ("[offset:+500]\n[00:01.00]a", [0.5]),
        ("[offset:-500]\n[00:01.00]a", [1.5]),
        ("[offset:soon]\n[00:01.00]a", [1.0]),
        ("[ar:Someone]\n[00:01.00]a", [1.0]),
        ("a line\nwithout stamps", [None, None]),
        ("[00:01.00]a\nits second half\n[00:05.00]b", [1.0, None, 5.0]),
        ("", []),
    ],
)
def test_every_form_of_stamp_is_read(text, starts_s):
    assert [line.start_s for line in parse_lrc(text).lines] == pytest.approx(starts_s)


def test_tags_are_kept_and_headings_are_text():
    lrc = parse_lrc("[ti:Rain]\n[by:me]\n[Chorus]\n[00:01.00]a")
    assert lrc.tags == {"ti": "Rain", "by": "me"}
    assert [line.text for line in lrc.lines] == ["[Chorus]", "a"]


def test_word_stamps_give_words_and_their_line_moves_them_when_it_is_repeated():
    first, second = parse_lrc("[00:10.00][00:30.00]oh <00:10.50>so<00:10.75>ftly <00:11.00>now <00:12.00>").lines
    assert first.text == "oh softly now"
    assert first.words == (LrcWord("oh", 10.0), LrcWord("softly", 10.5), LrcWord("now", 11.0))
    assert first.end_s == 12.0
    assert [word.start_s for word in second.words] == [30.0, 30.5, 31.0]


_line = st.text(st.characters(categories=("L",), max_codepoint=0x2FFF), min_size=1, max_size=12)
_time = st.integers(0, 60 * 60 * 100).map(lambda hundredths: hundredths / 100)


@given(st.lists(st.tuples(_time, _line), max_size=8, unique_by=lambda pair: pair[0]))
def test_what_is_written_is_read_again(pairs):
    lines = tuple(LrcLine(text, start_s) for start_s, text in sorted(pairs))
    assert parse_lrc(write_lrc(lines)).lines == lines


def test_a_second_never_has_sixty_seconds():
    assert write_lrc([LrcLine("a", 59.999)]) == "[01:00.00]a\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Hello,  world - don't", ["Hello,", "world", "don't"]),
        ("月亮照着小河，我", ["月", "亮", "照", "着", "小", "河，", "我"]),
        ("별이 지는 밤에", ["별이", "지는", "밤에"]),
        ("ギターを Love", ["ギ", "ター", "を", "Love"]),
        ("[Chorus]", []),
        ("Verse 2:", []),
        ("♪ ♪", []),
    ],
)
def test_words_of_a_line(line, words):
    assert words_of(line) == words


def test_words_join_into_the_line_they_came_from():
    for line in ("Hello, world", "月亮照着小河，我", "별이 지는 밤에"):
        assert join_words(words_of(line)) == line


def test_blank_lines_are_no_lines():
    assert lines_of(" a  b \r\n\r\n\tc\n") == ["a b", "c"]


@pytest.mark.parametrize(
    ("word", "sound"),
    [
        ("Extraña!", "extrana"), ("Straße", "strasse"), ("çağrı", "cagri"), ("걸어", "geoleo"), ("月亮", "yueliang"),
        ("привет", "privet"), ("Ελλάδα", "ellada"), ("ギター", "gitaa"), ("21", "??"), ("—", ""),
    ],
)  # fmt: skip
def test_any_script_has_letters(word, sound):
    assert letters(word) == sound


def test_an_alphabet_tells_which_languages_it_can_be():
    assert main_script("привет, мир!") == "CYRILLIC"
    assert main_script("12 - 3") is None
    assert written_in("ru", "CYRILLIC")
    assert written_in("ko", "LATIN")
    assert not written_in("en", "CYRILLIC")
