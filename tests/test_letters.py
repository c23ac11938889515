"""What the letter head learns from: windows of known words, and letters that find their places in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.audio.io import Audio, encode
from autosing.schemas.sample import DatasetIndex
from autosing.schemas.tables import Line, Word
from autosing.songs.truth import SongTruth, save_truth
from autosing.storage.shards import read_shard
from autosing.text.letters import ALPHABET
from dataset_builder.verify import verify
from support.datasets import make_dataset
from train.letters import dataset as letters_dataset
from train.letters.dataset import LettersConfig, cut_windows, cut_words, make_letters
from train.letters.lexicon import draw_line
from train.letters.places import best_order, place_letters, window_words
from train.letters.windows import WINDOW_S, LetterWindow, TimedWord, make_window

RATE_HZ = 50


def words_of(*timed, score=1.0, line=0):
    return [Word(text, first / RATE_HZ, end / RATE_HZ, score, line) for text, first, end in timed]


def lines_of(*fits):
    return [Line("", 0.0, 1.0, 1.0, fit) for fit in fits]


def placed(known, score_TL=None):
    return place_letters(len(known.counted_T), known.stretch_3R, known.state_5K, score_TL)


def scores(text, num_frames=40):
    """score_TL under which each frame sounds like the letter given, `.` like silence."""
    score_TL = np.full((num_frames, 27), -5.0)
    for frame, char in enumerate(text.ljust(num_frames, ".")):
        score_TL[frame, 0 if char == "." else ALPHABET.index(char) + 1] = 0.0
    return score_TL


def spelt(letter_T):
    return "".join("." if letter == 0 else ALPHABET[letter - 1] for letter in letter_T).rstrip(".")


def test_sure_words_keep_their_times_and_share_them_evenly_at_first():
    known = window_words(words_of(("ab", 2, 8), ("xyz", 10, 14)), lines_of(True), 40)
    letter_T, start_T = placed(known)
    assert spelt(letter_T) == "..aaabbb..xxyz"
    assert np.nonzero(start_T == 1)[0].tolist() == [2, 10] and np.nonzero(start_T)[0].tolist() == [1, 2, 3, 9, 10, 11]
    letter_T, again_T = placed(known, scores("abbbbbbbb....xyz"))
    assert spelt(letter_T) == "..abbbbb..xyzz", "letters move, the word does not; each has a frame or more"
    assert np.array_equal(start_T, again_T)


def test_every_letter_of_a_word_gets_a_frame_while_there_are_enough():
    known = window_words(words_of(("abc", 5, 10), ("xyz", 15, 16)), lines_of(True), 20)
    letter_T, start_T = placed(known, np.zeros((20, 27)))
    assert sorted(set(letter_T[5:10])) == [1, 2, 3]
    assert letter_T[15] in (24, 25, 26) and start_T[15] == 1
    assert set(letter_T[:5]) == {0}


def test_other_words_of_a_line_find_their_places_together_give_or_take():
    words = words_of(("ab", 5, 9), ("cd", 9, 20), score=0.8)
    known = window_words(words, lines_of(True), 40, slack_s=0.06)
    assert spelt(placed(known)[0]) == ".....aabbccccccddddd"
    letter_T, start_T = placed(known, scores("...aaaabbbb...ccdddddd."))
    assert spelt(letter_T) == "...aaaabbbb...ccdddddd"
    assert np.nonzero(start_T == 1)[0].tolist() == [3, 14]
    near, _ = placed(window_words(words, lines_of(True), 40, slack_s=0.0), scores("...aaaabbbb...ccdddddd."))
    assert spelt(near) == ".....aabbbb...ccdddd", "without slack the ends of the run stay"


def test_a_run_moves_at_most_half_of_the_way_to_its_neighbour():
    words = [*words_of(("ab", 2, 6)), *words_of(("cd", 10, 14), score=0.5, line=1)]
    known = window_words(words, lines_of(True, True), 40, slack_s=1.0)
    assert known.stretch_3R.T.tolist() == [[2, 6, 2], [8, 27, 4]]


def test_what_is_not_known_is_not_counted():
    words = [
        *words_of(("ab", 2, 6), ("7", 8, 12), ("!", 13, 14)), *words_of(("cd", 20, 24), line=1),
        *words_of(("ef", 36, 44)),
    ]  # fmt: skip
    lines = [Line("", 0.04, 0.88, 1.0, True), Line("", 0.38, 0.5, 0.0, False)]
    known = window_words(words, lines, 40)
    assert np.nonzero(~known.counted_T)[0].tolist() == [*range(8, 12), *range(19, 26), *range(36, 40)]
    assert spelt(placed(known)[0]) == "..aabb"


@given(st.integers(1, 3), st.integers(0, 5), st.integers(0, 99), st.booleans())
@settings(deadline=None)
def test_the_best_order_is_the_best_of_all(num_letters, more, seed, silences):
    """Against all ways, one by one."""
    rng = np.random.default_rng(seed)
    optional = [False] * num_letters
    if silences:
        optional = [True, *(flag for _ in range(num_letters) for flag in (False, True))]
    score_TK = rng.standard_normal((num_letters + more, len(optional)))

    def ways(frame, state):
        if frame == len(score_TK) - 1:
            return [[state]] if state >= len(optional) - 1 - optional[-1] else []
        following = [state, state + 1, *([state + 2] if state + 2 < len(optional) and optional[state + 1] else [])]
        return [[state, *rest] for near in following if near < len(optional) for rest in ways(frame + 1, near)]

    every = ways(0, 0) + (ways(0, 1) if optional[0] else [])
    totals = [score_TK[np.arange(len(score_TK)), way].sum() for way in every]
    path_T = best_order(score_TK, np.array(optional))
    assert path_T.tolist() in every
    assert score_TK[np.arange(len(score_TK)), path_T].sum() == pytest.approx(max(totals))


def test_a_window_is_a_function_of_its_seed_and_knows_its_words(monkeypatch):
    monkeypatch.setattr("train.letters.windows._SEPARATED", 0.0)
    window, again = make_window(0, 2), make_window(0, 2)
    assert np.array_equal(window.audio_S, again.audio_S)
    assert window.words == again.words
    assert len(window.audio_S) == WINDOW_S * 16000
    assert all(0 <= word.start_s < word.end_s <= WINDOW_S for word in window.words)
    assert draw_line("latin", np.random.default_rng(0)) == draw_line("latin", np.random.default_rng(0))


@given(st.lists(st.tuples(st.floats(0.05, 9), st.floats(0.05, 3)), min_size=1, max_size=40), st.floats(0.5, 5))
@settings(deadline=None)
def test_windows_hold_every_word_whole_and_are_no_longer_than_whisper_hears(gaps, rest_s):
    words, at_s = [], 0.0
    for gap_s, length_s in gaps:
        words.append(Word("a", at_s + gap_s, at_s + gap_s + length_s, 1.0, 0))
        at_s += gap_s + length_s
    windows = cut_windows(words, at_s + rest_s)
    assert all(0 < end_s - start_s <= WINDOW_S + 1e-6 for start_s, end_s in windows)
    line = [Line("", 0.0, at_s, 1.0, True)]
    cut = [cut_words(line, words, start_s, end_s)[1] for start_s, end_s in windows]
    assert sum(map(len, cut)) == len(words)
    assert all(
        0 <= word.start_s < word.end_s <= end - start + 1e-3
        for (start, end), own in zip(windows, cut, strict=True)
        for word in own
    )


def _cheap(seed, index):
    rng = np.random.default_rng(index)
    words = [TimedWord("river", 1.0, 2.0)] if index != 3 else []
    return LetterWindow((0.1 * rng.standard_normal(480_000)).astype(np.float32), words, "en-us")


def test_a_dataset_of_windows_is_one_that_verify_takes_and_a_killed_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(letters_dataset, "make_window", _cheap)
    config = LettersConfig(windows=40)
    index = make_letters(tmp_path / "a", config)
    assert {name: split.rows for name, split in index.splits.items()} == {"train": 37, "valid": 2}
    assert verify(tmp_path / "a") == [
        {"split": "train", "shards": 2, "clips": 37},
        {"split": "valid", "shards": 1, "clips": 2},
    ]
    assert all(
        word.score == 1
        for _, sample in read_shard(tmp_path / "a" / index.splits["valid"].shards[0].path)
        for word in sample.meta.words
    )
    (tmp_path / "a" / "index.json").unlink()
    (tmp_path / "a" / index.splits["train"].shards[1].path).unlink()
    made = []
    monkeypatch.setattr(letters_dataset, "make_window", lambda *a: made.append(a[1]) or _cheap(*a))
    assert make_letters(tmp_path / "a", config) == index
    assert len(made) == 6, "the one shard that was not there"


def test_clips_of_a_built_dataset_are_taken_as_they_are_or_heard_in_other_rooms(tmp_path, monkeypatch):
    make_dataset(tmp_path / "built", {"train": 3, "valid": 2}, groups=("meta", "audio"))
    monkeypatch.setattr("train.letters.windows._SEPARATED", 0.0)
    plain = make_letters(tmp_path / "plain", LettersConfig(windows=0, clips=(str(tmp_path / "built"),), copies=0))
    verify(tmp_path / "plain")

    def voices(place, index):
        return {
            sample.id: sample.audio("vocals") for _, sample in read_shard(place / index.splits["train"].shards[0].path)
        }

    built = voices(tmp_path / "built", DatasetIndex.load(tmp_path / "built"))
    for id, voice in voices(tmp_path / "plain", plain).items():
        np.testing.assert_array_equal(voice.samples_CS, built[id].samples_CS)
    twice = make_letters(tmp_path / "twice", LettersConfig(windows=0, clips=(str(tmp_path / "built"),), copies=2))
    verify(tmp_path / "twice")
    assert {name: split.rows for name, split in twice.splits.items()} == {"train": 6, "valid": 4}
    first, second = list(voices(tmp_path / "twice", twice).values())[:2]
    assert first.sample_rate_hz == 16_000 and not np.array_equal(first.samples_CS, second.samples_CS)


def test_songs_of_known_truth_bring_their_sung_and_their_spoken_words(tmp_path):
    for id, artist in (("song0", "a"), ("song1", "b")):
        home = tmp_path / "songs" / "truth" / id
        home.mkdir(parents=True)
        words = words_of(("river", 50, 100), ("stone", 150, 250)) + words_of(("moon", 2200, 2300), line=1)
        spoken = words_of(("river", 10, 30), ("stone", 30, 50)) + words_of(("moon", 60, 80), line=1)
        lines = [Line("river stone", 1.0, 5.0, 1.0, True), Line("moon", 44.0, 46.0, 1.0, True)]
        save_truth(
            SongTruth(id, artist, "en", 90, 0, [], 50.0, lines, ["verse", "verse"], words, [], [], [],
                      np.zeros(1, np.float32), spoken), home
        )  # fmt: skip
        for name, seconds in (("vocals_dry", 50), ("speech", 2)):
            voice_S = 0.1 * np.random.default_rng(0).standard_normal(seconds * 8000)
            (home / f"{name}.flac").write_bytes(encode(Audio(voice_S.astype(np.float32)[None], 8000)))
    index = make_letters(tmp_path / "data", LettersConfig(windows=0, songs=(str(tmp_path / "songs"),), copies=0))
    verify(tmp_path / "data")
    samples = [
        s
        for split in index.splits.values()
        for shard in split.shards
        for _, s in read_shard(tmp_path / "data" / shard.path)
    ]
    found = {sample.id: sample for sample in samples}
    assert sorted(found) == sorted(
        f"{song}-{kind}-0" for song in ("song0", "song1") for kind in ("speech-0", "vocals-700", "vocals-24500")
    )
    sung = found["song0-vocals-24500-0"].meta
    assert [(word.text, word.start_s, word.score, word.line) for word in sung.words] == [("moon", 19.5, 1.0, 0)]
    assert [line.text for line in sung.lines] == ["moon"]
    assert found["song0-speech-0-0"].meta.lines[0].text == "river stone"
    assert found["song0-vocals-700-0"].audio().duration_s == pytest.approx(23.8)
