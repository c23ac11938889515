"""A lyrics file as people have it -> which of its lines are sung, and why the others are not."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosing.songs.grammar import english_sentence
from autosing.songs.lyrics import LANGUAGES, lyric_line
from autosing.text.cleaning.clean import clean
from autosing.text.lrc import LrcWord, parse_lrc
from autosing.text.normalize import words_of


def kinds(text, **known):
    return [(line.kind, line.text) for line in clean(text, **known).lines]


def sung(text, **known):
    return [line.text for line in clean(text, **known).lines if line.is_sung]


def several(text):
    return [item.strip() for row in text.strip().splitlines() for item in row.split(" | ")]


CHINESE = "[00:10.00]月亮照着小河\n[00:15.00]我在海边等待\n[00:30.00]你在山上唱歌\n"
ENGLISH = "[00:10.00]the moon shines on the river\n[00:15.00]I am waiting by the sea\n[00:30.00]you sing on the hill\n"
SPANISH = "[00:10.00]la luna brilla sobre el agua\n[00:15.00]espero cerca del mar\n[00:30.00]cantas en la colina\n"
JAPANESE = "[00:10.00]夜に駆ける\n[00:15.00]沈むように\n[00:30.00]騒がしい日々に\n"
ROMAJI = "[00:10.00]yoru ni kakeru\n[00:15.00]shizumu you ni\n[00:30.00]sawagashii hibi ni\n"
KOREAN = "[00:10.00]별이 지는 밤에\n[00:15.00]나는 너를 기다려\n[00:30.00]하늘 아래 노래해\n"
ROMAJA = "[00:10.00]byeori jineun bame\n[00:15.00]naneun neoreul gidaryeo\n[00:30.00]haneul arae noraehae\n"


def of(kind, lyrics):
    return [(kind, line.text) for line in parse_lrc(lyrics).lines]


def test_of_lines_with_one_stamp_one_column_is_sung_and_the_others_translate_or_romanise_it():
    (first, second) = clean(CHINESE + ENGLISH).readings
    assert {line.text for line in first if line.is_sung} == {line.text for line in parse_lrc(CHINESE).lines}
    assert {line.text for line in second if line.is_sung} == {line.text for line in parse_lrc(ENGLISH).lines}
    assert all(line.kind == "translation" for line in first if line.text.isascii())
    (only,) = clean(JAPANESE + ROMAJI + ENGLISH).readings
    assert [(line.kind, line.text) for line in only[:3]] == [
        ("sung", "夜に駆ける"), ("romanisation", "yoru ni kakeru"), ("translation", "the moon shines on the river"),
    ]  # fmt: skip
    (only,) = clean(ROMAJA + KOREAN).readings
    assert [line.kind for line in only] == ["romanisation", "sung"] * 3


def test_the_songs_language_decides_between_columns_and_where_nothing_does_all_are_readings():
    (only,) = clean(CHINESE + ENGLISH, language="en").readings
    assert [line.kind for line in only] == ["translation", "sung"] * 3
    (only,) = clean(CHINESE + ENGLISH, language="zh").readings
    assert [line.kind for line in only] == ["sung", "translation"] * 3
    (only,) = clean(CHINESE + JAPANESE, language="ja").readings
    assert [line.kind for line in only] == ["translation", "sung"] * 3
    assert len(clean(SPANISH + ENGLISH).readings) >= 2


def test_unstamped_lines_of_another_language_under_stamped_ones_translate_them():
    under = "".join(f"{line}\n(another song of mine)\n" for line in CHINESE.splitlines())
    (first, *_) = clean(under).readings
    assert [line.kind for line in first] == ["sung", "translation"] * 3
    plain = "月亮照着小河\nthe moon shines\n我在海边等待\nI wait at the sea\n\n你在山上唱歌\nyou sing\n他走了\nhe left"
    (first, *_) = clean(plain).readings
    assert [line.kind for line in first] == ["sung", "translation"] * 4


def test_lines_of_one_language_that_share_a_stamp_are_both_sung():
    pairs = [
        (lyric_line("en", np.random.default_rng(k)), lyric_line("en", np.random.default_rng(99 + k))) for k in range(9)
    ]
    text = "".join(f"[00:{k:02d}.00]{a}\n[00:{k:02d}.00]{b}\n" for k, (a, b) in enumerate(pairs))
    assert any(all(line.is_sung for line in reading) for reading in clean(text).readings)
    mixed = "[00:01.00]golden river\n[00:01.00]silver river\n[00:03.00]la\n[00:04.00]lo"
    assert sung(mixed) == ["golden river", "silver river", "la", "lo"]


def test_verses_in_two_scripts_without_stamps_are_not_taken_for_translations():
    text = "별이 지는 밤에\n나는 너를 기다려\nbaby don't go\n하늘 아래 노래해\nstay with me\n길 위에서 그대를 부르네"
    assert sung(text) == text.splitlines()


CREDITS = several("""
    作词 : 张三 | 作曲：李四 | 编曲 : Tom/王五 | 制作人：某某 | 和声编写：某某 | 音乐制作人: 某某 | 混音师：A
    OP：某某音乐 | 词：某某 | 曲：某某 | 作詞：誰か
    編曲：誰か | 歌：初音ミク | 작사: 아무개 | 작곡/편곡 : 아무개 | Lyrics by: Jane Doe | Written by: Jane Doe
    Producer: X
    Composer : Y | Lyrics & Music：Z | Paroles: Jean | Auteurs : A, B | Letra y música: Juan | Слова: Иванов
    Слова и музыка : И. Иванов | Söz: Ali | Sáng tác: Trịnh | Text und Musik: Hans | © 2020 Some Label
    Songwriters: A / B | Lyrics provided by: Someone | 以下歌词翻译由某某提供 | 未经著作权人许可 不得翻唱 翻录或使用
""")


@pytest.mark.parametrize("credit", CREDITS)
def test_credits_are_told_wherever_they_stand(credit):
    for text in (f"[00:00.00]{credit}\n[00:05.00]la luna", f"{credit}\nla luna", f"la luna\nel sol\n{credit}\nel mar"):
        assert dict((line, kind) for kind, line in kinds(text))[credit] in ("credit", "mark")
        assert "la luna" in sung(text)


def test_names_beside_credits_and_the_title_are_told_at_the_head_and_the_end():
    head = "Golden River - The Somebodies\nMusic: Jane Doe\nWritten by John Doe and Jane Doe\nGuitar: Max\n"
    body = "I walk along the line\nthe river knows my name\nwritten by the river\nMusic: my first love\n"
    assert sung(head + body + "Produced by Max Martin") == body.splitlines()
    assert sung("Golden River\n" + body, known=["Golden River"]) == ["Golden River", *body.splitlines()]
    assert sung("[ti:Golden River]\n[00:00.00]Golden River - Someone\n[00:09.00]I walk") == ["I walk"]
    assert sung("[00:00.00]月亮 - 张三\n[00:01.00]词：李四\n[00:09.00]月亮照着小河") == ["月亮照着小河"]


HEADINGS = several("""
    [Chorus] | [Verse 1: Drake & Future] | **Verse 2** | ## Chorus | Hook: | Verse 2: | (Chorus) | Chorus
    CHORUS x2 | [Pre-Chorus] | 【副歌】 | Refrain: | Estribillo: | [Coro] | Припев: | [Куплет 1] | [후렴] | サビ
    -- Bridge -- | [Chorus - All] | {Outro} | *Intro* | [Final Chorus] | Repeat Chorus | (Repeat Chorus)
    [Verse] | Post-Chorus | [Break] | [Refrain 2] | Verse One
""")


@pytest.mark.parametrize("heading", HEADINGS)
def test_headings_of_sections_are_told_in_any_dress(heading):
    assert kinds(f"I walk along\n\n{heading}\nthe river knows")[1] == ("heading", heading)
    assert kinds(f"[00:01.00]I walk\n[00:05.00]{heading}\n[00:07.00]the river")[1] == ("heading", heading)


MARKS = several("""
    ♪ | ♪♪♪ | (Instrumental) | [Instrumental Break] | Instrumental | 纯音乐，请欣赏
    此歌曲为没有填词的纯音乐，请您欣赏 | (间奏) | 间奏
    - 前奏 - | [Guitar Solo] | (guitar solo) | *music* | [Music] | ... | (Applause) | You might also like
    See Somebody LiveGet tickets as low as $50 | Embed | www.example.com | (간주) | [Проигрыш]
    Submit Corrections | ******* This Lyrics is NOT for Commercial use ******* | # | (music playing)
""")


@pytest.mark.parametrize("mark", MARKS)
def test_marks_and_what_a_page_left_are_told(mark):
    assert kinds(f"I walk along\n{mark}\nthe river knows")[1] == ("mark", mark)
    assert sung(f"[00:01.00]I walk\n[00:05.00]{mark}\n[00:07.00]the river") == ["I walk", "the river"]


def test_what_a_page_glued_to_lines_is_cut_off():
    text = "12 ContributorsGolden River LyricsI walk along\nthe river\nYou might also likethe sea\nis all I know14Embed"
    assert sung(text) == ["I walk along", "the river", "the sea", "is all I know"]
    assert sung("3 ContributorsGolden River Lyrics[Verse 1]\nI walk\nHallelujah!Embed") == ["I walk", "Hallelujah!"]
    assert sung("Golden River Lyrics\nI walk\nthese are the lyrics") == ["I walk", "these are the lyrics"]


def test_marks_of_repetition_are_carried_out_where_they_are_plain():
    assert sung("[Chorus] x2\nla la\nlo lo\n\n[Verse]\nle") == ["la la", "lo lo"] * 2 + ["le"]
    assert sung("la la (x3)\nlo") == ["la la"] * 3 + ["lo"]
    assert sung("la la\nlo lo\n(x2)\n\nle le") == ["la la", "lo lo"] * 2 + ["le le"]
    assert sung("la la x2\nla la\nlo") == ["la la", "la la", "lo"]
    assert sung("[Chorus]\nla la\nlo lo\n\n[Verse]\nle\n\n[Chorus]\n\n[Verse 2]\nli") == [
        "la la",
        "lo lo",
        "le",
        "la la",
        "lo lo",
        "li",
    ]
    lines = clean("[00:01.00]la la x2\n[00:05.00]lo").lines
    assert [(line.text, line.start_s) for line in lines] == [("la la", 1.0), ("la la", None), ("lo", 5.0)]
    assert sung("[00:01.00][Chorus] x2\n[00:02.00]la\n[00:05.00]lo") == ["la", "lo"]


LABELLED = several("""
    v1: hello you | F: hello you | Both: hello you | <v Mary Ann>hello you | [Jungkook] hello you | All: hello you
    <v.loud Bob>hello you</v> | Chorus: hello you | [Verse 1] hello you | 男：hello you | (女)hello you
    【合】hello you
    합창: hello you | V2: hello you
""")


@pytest.mark.parametrize("written", LABELLED)
def test_labels_that_say_who_sings_are_not_sung(written):
    (line,) = [line for line in clean(f"[00:01.00]{written}").lines if line.is_sung]
    assert (line.text, line.start_s) == ("hello you", 1.0)
    assert line.reason is not None


def test_a_label_takes_no_stamp_from_the_words_behind_it():
    (line,) = clean("[00:01.00]v1: <00:01.20>hello <00:02.00>you").lines
    assert (line.text, line.words) == ("hello you", (LrcWord("hello", 1.2), LrcWord("you", 2.0)))
    (line,) = clean("[00:01.00]<00:01.00>F: <00:01.20>hello <00:02.00>you").lines
    assert (line.text, line.words) == ("hello you", (LrcWord("hello", 1.2), LrcWord("you", 2.0)))


def test_names_that_recur_before_colons_are_the_cast():
    text = "Romeo: I walk alone\nJuliet: the river knows\nRomeo: my name is mine\nJuliet: by the river: my home"
    assert sung(text) == ["I walk alone", "the river knows", "my name is mine", "by the river: my home"]


def test_background_voices_are_lines_of_their_own_with_their_own_stamps():
    text = "[00:01.00]v1: <00:01.00>hello <00:02.00>you\n[bg: <00:02.50>ooh <00:03.00>ooh<00:03.50>]\n[00:05.00]bye"
    lines = clean(text).lines
    assert [(line.kind, line.text) for line in lines] == [
        ("sung", "hello you"),
        ("backing", "ooh ooh"),
        ("sung", "bye"),
    ]
    assert (lines[1].start_s, lines[1].end_s, lines[1].words[1]) == (2.5, 3.5, LrcWord("ooh", 3.0))
    behind = clean("[00:01.00]<00:01.00>hello <00:02.00>you [bg: <00:02.50>ooh]").lines
    assert [(line.kind, line.text) for line in behind] == [("sung", "hello you"), ("backing", "ooh")]
    assert kinds("hello you\n[bg: ooh]") == [("sung", "hello you"), ("backing", "ooh")]


@pytest.mark.parametrize(
    ("text", "starts_s"),
    [
        ("[00:10.00][str][00:12.00]text", [10.0, 12.0]),
        ("[-00:01.50]text", [-1.5]),
        ("[00:-01.50]text", [-1.5]),
        ("[-1:58.50]text", [-1.5]),
        ("[00:00.-50]text", [-0.5]),
        ("[-00:01.50]text\n[00:02.00]text", [-1.5, 2.0]),
    ],
)
def test_broken_tags_between_stamps_and_negative_stamps_are_read(text, starts_s):
    lines = parse_lrc(text).lines
    assert [line.text for line in lines] == ["text"] * len(starts_s)
    assert [line.start_s for line in lines] == pytest.approx(starts_s)


LOOK_ALIKES = several("""
    Chorus of angels | by the river: my home | Bridge over troubled water | Hook me up tonight
    Verse by verse I read you | Music: my first love | written by the hand of God | Break the chains
    Drop it | all: the night, the day, the sea | you might also like me | see the world live in color
    instrumental in my heart | the drums, the drums | a guitar solo in the night | end of the line
    this is the end | (ooh, I love you) | x marks the spot | two times two is four | F is for fire
    Both of us | man: such a word | copyright of my heart | refrain from crying
    out of the intro, into the song | produced by nobody at all | share it with me | Embed me in stone
    she said: come home | tonight - we dance | Part of me | [Ooh yeah] I love you [baby] | the lyrics of love
    音乐响起的时候 | 歌声：飘过海 | 他对我说：回家 | Tag, you are it | solo otra vez | coro de ángeles
    la música: mi vida
    Strings of fire | Intro to my heart | vocal cords are burning | 1999
""")


@pytest.mark.parametrize("line", LOOK_ALIKES)
def test_a_line_that_only_looks_like_one_of_these_is_sung(line):
    assert sung(f"I walk along the line\n{line}\nthe river knows") == ["I walk along the line", line, "the river knows"]
    assert sung(f"[00:01.00]I walk along\n[00:03.00]{line}\n[00:05.00]the river") == ["I walk along", line, "the river"]


def test_at_most_one_in_a_hundred_of_the_lines_of_made_songs_is_lost():
    rng = np.random.default_rng(5)
    for make in (
        *(lambda language=language: lyric_line(language, rng) for language in LANGUAGES),
        lambda: english_sentence(rng),
    ):
        lines = [make() for _ in range(160)]
        for start in range(0, 160, 8):
            eight = lines[start : start + 8]
            assert sung("\n".join(eight)) == eight
            assert sung("".join(f"[00:{k:02d}.00]{line}\n" for k, line in enumerate(eight))) == eight
            capital = [line.title() for line in eight]
            assert sung("\n".join(capital)) == capital


_piece = st.sampled_from(
    [*CREDITS, *HEADINGS, *MARKS, *LOOK_ALIKES, "[00:01.00]", "[bg: a]", "x2", "(", "[", ":", "\n", "\n\n", " - "]
)


@given(st.lists(_piece | st.text(max_size=5), max_size=12).map("".join))
def test_any_text_has_readings_and_sung_lines_have_words(text):
    cleaned = clean(text)
    assert all(words_of(line.text) for reading in cleaned.readings for line in reading if line.is_sung)
    assert len({len(reading) for reading in cleaned.readings}) == 1


@pytest.mark.parametrize(
    "unit", ["a", " ", "a ", "la-", "[", "(x2)", "See a ", "Lyrics ", "na: ", "♪", "月", "[00:01.00]"]
)
def test_a_line_of_any_length_is_read_in_good_time(unit):
    started = time.process_time()
    clean(unit * (60_000 // len(unit)) + "!")
    assert time.process_time() - started < 2
