"""Figures of clips: what is kept is what was measured, means have the intervals of the clips, the worst is first."""

import json

import numpy as np
import pytest

from autosing.metrics import kept as kept_module
from autosing.metrics.interval import bootstrap_interval, ratio_of_sums
from autosing.metrics.kept import Kept
from autosing.metrics.recognition import Recognised
from autosing.metrics.scores import Scores, badness, summary


def test_a_figure_is_measured_once_for_the_same_sounds_metric_and_config(tmp_path):
    asked = []

    def work() -> dict[str, float | None]:
        asked.append(1)
        return {"a": 0.1 + 0.2, "b": None}

    one_S, other_S = np.zeros(9, np.float32), np.ones(9, np.float32)
    first = Kept(tmp_path).figure("f", {"n": 1}, [other_S, one_S], work)
    later = Kept(tmp_path)
    assert later.figure("f", {"n": 1}, [other_S, one_S], work) == first == {"a": 0.1 + 0.2, "b": None}
    assert (later.hits, later.misses, len(asked)) == (1, 0, 1)
    for metric, config, sounds in (
        ("g", {"n": 1}, [other_S, one_S]), ("f", {"n": 2}, [other_S, one_S]), ("f", {"n": 1}, [one_S, other_S]),
        ("f", {"n": 1}, [one_S]), ("f", {"n": 1}, [other_S, np.zeros(10, np.float32)]),
    ):  # fmt: skip
        before = len(asked)
        later.figure(metric, config, sounds, work)
        assert len(asked) == before + 1, (metric, config)
    values_T = np.random.default_rng(0).standard_normal(7).astype(np.float32)
    assert np.array_equal(later.array("t", {}, [one_S], lambda: values_T), values_T)
    assert np.array_equal(Kept(tmp_path).array("t", {}, [one_S], lambda: -values_T), values_T)
    alone = Kept()
    assert alone.figure("f", {}, [one_S], work) == alone.figure("f", {}, [one_S], work)


def test_a_damaged_file_is_measured_again_and_the_oldest_go_first(tmp_path, monkeypatch):
    for number in range(4):
        Kept(tmp_path).figure("f", {}, [np.full(1, number, np.float32)], lambda n=number: n)
    paths = sorted(tmp_path.glob("*/*.json"), key=lambda path: path.stat().st_mtime_ns)
    paths[-1].write_text("{")
    assert Kept(tmp_path).figure("f", {}, [np.full(1, 3, np.float32)], lambda: 5) == 5
    assert len(json.loads(paths[-1].read_text())) == 1
    monkeypatch.setattr(kept_module, "MOST_FILES", 2)
    Kept(tmp_path)
    assert sum(path.is_file() for path in paths) == 2 and paths[-1].is_file()


def test_means_and_intervals_are_those_of_the_clips():
    rng = np.random.default_rng(0)
    cents, wrong = rng.uniform(5, 50, 30), rng.integers(0, 4, 30)
    clips = [
        Scores(f0_rmse_cents=None if n == 0 else cents[n], lines=(Recognised(5, int(wrong[n]), 20, 0),))
        for n in range(30)
    ]
    found = summary(clips, seed=3)
    wanted = bootstrap_interval(cents[1:], seed=3)
    assert found["f0_rmse_cents"] == {
        "mean": round(wanted.value, 4), "interval": [round(wanted.low, 4), round(wanted.high, 4)], "clips": 29
    }  # fmt: skip
    words = bootstrap_interval(wrong, [5] * 30, statistic=ratio_of_sums, seed=3)
    assert found["wer"]["interval"] == [round(words.low, 4), round(words.high, 4)] and found["wer"]["of"] == 150
    assert found["cer"]["mean"] == 0 and "mel_distance_db" not in found
    assert summary(clips[1:2])["f0_rmse_cents"]["interval"] is None


def test_the_worst_clip_is_bad_in_any_figure_and_any_system():
    good = [Scores(f0_rmse_cents=10.0, f0_correlation=0.99, lines=(Recognised(4, 0, 9, 0),)) for _ in range(4)]
    spoilt = [*good[:2], Scores(f0_rmse_cents=90.0, f0_correlation=0.2, lines=(Recognised(4, 9, 9, 9),)), good[3]]
    assert badness({"a": good, "b": spoilt}).argmax() == 2
    assert np.allclose(badness({"a": good}), 0), "all alike"
    high = [*good[:3], Scores(f0_rmse_cents=10.0, f0_correlation=0.1, lines=(Recognised(4, 0, 9, 0),))]
    assert badness({"b": high}).argmax() == 3, "correlation is better where it is high"
    fast = [Scores(f0_rmse_cents=10.0, rtf=float(n)) for n in range(4)]
    assert np.allclose(badness({"a": fast}), 0), "how long it took says nothing of a clip"
    silent = [Scores(f0_rmse_cents=None if n else 10.0, voicing_error=n / 10) for n in range(4)]
    assert np.isfinite(badness({"a": silent})).all() and badness({"a": silent}).argmax() == 3


def test_a_line_counts_at_most_as_many_errors_as_words():
    assert Scores(lines=(Recognised(2, 40, 8, 1), Recognised(2, 0, 8, 0))).row() == pytest.approx(
        {"wer": 0.5, "cer": 1 / 16}
    )
    assert Scores(found=(1, 4)).row() == {"found_again": 0.25} and Scores(found=(0, 0)).row() == {}
