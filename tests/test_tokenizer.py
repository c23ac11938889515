"""Lyrics and their times -> bytes: which words a window holds, and when each byte's word begins."""

import numpy as np
import pytest

from autosing.schemas.tables import Line, Word
from autosing.text.normalize import words_of
from autosing.text.tokenizer import EOT, UNTIMED, TimedText, decode

WORDS = [
    Word("Sing", 1.0, 1.4, 1, 0), Word("the", 1.5, 1.8, 1, 0), Word("moon", 2.0, 2.9, 1, 0),
    Word("down", 3.5, 4.0, 1, 1),
]  # fmt: skip
LINES = [Line("Sing the moon", 1.0, 2.9, 1, True), Line("down", 3.5, 4.0, 1, True)]


def times_of(text: TimedText) -> dict[str, list[float]]:
    """Each word's byte times, by splitting the bytes again."""
    ids_L, time_L = text.encode()
    assert ids_L[-1] == EOT and len(ids_L) == len(time_L)
    found, start = {}, 0
    for word in decode(ids_L).replace("\n", " ").split(" "):
        found[word] = time_L[start : start + len(word.encode())].tolist()
        start += len(word.encode()) + 1
    return found


def test_every_byte_has_the_start_of_its_word_or_line_or_nothing():
    text = TimedText.of_words(WORDS, LINES)
    assert decode(text.encode()[0]) == "sing the moon\ndown"
    assert times_of(text) == {"sing": [1.0] * 4, "the": [1.5] * 3, "moon": [2.0] * 4, "down": [3.5] * 4}
    assert times_of(text.at("line")) == {"sing": [1.0] * 4, "the": [1.0] * 3, "moon": [1.0] * 4, "down": [3.5] * 4}
    assert set(text.at("none").encode()[1]) == {UNTIMED}
    assert text.at("line").at("word").level == "line", "what was forgotten does not come back"


def test_words_cut_by_a_windows_edge_are_not_in_it():
    text = TimedText.of_words(WORDS, LINES).window(1.2, 3.9)
    assert decode(text.encode()[0]) == "the moon"
    assert times_of(text) == {"the": pytest.approx([0.3] * 3), "moon": pytest.approx([0.8] * 4)}
    assert times_of(text.at("line"))["moon"] == pytest.approx([0.3] * 4), "a line begins with its first word inside"
    assert len(TimedText.of_words(WORDS, LINES).window(9, 12).encode()[0]) == 1


def test_lines_of_an_lrc_tell_their_start_alone():
    text = TimedText.of_lines(LINES)
    assert times_of(text) == {"sing": [1.0] * 4, "the": [1.0] * 3, "moon": [1.0] * 4, "down": [3.5] * 4}
    assert decode(text.window(1.7, 4.0).encode()[0]) == "moon\ndown", "the words of a line are spread over it"


def test_of_a_line_that_does_not_fit_words_are_kept_and_times_not_told():
    lines = [Line("Sing the moon", 1.0, 2.9, 0.1, False), LINES[1]]
    times = times_of(TimedText.of_words(WORDS, lines))
    assert times["moon"] == [UNTIMED] * 4 and times["down"] == [3.5] * 4


@pytest.mark.parametrize(
    "line",
    ["Hello,  world - don't!", "月亮照着小河，我", "별이 지는 ♪ 밤에", "ギターを Love", "[Chorus]", "Verse 2:", "♪ 21"],
)
def test_a_line_is_the_same_bytes_whether_learned_word_by_word_or_asked_for_as_text(line):
    words = [Word(text, k, k + 1, 1, 0) for k, text in enumerate(words_of(line))]
    learned = TimedText.of_words(words).encode()[0].tolist()
    assert TimedText.of_lines([Line(line, 0.0, 9.0, 1, True)]).encode()[0].tolist() == learned
    assert TimedText.plain(line).encode()[0].tolist() == learned


def test_plain_text_keeps_its_lines_and_its_script():
    text = TimedText.plain("별 하나\n\n  月 亮 代表\r\nHÉ")
    assert decode(text.encode()[0]) == "별 하나\n月亮代表\nhé", (
        "no spaces between Chinese characters, with them in Korean"
    )
    spread = text.spread(10.0)
    assert [word.start_s for word in spread.words] == sorted(word.start_s for word in spread.words)
    assert spread.words[-1].end_s == pytest.approx(10.0)
    assert set(spread.encode()[1]) == {UNTIMED}, "a guessed time is never told"
    assert np.array_equal(spread.encode()[0], text.encode()[0])
    assert TimedText.plain(" \n ").encode()[0].tolist() == [EOT]
