"""Lyrics as people give them become lines with times: theirs where they have them, by syllables where not."""

import itertools
import re
from pathlib import Path

import pytest

from autosing.errors import InputError
from autosing.text.lrc import parse_lrc
from inference.lyrics_plan import AskedLine, as_lrc, as_timed_text, lay_out, needed_s, read_lyrics, syllables, window


def test_syllables_are_counted_in_several_scripts() -> None:
    lines = ("golden river", "별이 지는", "月亮照着", "rhythm", "зима", "... 42 !", "1, 2, 3, 4", "U2", "♪ !")
    assert [syllables(text) for text in lines] == [4, 4, 4, 1, 2, 2, 4, 2, 0]


@pytest.mark.parametrize("length_s", [2.0, 4.37, 30.0])
def test_lines_without_times_lie_in_order_inside_the_window_each_by_its_share(length_s: float) -> None:
    lines = lay_out(["la la la la", "la", "la la"], length_s)
    ends = [(line.start_s, line.end_s) for line in lines]
    assert ends[0][0] >= 0 and ends[-1][1] <= length_s
    assert all(a[1] < b[0] for a, b in itertools.pairwise(ends))
    pace = [(end - start) / syllables(line.text) for line, (start, end) in zip(lines, ends, strict=True)]
    assert max(pace) - min(pace) < 1e-9 and max(pace) <= 0.5


def test_a_window_of_the_length_that_is_needed_holds_everything_at_the_easy_pace() -> None:
    texts = ["golden river", "follow the moon"]
    (first, last) = lay_out(texts, needed_s(texts, [], 0.0))
    assert (first.end_s - first.start_s) / 4 == pytest.approx(0.5)
    assert last.end_s == pytest.approx(needed_s(texts, [], 0.0) - 0.3)


def test_more_words_than_can_be_sung_are_refused_with_the_length_that_would_do() -> None:
    with pytest.raises(InputError, match=r"40 syllables in 2\.00 s .* --length 5"):
        lay_out(["la " * 40], 2.0)
    lay_out(["la " * 40], 5.0)


@pytest.mark.parametrize(("count", "longest_s"), [(7000, 600.0), (60, 6.0), (100, 4.5)])
def test_advice_never_exceeds_what_is_accepted(count: int, longest_s: float) -> None:
    with pytest.raises(InputError, match="syllables") as error:
        lay_out(["la " * count], 2.0, longest_s)
    fits = int(re.search(r"(\d+) syllables at most", str(error.value))[1])  # type: ignore[index]
    assert f"--length {longest_s:g}" in str(error.value)
    lay_out(["la " * fits], longest_s, longest_s)
    with pytest.raises(InputError):
        lay_out(["la " * (fits + 1)], longest_s, longest_s)


def test_a_length_that_just_suffices_is_advised_where_there_is_no_more() -> None:
    with pytest.raises(InputError, match=r"--length 4\.65 or more"):
        lay_out(["la " * 40], 2.0, 4.65)
    lay_out(["la " * 40], 4.65)


def test_stamps_are_kept_and_lines_end_at_the_next_stamp_or_when_they_are_sung() -> None:
    _, lines = read_lyrics("[00:05.00]la la\nfar off\n[00:06.50]long\n[01:00.00]<01:00.00>six <01:00.40>seven\n")
    assert [line.text for line in lines] == ["la la", "far off", "long", "six seven"]
    assert [line.start_s for line in lines] == pytest.approx([5.0, 5.75, 6.5, 60.0])
    assert lines[1].end_s == pytest.approx(6.5) and lines[2].end_s == pytest.approx(6.5 + 2.5 * 0.5)
    assert [(word.text, word.start_s) for word in lines[3].words] == [("six", 60.0), ("seven", 60.4)]


def test_a_window_takes_the_lines_that_start_in_it_on_its_own_time() -> None:
    _, lines = read_lyrics("[00:01.00]a\n[00:10.00]b\n[00:11.80]c\n[00:20.00]d")
    inside = window(lines, 9.0, 3.0)
    assert [(line.text, line.start_s, line.end_s) for line in inside] == [
        ("b", 1.0, pytest.approx(2.25)), ("c", pytest.approx(2.8), 3.0),
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"4 timed lines start between 1\.00 and 20\.00 s, none within 30\.00-40\.00"):
        window(lines, 30.0, 10.0)


def test_the_lrc_that_is_written_is_what_was_asked_for() -> None:
    _, lines = read_lyrics("[00:01.23]a line\n[00:02.50]<00:02.50>with <00:02.75>words\n[00:30.00]far away")
    again = [line for line in parse_lrc(as_lrc(lines)).lines if line.text]
    assert [(line.text, line.start_s) for line in again] == [(line.text, line.start_s) for line in lines]
    assert [word.start_s for word in again[1].words] == [2.5, 2.75]
    assert as_timed_text(lines).level == "line" and as_timed_text(lines[1:2]).level == "word"


def test_text_may_come_from_a_file_or_hold_line_breaks(tmp_path: Path) -> None:
    (tmp_path / "song.lrc").write_text("﻿[00:01.00]one\n[00:02.00]\n", encoding="utf-8")
    (tmp_path / "words.md").write_text("one\n\ntwo\n", encoding="utf-8")
    assert read_lyrics(str(tmp_path / "song.lrc"))[1] == [AskedLine("one", 1.0, 2.0)]
    assert read_lyrics(f"@{tmp_path / 'words.md'}") == (["one", "two"], [])
    assert read_lyrics("one\\ntwo") == (["one", "two"], [])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("@none.txt", "no such file"),
        ("@" + "la " * 100, "no such file"),
        ("none.lrc", "no such file"),
        ("", "nothing in it can be sung"),
        ("♪ ♪ !!", "nothing in it can be sung"),
        ("[ti:A title]\n[00:01.00]\n", "nothing in it can be sung"),
        ("[Chorus]\nVerse 2:\n", "nothing in it can be sung"),
        ("[00:01.00][Chorus]\n[00:02.00]Bridge:\n", "nothing in it can be sung"),
    ],
)
def test_lyrics_that_cannot_be_sung_are_refused(given: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_lyrics(given)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "song.lrc").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InputError, match="not readable as text"):
        read_lyrics(str(tmp_path / "song.lrc"))


@pytest.mark.parametrize(("encoding", "said"), [("utf-16", True), ("utf-8-sig", False), ("cp1252", True)])
def test_lyrics_of_any_encoding_are_read_and_any_but_utf_8_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], encoding: str, said: bool
) -> None:
    words = ["la rivière dorée", "déjà l'été s'en va"]
    (tmp_path / "song.txt").write_bytes("\n".join(words).encode(encoding))
    assert read_lyrics(str(tmp_path / "song.txt")) == (words, [])
    assert (f"read as {encoding}" in capsys.readouterr().err) == said


def test_lines_of_numbers_are_sung_and_what_is_left_out_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_lyrics("follow the moon\n1, 2, 3, 4\n1999")[0] == ["follow the moon", "1, 2, 3, 4", "1999"]
    assert capsys.readouterr().err == ""
    assert read_lyrics("[Chorus]\nfollow the moon\n♪")[0] == ["follow the moon"]
    said = capsys.readouterr().err
    assert "2 lines" in said and "[Chorus]" in said and "♪" in said
    read_lyrics("[00:01.00][Chorus]\n[00:02.00]follow the moon\n[00:05.00]")
    assert "[Chorus]" in capsys.readouterr().err


def test_of_two_lines_under_one_stamp_a_translation_is_left_out_and_others_share_the_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, lines = read_lyrics(
        "[00:01.00]月亮照着\n[00:01.00]the moon is shining\n[00:04.00]小河流过\n[00:04.00]river\n[00:06.00]"
    )
    assert [(line.text, line.start_s) for line in lines] == [("月亮照着", 1.0), ("小河流过", 4.0)]
    assert "the moon is shining" in capsys.readouterr().err
    _, both = read_lyrics("[00:01.00]golden river\n[00:01.00]silver river\n[00:03.00]la")
    assert [(line.text, line.start_s, line.end_s) for line in both[:2]] == [
        ("golden river", 1.0, pytest.approx(2.0)), ("silver river", pytest.approx(2.0), pytest.approx(3.0)),
    ]  # fmt: skip
    _, kana = read_lyrics("[00:01.00]月光\n[00:01.00]ひかり\n[00:03.00]la")
    assert [line.text for line in kana] == ["月光", "ひかり", "la"]


def test_what_nobody_sings_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    _, lines = read_lyrics(
        "[00:00.00]作词 : 张三\n[00:01.00]月亮照着\n[00:01.00]the moon is shining\n[00:04.00](Instrumental)\n"
        "[00:08.00]v1: 小河流过\n[00:08.00]the river flows by\n[bg: <00:09.00>ooh]\n[-00:01.00]啊\n"
    )
    assert [(line.text, line.start_s) for line in lines] == [("啊", 0.0), ("月亮照着", 1.0), ("小河流过", 8.0)]
    assert lines[1].end_s <= 4.0 and all(line.end_s - line.start_s >= 0.1 for line in lines)
    said = capsys.readouterr().err
    assert all(text in said for text in ("作词", "the moon is shining", "(Instrumental)", "ooh"))
