"""Words that are sung -> text: joined by one rule wherever text is made of them, without marks that nobody sings."""

import pytest

from autosing.schemas.tables import Line, Word
from autosing.text.letters import letters
from autosing.text.lrc import LrcLine, LrcWord, parse_lrc, write_lrc
from autosing.text.normalize import join_words, words_of
from autosing.text.tokenizer import TimedText, decode
from processing.alignment.lyrics import read_lyrics
from processing.importer.facts import facts_of
from processing.stages.segment import rebase

MIXED = ["I love you 我爱你", "夜に Love, 咲く", "별이 Love 지는", "月亮照着小河，我", "oh yeah！我"]


def timed(line: str) -> tuple[list[Line], list[Word]]:
    """Its words, each a second long, and a word before them that is cut away."""
    words = [Word("cut", 0.0, 1.0, 1.0, 0), *(Word(w, 1.0 + k, 2.0 + k, 1.0, 0) for k, w in enumerate(words_of(line)))]
    return [Line(f"cut {line}", 0.0, words[-1].end_s, 1.0, True)], words


@pytest.mark.parametrize("line", MIXED)
def test_words_are_joined_alike_wherever_text_is_made_of_them(line):
    lines, words = timed(line)
    end_s = words[-1].end_s
    assert join_words(words_of(line)) == line
    assert [found.text for found in rebase(lines, words, 0.5, end_s)[0]] == [line]
    assert decode(TimedText.of_words(words[1:]).encode()[0]) == line.lower()
    assert facts_of({"words": [{"word": word.text} for word in words[1:]]}).raw_lyrics == line
    stamped = LrcLine(line, 1.0, tuple(LrcWord(word.text, word.start_s) for word in words[1:]))
    assert [found.text for found in parse_lrc(write_lrc([stamped])).lines] == [line]


@pytest.mark.parametrize(
    ("lrc", "words", "starts_s"),
    [
        ("<00:01.00>one <00:01.50>♪ <00:02.00>two", ("one", "two"), (1.0, 2.0)),
        ("<00:00.50>♪ <00:01.00>one <00:02.00>two", ("one", "two"), (1.0, 2.0)),
        ("<00:01.00>one <00:02.00>two <00:03.00>♪", ("one", "two"), (1.0, 2.0)),
        ("<00:01.00>我<00:01.50>♪<00:02.00>爱", ("我♪", "爱"), (1.0, 2.0)),
        ("<00:01.00>oh<00:02.00>...<00:03.00>yes", ("oh...yes",), (1.0,)),
        ("<00:01.00>soo<00:01.50>~<00:02.00>n <00:03.00>now", ("soon", "now"), (1.0, 3.0)),
    ],
)
def test_a_stamp_without_a_word_costs_the_others_nothing(lrc, words, starts_s):
    (line,) = read_lyrics(f"[00:00.50]{lrc}", None)[0][0].sung
    assert (line.words, line.word_starts_s) == (words, starts_s)


def test_stamps_of_other_words_are_of_no_use():
    first, second = read_lyrics("[00:01.00]a\n[00:02.00]one two <00:03.00>", None)[0][0].sung
    assert first.word_starts_s == () and second.words == ("one", "two")


HELD = [
    ("soo~n", "soon"), ("I~~'m", "I'm"), ("so〜 long～", "so long"), ("~ la ~", "la"), ("あ～あ", "ああ"),
    ("夜〰", "夜"), ("soooon", "soooon"), ("10~20 miles", "10~20 miles"), ("well—you", "well—you"), ("co-op", "co-op"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "sung"), HELD)
def test_marks_of_a_held_note_are_no_text_and_stretched_letters_are(written, sung):
    assert words_of(written) == words_of(sung)
    assert [letters(word) for word in words_of(written)] == [letters(word) for word in words_of(sung)]
    for lrc, raw in ((f"[00:01.00]{written}", None), (None, written)):
        (line,) = read_lyrics(lrc, raw)[0][0].sung
        assert (line.text, line.words) == (sung, tuple(words_of(sung)))
    lines = [Line(written, 0.0, 1.0, 1.0, True)]
    for text in (TimedText.plain(written), TimedText.of_lines(lines)):
        assert decode(text.encode()[0]) == join_words(words_of(sung)).lower()


def test_words_of_older_tables_lose_their_marks_on_the_way_into_a_model():
    words = [Word("soo~n", 0.0, 1.0, 1.0, 0), Word("～", 1.0, 2.0, 1.0, 0), Word("now", 2.0, 3.0, 1.0, 0)]
    assert decode(TimedText.of_words(words).encode()[0]) == "soon now"
