"""Segmentation: the chosen windows are the best there are, and a clip is exactly its window of the song."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.audio.io import Audio, decode, encode
from autosing.config import Config
from autosing.errors import InputError
from autosing.schemas.tables import Clip, Line, LyricLine, Lyrics, Separated, Song, Word
from autosing.score.score import Note, Phone, Score, Syllable
from autosing.score.score import Word as SungWord
from autosing.score.timing import with_times
from autosing.stage import Rejected
from autosing.storage.tables import TableWriter, read_rows, table_path
from processing.activity import STEP_MS, singing_activity
from processing.engine.worker import process_partition
from processing.stages.segment import Aligned, Segment, SegmentConfig, rebase
from processing.windows import choose_windows, cut_times

RATE = 16_000


def voice(spans: list[tuple[float, float]], duration_s: float, f0_hz: float = 220.0) -> Audio:
    """A buzz with five harmonics in the spans, silence elsewhere."""
    t_S = np.arange(round(duration_s * RATE)) / RATE
    buzz_S = sum(np.sin(2 * np.pi * f0_hz * k * t_S) / k for k in range(1, 6)) * 0.1
    on_S = np.zeros_like(t_S)
    for start, end in spans:
        on_S[round(start * RATE) : round(end * RATE)] = 1
    return Audio((buzz_S * on_S)[None].astype(np.float32), RATE)


def song(spans, duration_s, words=None, **more) -> Aligned:
    """A word for each span unless words are given; each word is a line."""
    words = spans if words is None else words
    lines = [LyricLine(f"word{i}", a, b, 1.0, True) for i, (a, b) in enumerate(words)]
    placed = [Word(f"word{i}", a, b, 1.0, i) for i, (a, b) in enumerate(words)]
    held = {"instrumental": None, "artist": "ann", "licence": None} | more
    return Aligned("s", "en", lines, placed, encode(voice(spans, duration_s)), **held)


def clips(row: Aligned, **config: float) -> list[Clip]:
    result = Segment(SegmentConfig(**config)).apply(row)
    assert isinstance(result, list), result
    return result


def worth(windows, times, sung, cost, min_fraction) -> float:
    total = 0.0
    for i, j in windows:
        length, singing = times[j] - times[i], sung[j] - sung[i]
        if singing < min_fraction * length:
            return -np.inf
        total += singing - 0.1 * (length - singing) - cost[i] - cost[j] - 250
    return total


@given(
    st.lists(st.integers(1, 4000), min_size=2, max_size=9),
    st.lists(st.floats(0, 1), min_size=9, max_size=9),
    st.lists(st.sampled_from([0, 200, 500, 1000]), min_size=10, max_size=10),
    st.integers(500, 4000),
    st.integers(0, 6000),
    st.sampled_from([0.0, 0.4, 0.8]),
)
@settings(max_examples=200, deadline=None)
def test_no_set_of_windows_is_better(gaps, shares, costs, min_ms, more_ms, min_fraction):
    """Equal to trying every set of disjoint windows. AutoSing's back-trace lost the window at offset 0."""
    times = np.cumsum([0, *gaps])
    sung = np.cumsum([0.0, *(g * s for g, s in zip(gaps, shares, strict=False))])
    cost = np.array(costs[: len(times)], float)
    max_ms = min_ms + more_ms
    chosen = choose_windows(times, sung, cost, min_ms, max_ms, min_fraction)
    short = min(min_ms, times[-1])
    allowed = [
        (i, j) for i, j in itertools.combinations(range(len(times)), 2) if short <= times[j] - times[i] <= max_ms
    ]

    def best(after: int) -> float:
        """Of all sets of disjoint windows that start at `after` or later."""
        return max(
            (max(0.0, worth([w], times, sung, cost, min_fraction)) + best(w[1]) for w in allowed if w[0] >= after),
            default=0.0,
        )

    assert all(w in allowed for w in chosen) and all(a[1] <= b[0] for a, b in itertools.pairwise(chosen))
    assert worth(chosen, times, sung, cost, min_fraction) == pytest.approx(best(0), abs=1e-6)


@pytest.mark.parametrize("duration_s", [31.0, 45.0, 61.0])
def test_a_song_of_31_to_61_seconds_is_not_lost(duration_s):
    """AutoSing got nothing out of these: the optimum was found and the back-trace stopped before offset 0."""
    spans = [(t, t + 0.9) for t in np.arange(0.0, duration_s - 1, 1.0)]
    found = clips(song(spans, duration_s), min_s=28, max_s=31)
    assert len(found) == (2 if duration_s >= 56 else 1)
    assert found[0].id == "s-0" and found[0].start_s == 0


def test_a_short_song_is_one_clip():
    (clip,) = clips(song([(0.2, 1.8)], 2.0))
    assert (clip.start_s, clip.duration_s, clip.singer) == (0.0, 2.0, "ann")


def test_a_clip_is_its_window_of_the_song_to_the_sample():
    spans = [(1.0, 4.0), (4.5, 7.0), (12.0, 16.0), (16.3, 19.5)]
    row = song(spans, 24.0)
    held = decode(row.vocals).samples_CS
    found = clips(row, min_s=3, max_s=9)
    assert len(found) == 2
    for clip in found:
        audio = decode(clip.vocals)
        first = round(clip.start_s * RATE)
        np.testing.assert_array_equal(audio.samples_CS, held[:, first : first + audio.samples_CS.shape[1]])
        assert audio.samples_CS.shape[1] == round(clip.duration_s * RATE)
        for word in clip.words:
            assert (clip.start_s + word.start_s, clip.start_s + word.end_s) in [
                (pytest.approx(a, abs=1e-3), pytest.approx(b, abs=1e-3)) for a, b in spans
            ]
        assert [line.text for line in clip.lines] == [word.text for word in clip.words]
        assert [word.line for word in clip.words] == list(range(len(clip.words)))


@pytest.mark.parametrize("audio_format", ["flac", "ogg", "opus", "mp3"])
def test_clips_keep_their_length_in_every_format_whatever_the_stems_rates(audio_format):
    """AutoSing's opus wanted rates of the 48 kHz family; what a codec padded no longer fitted in a batch."""
    vocals = voice([(0.5, 5.5)], 6.0).resampled(22_050)
    row = song([(0.5, 5.5)], 6.0, instrumental=encode(noise(0.01, 6.0).resampled(44_100)))
    (clip,) = clips(Aligned(**{**vars(row), "vocals": encode(vocals)}), audio_format=audio_format)
    for data in (clip.vocals, clip.instrumental):
        assert decode(data).duration_s == pytest.approx(clip.duration_s, abs=0.05)


@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 1500)), max_size=12))
@settings(max_examples=100, deadline=None)
def test_no_cut_inside_a_word(spans):
    words = np.array([(a, a + n) for a, n in spans], np.int64).reshape(-1, 2)
    times, cost = cut_times(10_000, words, words, np.zeros(500, bool), STEP_MS)
    for time in times[1:-1]:
        assert not ((words[:, 0] < time) & (time < words[:, 1])).any()
    assert (times[0], times[-1], cost[0], cost[-1]) == (0, 10_000, 0, 0)
    assert len(times) == len(cost) and (np.diff(times) > 0).all()


def test_the_words_of_a_score_are_not_cut_where_a_held_vowel_fades_out():
    """Nothing is found to be sung in the vowel's last second, nor in the consonant before the first vowel."""
    score = with_times(Score(
        duration_s=10,
        words=(SungWord(text="star"), SungWord(text="far")), syllables=(Syllable(word=0), Syllable(word=1)),
        phones=(
            Phone(symbol="s", place="onset", syllable=0), Phone(symbol="ɑ", place="nucleus", syllable=0),
            Phone(symbol="f", place="onset", syllable=1), Phone(symbol="ɑ", place="nucleus", syllable=1),
        ),
        notes=(Note(start_s=2, end_s=4, midi=57, syllable=0), Note(start_s=4.5, end_s=8, midi=57, syllable=1)),
    ))  # fmt: skip
    row = song([(2.0, 3.9), (4.5, 7.0)], 10.0, score=score.to_json().decode())
    row = Aligned(**{**vars(row), "lines": None, "words": None})
    (clip,) = clips(row, min_s=1)
    held = Score.from_json(clip.score)
    assert [word.text for word in held.words] == ["star", "far"]
    assert clip.start_s <= score.phones[0].start_s < 2 and clip.start_s + clip.duration_s >= 8
    assert clip.duration_s < 9, "what is around the words is still left out"


def test_cuts_fall_into_the_gaps_between_lines():
    spans = [(0.5, 7.0), (8.0, 14.0), (15.0, 21.0)]
    words = [(a + k * (b - a) / 6, a + (k + 1) * (b - a) / 6 - 0.05) for a, b in spans for k in range(6)]
    row = song(spans, 22.0, words)
    lines = [LyricLine(f"line{i}", a, b, 1, True) for i, (a, b) in enumerate(spans)]
    row = Aligned(**{**vars(row), "lines": lines, "words": [
        Word(w.text, w.start_s, w.end_s, 1, i // 6) for i, w in enumerate(row.words)]})  # fmt: skip
    found = clips(row, min_s=4, max_s=9)
    assert [[line.text for line in clip.lines] for clip in found] == [["line0"], ["line1"], ["line2"]]


def test_of_a_cut_line_the_words_inside_stay_and_a_cut_word_goes():
    lines = [Line("a b c", 0, 3, 1, True), Line("d", 3, 4, 1, True)]
    words = [Word("a", 0, 0.9, 1, 0), Word("b", 1, 1.9, 1, 0), Word("c", 2, 2.9, 1, 0), Word("d", 3, 4, 1, 1)]
    kept, inside = rebase(lines, words, 0.95, 3.5)
    assert kept == [Line("b c", pytest.approx(0.05), pytest.approx(1.95), 1, True)]
    assert [(w.text, w.line) for w in inside] == [("b", 0), ("c", 0)]


def noise(level: float, duration_s: float) -> Audio:
    rng = np.random.default_rng(3)
    return Audio((level * rng.standard_normal((1, round(duration_s * RATE)))).astype(np.float32), RATE)


@pytest.mark.parametrize("vocals", [np.zeros((1, 8 * RATE), np.float32), noise(0.1, 8).samples_CS])
def test_silence_and_noise_are_rejected_with_what_was_measured(vocals):
    row = Aligned(**{**vars(song([], 8.0)), "vocals": encode(Audio(vocals, RATE))})
    rejected = Segment(SegmentConfig()).apply(row)
    assert isinstance(rejected, Rejected) and rejected.reason == "no_singing"
    assert rejected.measurement == "0.00 s of singing in 8.0 s, need 1 s"


def test_what_a_separator_leaves_of_a_song_without_a_voice_is_no_singing():
    residue = Audio(voice([(0, 8)], 8.0).samples_CS * 0.01, RATE)
    row = Aligned(**{**vars(song([], 8.0)), "vocals": encode(residue), "instrumental": encode(noise(0.2, 8))})
    assert Segment(SegmentConfig()).apply(row).reason == "no_singing"


def test_sparse_singing_gives_no_window():
    rejected = Segment(SegmentConfig(min_s=10)).apply(song([(10, 12)], 40.0))
    assert isinstance(rejected, Rejected) and rejected.reason == "no_window"


def test_a_row_after_a_broken_one_is_as_if_alone():
    """AutoSing reused the previous song's voice mask after an exception."""
    stage, row = Segment(SegmentConfig()), song([(1.0, 6.5)], 8.0)
    alone = stage.apply(row)
    with pytest.raises(InputError, match="not readable as audio"):
        stage.apply(Aligned(**{**vars(row), "vocals": b"lyrics"}))
    assert stage.apply(row) == alone


@pytest.mark.parametrize("f0_hz", [82.0, 220.0, 880.0])
def test_activity_is_where_the_voice_is(f0_hz):
    spans = [(1.0, 3.0), (4.0, 4.06), (5.0, 7.0), (7.2, 9.0)]
    heard_CS = voice(spans, 10.0, f0_hz).samples_CS
    sung_T = singing_activity(iter([heard_CS]), None, 30, 0.5)
    expected_T = np.zeros(500, bool)
    for start, end in [(1.0, 3.0), (5.0, 9.0)]:
        expected_T[round(start * 50) : round(end * 50)] = True
    assert (sung_T != expected_T).sum() <= 8, "two frames at each edge; the gap is filled, the burst dropped"
    for size in (1000, 70_001):
        blocks = (heard_CS[:, i : i + size] for i in range(0, heard_CS.shape[1], size))
        np.testing.assert_array_equal(singing_activity(blocks, None, 30, 0.5), sung_T)


def test_a_song_without_lrc_or_artist_passes_from_table_to_table(tmp_path):
    """AutoSing compared a null inlier_ratio with a number, and dropped the artist that its next step read."""
    audio = encode(voice([(0.5, 5.5)], 6.0))
    with TableWriter(table_path(tmp_path, 0, "index"), Song) as index:
        for name, artist in (("a", None), ("b", "bo"), ("silent", "bo")):
            index.add(Song(name, audio, artist=artist))
        index.commit("index", 1, 3, {})
    with TableWriter(table_path(tmp_path, 0, "separate"), Separated) as separate:
        for name in ("a", "b", "silent"):
            heard = encode(noise(0.1, 6)) if name == "silent" else audio
            separate.add(Separated(name, 0, 0.0, 6.0, heard, None))
        separate.commit("separate", 1, 3, {})
    with TableWriter(table_path(tmp_path, 0, "align"), Lyrics) as align:
        for name in ("a", "b", "silent"):
            align.add(Lyrics(name, "plain", "en", [], [], lrc_offset_s=None, inlier_ratio=None))
        align.commit("align", 1, 3, {})
    done = process_partition(Segment(SegmentConfig(min_s=2)), tmp_path, 0).meta
    found = list(read_rows(table_path(tmp_path, 0, "segment"), Clip))
    assert (done.rows_in, done.sources, done.rejected) == (3, 2, 1)
    assert [(clip.song, clip.singer, clip.instrumental) for clip in found] == [("a", None, None), ("b", "bo", None)]


def test_settings_are_checked():
    with pytest.raises(InputError, match="min_s 6"):
        SegmentConfig.build({"min_s": 6, "max_s": 5})
    assert issubclass(Segment.Settings, Config)


def test_what_nobody_sings_is_in_no_clip_and_neither_is_backing():
    row = song([(0.5, 7.0)], 8.0, [(1.0, 2.0), (3.0, 4.0)])
    lines = [
        LyricLine("by someone", 0.0, 0.0, 0.0, False, "credit"), LyricLine("a", 1.0, 2.0, 1, True),
        LyricLine("ooh", 1.0, 2.5, 1, True, "backing"), LyricLine("b", 3.0, 4.0, 1, True),
        LyricLine("un b", 3.0, 4.0, 0, False, "translation"),
    ]  # fmt: skip
    words = [Word("a", 1.0, 2.0, 1, 1), Word("ooh", 1.0, 2.5, 1, 2), Word("b", 3.0, 4.0, 1, 3)]
    (clip,) = clips(Aligned(**{**vars(row), "lines": lines, "words": words}))
    assert [line.text for line in clip.lines] == ["a", "b"]
    assert [(word.text, word.line) for word in clip.words] == [("a", 0), ("b", 1)]
