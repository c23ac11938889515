"""Lyrics in the files that people have: what each holds, with its times, and what is told of the rest."""

import json

import pytest

from autosing.errors import InputError
from autosing.score.files import write_score
from autosing.score.timing import with_times
from autosing.text.lrc import parse_lrc
from processing.importer.lyric_files import facts_in, lyrics_of
from support.scores import star_score

SRT = (
    "1\r\n00:00:01,000 --> 00:00:03,000\r\nGolden <i>river</i>\r\n\r\n"
    "2\r\n00:00:03,000 --> 00:00:04,500\r\nmoon &amp; sun\r\nover me\r\n"
)
VTT = """WEBVTT - title

NOTE a remark

00:01.000 --> 00:03.000 align:start
<v Ann>Golden <c.yellow>river</c>

intro
00:00:03.500 --> 00:00:05.000
<00:00:03.500>one <00:00:04.000><c>two</c>
"""
ASS = r"""[Script Info]
Title: x
[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,not sung
Dialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,{\k50}gol{\k50}den {\k100}river
Dialogue: 0,0:00:04.00,0:00:05.00,Default,,0,0,0,,{\i1}plain{\i0} line
"""
TTML = """<?xml version="1.0" encoding="UTF-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttm="http://www.w3.org/ns/ttml#metadata"><head><metadata/></head>
<body dur="20s"><div begin="1.0" end="9.0">
<p begin="1.000" end="3.000"><span begin="1.000" end="1.5">Gol</span><span begin="1.5" end="2">den</span>
 <span begin="2.000" end="3.000">river</span>
 <span ttm:role="x-translation" xml:lang="de">Goldener Fluss</span>
 <span ttm:role="x-bg"><span begin="2.5" end="2.9">(ooh)</span></span></p>
<p begin="00:00:04.5" end="00:00:06">moon<br/>and sun</p>
</div></body></tt>"""
LRCLIB = {"id": 3, "trackName": "A", "artistName": "B", "duration": 9.0, "instrumental": False,
          "plainLyrics": "golden river\nmoon", "syncedLyrics": "[00:01.00]golden river\n[00:03.00]moon"}  # fmt: skip
ULTRASTAR = (
    "#TITLE:A\n#ARTIST:B\n#LANGUAGE:English\n#BPM:60\n#GAP:1000\n: 0 2 60 gol\n* 2 2 60 den\n: 4 4 62  ri\n"
    ": 8 4 60 ~\n: 12 4 60 ver\n- 20\n: 24 8 60 moon\nE\n"
)


def lines(text):
    return [(line.text, line.start_s) for line in parse_lrc(text).lines if line.text]


def words(text):
    return [[(word.text, word.start_s) for word in line.words] for line in parse_lrc(text).lines if line.text]


def read(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return facts_in(path)[0]


@pytest.mark.parametrize("name", ["a.srt", "a.txt", "a.lrc", "a.SRT"])
def test_subrip_gives_lines_with_their_times_whatever_it_is_called(tmp_path, name):
    text = read(tmp_path, name, SRT).lrc_lyrics
    assert lines(text) == [("Golden river", 1.0), ("moon & sun", 3.0), ("over me", None)]
    assert text.splitlines()[-1] == "[00:04.50]", "where the last line ends"


def test_webvtt_keeps_who_sings_and_the_times_of_words(tmp_path):
    text = read(tmp_path, "a.vtt", VTT).lrc_lyrics
    assert lines(text) == [("<v Ann>Golden river", 1.0), ("one two", 3.5)]
    assert words(text)[1] == [("one", 3.5), ("two", 4.0)]


@pytest.mark.parametrize("name", ["a.ass", "a.ssa", "a.txt"])
def test_karaoke_of_ass_gives_words(tmp_path, name):
    text = read(tmp_path, name, ASS).lrc_lyrics
    assert lines(text) == [("golden river", 1.0), ("plain line", 4.0)]
    assert words(text)[0] == [("golden", 1.0), ("river", 2.0)]


def test_ttml_gives_words_the_background_apart_and_no_translation(tmp_path):
    text = read(tmp_path, "a.ttml", TTML).lrc_lyrics
    found = [line for line in parse_lrc(text).lines if line.text]
    assert [(line.text, line.start_s, line.background) for line in found] == [
        ("Golden river", 1.0, False), ("(ooh)", 2.5, True), ("moon and sun", 4.5, False),
    ]  # fmt: skip
    assert [(word.text, word.start_s) for word in found[0].words] == [("Golden", 1.0), ("river", 2.0)]


def test_times_of_ttml_may_be_relative_to_the_division(tmp_path):
    moved = TTML.replace('<div begin="1.0"', '<div begin="10s"')
    assert lines(read(tmp_path, "a.ttml", moved).lrc_lyrics)[0] == ("Golden river", 11.0)


def test_an_ultrastar_file_gives_the_times_of_its_words(tmp_path):
    facts = read(tmp_path, "a.txt", ULTRASTAR)
    assert (facts.title, facts.artist, facts.language) == ("A", "B", "english")
    assert lines(facts.lrc_lyrics) == [("golden river", 1.0), ("moon", 7.0)]
    assert words(facts.lrc_lyrics) == [[("golden", 1.0), ("river", 2.0)], []]
    assert parse_lrc(facts.lrc_lyrics).lines[0].end_s == 5.0


def test_the_words_of_a_made_ultrastar_file_begin_where_its_score_says(tmp_path):
    score = with_times(star_score())
    write_score(score, tmp_path / "a.txt")
    text = facts_in(tmp_path / "a.txt")[0].lrc_lyrics
    first = [next(n.start_s for n in score.notes if score.syllables[n.syllable].word == k) for k in range(2)]
    assert [start_s for _, start_s in lines(text)] == pytest.approx(first, abs=0.02)


@pytest.mark.parametrize("values", [LRCLIB, [LRCLIB, {**LRCLIB, "artistName": "other"}]])
@pytest.mark.parametrize("name", ["a.json", "a.txt"])
def test_what_lrclib_answers_is_lyrics_with_and_without_times(tmp_path, values, name):
    facts = read(tmp_path, name, json.dumps(values))
    assert (facts.raw_lyrics, facts.lrc_lyrics) == (LRCLIB["plainLyrics"], LRCLIB["syncedLyrics"])
    assert (facts.artist, facts.title) == ("B", "A")


def test_what_netease_answers_keeps_the_translation_under_the_same_stamp(tmp_path):
    answer = {
        "sgc": True,
        "lrc": {"version": 3, "lyric": "[00:01.00]月亮\n[00:03.00]河"},
        "tlyric": {"lyric": "[00:01.00]moon"},
    }
    assert lines(read(tmp_path, "a.json", json.dumps(answer)).lrc_lyrics) == [("月亮", 1.0), ("moon", 1.0), ("河", 3.0)]


def test_rows_of_json_between_lrc_rows_are_read(tmp_path):
    rows = '{"t":0,"c":[{"tx":"作词: "},{"tx":"某人","li":"x"}]}\n{"t":1500,"c":[{"tx":"编曲: x"}]}\n[00:02.00]月亮\n'
    assert lines(read(tmp_path, "a.lrc", rows).lrc_lyrics) == [("作词: 某人", 0.0), ("编曲: x", 1.5), ("月亮", 2.0)]


def test_entities_of_html_are_the_letters_they_stand_for(tmp_path):
    assert read(tmp_path, "a.txt", "don&#39;t &amp; won&apos;t<br>caf&eacute;<br/>\nAT&T; &nosuch;").raw_lyrics == (
        "don't & won't\ncafé\nAT&T; &nosuch;"
    )
    assert read(tmp_path, "a.lrc", "[00:01.00]it&#x27;s").lrc_lyrics == "[00:01.00]it's"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.srt", "", "holds no line with a time"),
        ("a.srt", "just words\n", "holds no line with a time"),
        ("a.vtt", "WEBVTT\n\nNOTE nothing\n", "holds no line with a time"),
        ("a.ass", "[Script Info]\n", "holds no line with a time"),
        ("a.ttml", "<tt", "not readable as TTML"),
        ("a.ttml", "<tt><p>no time</p></tt>", "no paragraph with a time"),
        ("a.txt", '<!DOCTYPE x [<!ENTITY a "b">]><tt >&a;</tt>', "remove its DOCTYPE"),
        ("a.json", "{", "not readable as JSON"),
    ],
)
def test_what_holds_nothing_is_refused_by_its_name(tmp_path, name, text, words):
    with pytest.raises(InputError, match=f"{name}: .*{words}"):
        read(tmp_path, name, text)


@pytest.mark.parametrize("text", ["[Chorus]\nla la\n", "1999\n--> here\n", "# 1 of the charts: la\n", "<3 <3\n"])
def test_words_that_only_look_like_another_kind_of_file_stay_words(text):
    assert lyrics_of(text).raw_lyrics == text.strip()
