"""Lyrics on a voice: the offset of an LRC, lines that are not sung, songs that bring no lyrics."""

import numpy as np
import pytest

from autosing.alignment.chain import BETWEEN, NUM_CLASSES, PAUSE, SILENCE, Costs, LineToPlace, build_chain
from autosing.alignment.emissions import Emissions, change, windows
from autosing.alignment.offset import estimate_offset
from autosing.alignment.place import SungLine, place_plain, place_stamped
from autosing.audio.io import Audio, encode
from autosing.metrics.alignment import onset_errors
from autosing.schemas.base import from_row
from autosing.schemas.tables import LyricLine
from autosing.stage import Rejected
from processing.alignment.lyrics import known_language, likely_language, read_lyrics
from processing.stages.align import Align, AlignConfig, SongToAlign
from support.heard import LINES, PRIOR_L, SONG, heard, scores_of, starts

COSTS = Costs(silent_letter=3.0, absent_line=20.0, gap=10.0)
RATE_HZ = 50


def test_the_offset_is_found_among_outliers():
    stamps = [10.0, 20.0, 30.0, 40.0, 50.0]
    heard = [12.5, 22.4, 32.6, 77.0, 3.0]
    found = estimate_offset(stamps, heard)
    assert found.offset_s == pytest.approx(2.5, abs=0.05)
    assert found.inlier_ratio == pytest.approx(3 / 5)
    assert found.inliers == (0, 1, 2)


def test_lines_without_a_stamp_or_not_heard_take_no_part_and_count_rightly():
    found = estimate_offset([1.0, None, 3.0, 4.0], [1.5, 9.0, None, 4.5])
    assert (found.offset_s, found.inlier_ratio) == (pytest.approx(0.5), pytest.approx(2 / 3))


@pytest.mark.parametrize(("stamps", "heard"), [([], []), ([None], [1.0]), ([1.0, 2.0], [None, None])])
def test_where_no_line_can_vote_the_offset_is_defined(stamps, heard):
    found = estimate_offset(stamps, heard)
    assert (found.offset_s, found.inlier_ratio, found.inliers) == (0.0, 0.0, ())


def test_where_no_two_lines_agree_one_line_is_its_own_inlier():
    found = estimate_offset([0.0, 10.0, 20.0], [5.0, 30.0, 60.0])
    assert found.inlier_ratio == pytest.approx(1 / 3)
    assert found.offset_s == 5.0


def test_plain_lyrics_find_their_words_and_a_chorus_its_own_place():
    placed, _ = place_plain(scores_of(750, SONG), LINES, COSTS, RATE_HZ)
    assert starts(placed) == [[1.0, 1.8], [6.0, 7.0], [12.0, 12.8]]
    assert all(line.score > 0.9 for line in placed)


def test_a_line_that_is_not_sung_is_told_and_moves_no_other():
    absent = SungLine("whisper thunder", ("whisper", "thunder"))
    placed, _ = place_plain(scores_of(750, SONG), [LINES[0], absent, *LINES[1:], absent], COSTS, RATE_HZ)
    assert starts(placed) == [[1.0, 1.8], None, [6.0, 7.0], [12.0, 12.8], None]


def test_singing_that_the_lyrics_do_not_hold_moves_no_line():
    placed, _ = place_plain(scores_of(900, [*SONG, ("banana", 700, 860)]), LINES, COSTS, RATE_HZ)
    assert starts(placed) == [[1.0, 1.8], [6.0, 7.0], [12.0, 12.8]]


def _stamped(*starts_s):
    return [SungLine(line.text, line.words, start_s) for line, start_s in zip(LINES, starts_s, strict=True)]


def test_stamps_are_followed_after_their_offset_is_found():
    placed, offset = place_stamped(scores_of(750, SONG), _stamped(4.0, 9.0, 15.0), COSTS, RATE_HZ)
    assert offset.offset_s == pytest.approx(-3.0)
    assert offset.inlier_ratio == 1.0
    assert starts(placed) == [[1.0, 1.8], [6.0, 7.0], [12.0, 12.8]]


def test_a_stamp_tells_which_of_two_equal_choruses_is_meant():
    lines = [SungLine("river stone", ("river", "stone"), 12.0)]
    scores = scores_of(750, SONG)
    placed, _ = place_stamped(scores, [SungLine("golden moon", ("golden", "moon"), 6.0), *lines], COSTS, RATE_HZ)
    assert starts(placed)[1] == [12.0, 12.8]


def test_stamps_of_another_recording_are_not_believed():
    placed, offset = place_stamped(scores_of(750, SONG), _stamped(2.0, 12.0, 31.0), COSTS, RATE_HZ)
    assert offset.inlier_ratio < 0.5
    assert starts(placed) == [[1.0, 1.8], [6.0, 7.0], [12.0, 12.8]]


def test_lyrics_that_do_not_fit_in_the_song_leave_no_line_out():
    many = [SungLine("river stone", ("river", "stone"))] * 60
    placed, _ = place_plain(scores_of(40, []), many, COSTS, RATE_HZ)
    assert len(placed) == 60


def test_words_of_no_known_letter_still_have_a_place():
    scores = scores_of(200, [("abc", 50, 100)])
    placed, _ = place_plain(scores, [SungLine("21", ("21",))], COSTS, RATE_HZ)
    assert placed[0].words[0].start_s == pytest.approx(1.0, abs=0.1)


def test_chain_has_a_state_for_each_letter_and_between_lines():
    lyrics = build_chain([LineToPlace(("ab", "c")), LineToPlace(("d",))], COSTS, 100)
    assert lyrics.chain.class_S.tolist() == [
        SILENCE, BETWEEN, 1, 2, PAUSE, SILENCE, 3, SILENCE, BETWEEN, 4, BETWEEN, SILENCE,
    ]  # fmt: skip
    assert lyrics.word_S.tolist() == [-1, -1, 0, 0, -1, -1, 1, -1, -1, 2, -1, -1]
    assert BETWEEN == NUM_CLASSES - 1


@pytest.mark.parametrize("num_frames", [1, 1499, 1500, 1501, 2750, 2751, 12345])
def test_windows_hear_every_frame_once_and_with_a_margin(num_frames):
    voice_S = np.arange(num_frames * 320 - 7, dtype=np.float32)
    found = list(windows(voice_S[None, i : i + 65_536] for i in range(0, len(voice_S), 65_536)))
    counted = [begin + frame for _, begin, _, first, end in found for frame in range(first, end)]
    assert counted == list(range(num_frames))
    for samples_S, begin, num, first, end in found:
        np.testing.assert_array_equal(samples_S, voice_S[begin * 320 : (begin + 1500) * 320])
        assert end <= num <= 1500 and num == -(-len(samples_S) // 320)
        assert first == (125 if begin else 0) and num - end == (125 if begin + num < num_frames else 0)


def test_lyrics_are_taken_from_lrc_then_text_and_null_is_none():
    assert read_lyrics(None, None) == ([], "plain")
    assert read_lyrics("", " \n[Chorus]\n") == ([], "plain")
    (reading,), source = read_lyrics("[00:01.00]one two\n[00:05.00]\n[00:06.00]three", "one two\nthree")
    assert (source, [line.start_s for line in reading.sung]) == ("lrc", [1.0, 6.0])
    (reading,), source = read_lyrics("no stamps here", "[Verse]\none two")
    assert (source, [line.words for line in reading.sung]) == ("plain", [("one", "two")])
    (reading,), _ = read_lyrics("[00:01.00]<00:01.00>one <00:02.00>two", None)
    assert reading.sung[0].word_starts_s == (1.0, 2.0)


def test_languages_are_read_and_guessed_within_the_alphabet():
    assert [known_language(name) for name in ("EN-us", "Korean", "cmn", None, "klingon")] == [
        "en",
        "ko",
        "zh",
        None,
        None,
    ]
    heard = {"en": 0.5, "ru": 0.3, "es": 0.2}
    assert likely_language(heard, "CYRILLIC") == "ru"
    assert likely_language({"ru": 0.9, "es": 0.1}, "LATIN") == "es"


class _Ears:
    """Stands for the models: hears SONG, in English, in every voice that is not silent."""

    log_prior_L = PRIOR_L
    whisper = None

    def __call__(self, voice):
        voice_S = np.concatenate(list(voice), axis=1)[0]
        loud = np.abs(voice_S).max() > 1e-3
        return Emissions(heard(750, SONG), np.full(750, -3.0), {"en": 1.0} if loud else {}, len(voice_S) / 16_000)


@pytest.fixture
def stage():
    stage = Align(AlignConfig(transcribe=False))
    stage.emit = _Ears()
    return stage


def _row(lrc=None, raw=None, language=None, level=0.1, rest=None):
    voice = Audio(level * np.sin(np.arange(15 * 16000, dtype=np.float32))[None], 16000)
    return SongToAlign("song", encode(voice), encode(rest) if rest else None, lrc, raw, language)


def test_some_of_the_accompaniment_is_heard_beside_the_voice(stage):
    rest = Audio(0.2 * np.cos(np.arange(14 * 16000, dtype=np.float32))[None], 16000)
    heard = []

    def emit(voice):
        heard.append(np.concatenate(list(voice), axis=1)[0])
        return _Ears()(iter([heard[-1][None]]))

    stage.emit, emit.log_prior_L = emit, PRIOR_L
    stage.apply(_row(raw="river stone", rest=rest))
    stage.apply(_row(raw="river stone"))
    with_rest_S, alone_S = heard
    assert len(with_rest_S) == len(alone_S)
    added_S = with_rest_S - alone_S
    np.testing.assert_allclose(added_S[: 14 * 16000], 0.25 * rest.samples_CS[0], atol=1e-3)
    assert (added_S[14 * 16000 :] == 0).all()


def test_an_accompaniment_without_a_voice_is_no_voice(stage):
    rest = Audio(0.2 * np.cos(np.arange(15 * 16000, dtype=np.float32))[None], 16000)
    assert stage.apply(_row(raw="river stone", level=0.0, rest=rest)).reason == "no_voice"


def test_a_row_without_lrc_in_a_table_that_has_lrc_is_aligned_by_its_text(stage):
    lyrics = stage.apply(_row(raw="river stone\ngolden moon\nriver stone"))
    assert (lyrics.source, lyrics.language, lyrics.lrc_offset_s, lyrics.inlier_ratio) == ("plain", "en", None, None)
    shift_s = stage.config.onset_shift_s
    assert [word.start_s for word in lyrics.words] == pytest.approx(
        [t + shift_s for t in (1.0, 1.8, 6.0, 7.0, 12.0, 12.8)]
    )
    assert [word.line for word in lyrics.words] == [0, 0, 1, 1, 2, 2]
    assert all(line.fits for line in lyrics.lines)


def test_a_line_that_does_not_fit_is_kept_marked_and_lies_between_its_neighbours(stage):
    lyrics = stage.apply(_row(raw="river stone\nwhisper thunder\ngolden moon"))
    assert [line.fits for line in lyrics.lines] == [True, False, True]
    assert [word.text for word in lyrics.words] == ["river", "stone", "whisper", "thunder", "golden", "moon"]
    starts = [word.start_s for word in lyrics.words]
    assert starts == sorted(starts)
    assert lyrics.lines[1].score == 0.0


def test_lrc_gives_its_offset_and_ratio(stage):
    lyrics = stage.apply(_row(lrc="[00:02.00]river stone\n[00:07.00]golden moon\n[00:13.00]river stone"))
    assert lyrics.source == "lrc"
    assert lyrics.lrc_offset_s == pytest.approx(-1.0 + stage.config.onset_shift_s)
    assert lyrics.inlier_ratio == 1.0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (_row(), "no_lyrics"),
        (_row(raw="[Instrumental]\n"), "no_lyrics"),
        (_row(raw="привет мир", language="en"), "other_alphabet"),
        (_row(raw="river stone", level=0.0), "no_voice"),
    ],
)
def test_what_cannot_be_aligned_is_rejected_with_a_reason(stage, row, reason):
    rejected = stage.apply(row)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason
    assert rejected.measurement


def test_onset_errors_are_those_of_the_field():
    errors = onset_errors([1.0, 2.0, 3.0, 4.0], [1.1, 2.1, 3.1, 5.0])
    assert (errors.words, errors.pco) == (4, 0.75)
    assert errors.aae_s == pytest.approx(1.3 / 4)
    assert errors.median_s == pytest.approx(0.1)
    assert errors.bias_s == pytest.approx(0.1)


def test_what_changes_is_heard_alike_after_three_hours():
    """Running sums in float32 were off by 0.03 there."""
    rng = np.random.default_rng(0)
    letter_TL = np.log(rng.dirichlet(np.full(27, 0.1), 200) + 1e-6).astype(np.float32)
    late_TL = np.concatenate([np.tile(letter_TL, (2700, 1)), letter_TL])
    for first in (10, 50, 195):
        start = len(late_TL) - 200 + first
        np.testing.assert_allclose(change(late_TL, start, len(late_TL)), change(letter_TL, first, 200), atol=1e-6)
    np.testing.assert_array_equal(
        np.concatenate([change(letter_TL, 0, 90), change(letter_TL, 90, 200)]), change(letter_TL, 0, 200)
    )


BILINGUAL = """[00:00.00]Lyrics by: Jane Doe
[00:02.00]river stone
[00:02.00]{other}
[00:05.00](Instrumental)
[00:07.00]golden moon
[00:07.00]{other}
[00:13.00]river stone
[00:13.00]{other}"""


@pytest.mark.parametrize("other", ["小河石头在这里", "rzeka kamień"])
def test_of_two_columns_the_one_that_is_heard_is_sung_and_the_rest_is_kept_with_its_kind(stage, other):
    lyrics = stage.apply(_row(lrc=BILINGUAL.format(other=other)))
    kinds = ["credit", "sung", "translation", "mark", "sung", "translation", "sung", "translation"]
    assert [line.kind for line in lyrics.lines] == kinds
    assert all(line.fits == (line.kind == "sung") for line in lyrics.lines)
    assert all(line.reason for line in lyrics.lines if line.kind != "sung")
    assert [(word.text, word.line) for word in lyrics.words[:3]] == [("river", 1), ("stone", 1), ("golden", 4)]
    assert [word.start_s for word in lyrics.words] == pytest.approx([1.0, 1.8, 6.0, 7.0, 12.0, 12.8])
    assert lyrics.inlier_ratio == 1.0
    for sung, translated in ((1, 2), (4, 5), (6, 7)):
        assert lyrics.lines[translated].start_s == lyrics.lines[sung].start_s
    swapped = "\n".join(
        sorted(BILINGUAL.format(other=other).splitlines(), key=lambda row: (row[:10], other not in row))
    )
    again = stage.apply(_row(lrc=swapped))
    assert [line.text for line in again.lines if line.kind == "sung"] == ["river stone", "golden moon", "river stone"]


def test_backing_is_placed_beside_the_lead_and_moves_none_of_it(stage):
    alone = stage.apply(_row(raw="river stone\nriver stone"))
    lrc = "[00:01.00]river stone\n[bg: <00:06.00>golden <00:07.00>moon]\n[00:12.00]river stone"
    lyrics = stage.apply(_row(lrc=lrc))
    assert [(line.kind, line.fits) for line in lyrics.lines] == [("sung", True), ("backing", True), ("sung", True)]
    assert [word.start_s for word in lyrics.words if word.line != 1] == [word.start_s for word in alone.words]
    assert [word.start_s for word in lyrics.words if word.line == 1] == pytest.approx([6.0, 7.0])
    unheard = stage.apply(_row(raw="river stone\n[bg: whisper thunder]\nriver stone"))
    assert [(line.kind, line.fits) for line in unheard.lines] == [("sung", True), ("backing", False), ("sung", True)]
    assert [word.start_s for word in unheard.words if word.line != 1] == [word.start_s for word in alone.words]


def test_an_older_table_has_only_lines_that_are_sung():
    row = {"text": "river stone", "start_s": 1.0, "end_s": 2.0, "score": 0.9, "fits": True}
    assert from_row(LyricLine, row) == LyricLine("river stone", 1.0, 2.0, 0.9, True, "sung", None)
