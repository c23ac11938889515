"""The benchmark of lyrics files: what it asks is what the file holds, and its figures are those that it says."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from autosing.schemas.tables import LyricLine, Lyrics, Word
from autosing.songs.trouble import WrittenLine
from autosing.text.cleaning.clean import clean
from support.lyric_files import lrc_file, page_of_a_site, plain_file, translated_lrc

LINES = [WrittenLine(text, 4.0 + 5 * k, k) for k, text in enumerate(
    ("I was wandering above the trees", "give me a king and a shelter", "where did the weather go", "she came home",
     "the idle mirror will break", "only a fool knows the river"))]  # fmt: skip


@pytest.fixture(scope="module")
def benchmark():
    path = Path(__file__).parents[1] / "benchmarks" / "quality" / "lyrics.py"
    spec = importlib.util.spec_from_file_location("benchmark_lyrics", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_files_hold_all_lines_and_as_many_others_as_they_say():
    rng = np.random.default_rng(0)
    for text, junk in (
        (lrc_file(LINES), 0), (plain_file(LINES), 0), translated_lrc(LINES, "en", rng), page_of_a_site(LINES, 3),
    ):  # fmt: skip
        lines = clean(text).lines
        assert [line.text for line in lines if line.is_sung] == [line.text for line in LINES]
        assert len(lines) - len(LINES) == junk


def _asked(benchmark, times, junk=0):
    texts = [line.text for line in LINES[: len(times)]]
    return benchmark.Asked("song", bytes, "en", None, "\n".join(texts), texts, times, junk)


def _found(*lines):
    """(text, kind, score, fits, onsets) of each line."""
    words = [Word("la", t, t + 0.1, 1.0, k) for k, line in enumerate(lines) for t in line[4]]
    table = [LyricLine(text, 0.0, 1.0, score, fits, kind) for text, kind, score, fits, _ in lines]
    return Lyrics("song", "plain", "en", table, words, None, None)


def test_of_a_line_sung_twice_the_nearest_time_counts_and_one_that_nobody_sings_is_off(benchmark):
    first, second, third = (line.text for line in LINES[:3])
    asked = _asked(benchmark, [[[1.0, 2.0], [11.0, 12.0]], [], [[20.0]]], junk=2)
    lyrics = _found(
        (first, "sung", 0.9, True, [11.15, 12.25]), ("a credit", "sung", 0.2, False, [0.0]),
        (second, "sung", 0.4, True, [15.0]), (third, "translation", 0.0, False, []),
    )  # fmt: skip
    lines, untold = benchmark.match(asked, lyrics)
    assert [None if line is None else pytest.approx(line.off_s) for line in lines] == [0.2, float("inf"), None]
    assert untold == 1
    counts = benchmark.Counts()
    counts.add(asked, lines, untold)
    found = counts.figures()
    assert (found["words"], found["aae_s"], found["within_0.3_s"]) == (2, 0.2, 1.0)
    assert (found["junk_told"], found["sung_lost"]) == (0.5, 0.5)
    assert (found["lines_off"], found["roc_area"], found["fit_precision"], found["fit_recall"]) == (1, 1.0, 0.5, 1.0)


def test_the_roc_area_is_the_share_of_pairs_in_the_right_order(benchmark):
    rng = np.random.default_rng(1)
    sign_N, is_N = rng.integers(0, 5, 60).astype(float), rng.random(60) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in sign_N[is_N] for b in sign_N[~is_N]]
    assert benchmark.roc_area(sign_N, is_N) == pytest.approx(float(np.mean(pairs)))
    assert benchmark.roc_area(sign_N, np.ones(60, bool)) is None
