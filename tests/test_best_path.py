"""The best path through a chain of states: known, better than any other, the same in pieces, or told to be none."""

import itertools

import numpy as np
import pytest

from autosing.alignment.viterbi import NEVER, Chain, best_path


def _chain(classes, starts=None, skip=None, enter=None, leap_from=None, leap=None, first=None, end=None):
    size = len(classes)

    def filled(values, default):
        return np.array([default] * size if values is None else values)

    return Chain(
        np.array(classes), filled(starts, False), filled(enter, 0.0), filled(skip, NEVER),
        filled(leap_from, -1), filled(leap, NEVER), filled(first, 0), filled(end, 10**6),
    )  # fmt: skip


def test_a_known_best_path_is_found():
    score_TC = np.full((9, 3), -5.0)
    score_TC[[0, 1, 2], 0] = score_TC[[3, 4, 5, 6], 1] = score_TC[[7, 8], 2] = 0.0
    path_T, score = best_path(score_TC, np.zeros(len(score_TC)), _chain([0, 1, 2]))
    assert path_T.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert score == 0.0


def test_no_path_is_better():
    rng = np.random.default_rng(3)
    for _ in range(20):
        score_TC = rng.normal(size=(6, 3)).astype(np.float32)
        chain = _chain(
            [0, 1, 2, 0, 1], starts=[0, 1, 0, 1, 0], skip=[NEVER, 0.3, 0.1, NEVER, NEVER], enter=[0, 0, 0.6, 0, 0.2],
            leap_from=[-1, -1, -1, -1, 0],
            leap=[NEVER, NEVER, NEVER, NEVER, 0.7], first=[0, 0, 2, 0, 0], end=[9, 3, 9, 9, 9],
        )  # fmt: skip
        start_T = rng.normal(size=6).astype(np.float32)
        path_T, score = best_path(score_TC, start_T, chain)
        best = max(_score(score_TC, start_T, chain, path) for path in itertools.product(range(5), repeat=6))
        assert score == pytest.approx(best, abs=1e-5)
        assert _score(score_TC, start_T, chain, path_T) == pytest.approx(best, abs=1e-5)


def _score(score_TC, start_T, chain, path):
    if path[0] != 0 or path[-1] != len(chain.class_S) - 1:
        return -np.inf
    total = 0.0
    for frame, state in enumerate(path):
        if not chain.first_S[state] <= frame < chain.end_S[state]:
            return -np.inf
        total += score_TC[frame, chain.class_S[state]]
        before = path[frame - 1] if frame else state
        if state != before:
            total += start_T[frame] * chain.starts_S[state] - chain.enter_S[state]
        ways = [-np.inf]
        if before <= state:
            ways.append(-sum(chain.skip_S[before + 1 : state]))
        if chain.leap_from_S[state] == before:
            ways.append(-chain.leap_S[state])
        total += max(ways)
    return total


def test_long_songs_take_the_same_path_as_through_one_table():
    """Checkpoints are 64 frames apart at least; a path over many of them is still the best."""
    classes = [k % 4 for k in range(40)]
    switches = np.sort(np.random.default_rng(0).choice(np.arange(1, 3000), 39, replace=False))
    truth_T = np.searchsorted(switches, np.arange(3000), side="right")
    score_TC = np.full((3000, 4), -1.0, np.float32)
    score_TC[np.arange(3000), np.array(classes)[truth_T]] = 0.0
    path_T, score = best_path(score_TC, np.zeros(len(score_TC)), _chain(classes))
    assert score == 0.0
    assert np.array_equal(path_T, truth_T)


def test_bounds_that_cannot_be_kept_are_told():
    path_T, score = best_path(np.zeros((4, 2)), np.zeros(4), _chain([0, 1], first=[0, 9]))
    assert path_T is None
    assert score == -np.inf
