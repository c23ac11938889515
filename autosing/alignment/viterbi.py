"""log-scores of classes over time + a chain of states -> the best path: the state of each frame.

Shapes: T frames, C classes, S states. A path starts in the first state and ends in the last. A state lasts for any
number of frames. It may be skipped at its `skip` cost, and a stretch may be jumped over where `leap_from` allows it.
Memory is O(S sqrt(T)): forward scores are kept at checkpoints, and the path is traced back block by block.
"""

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

_compiled: Any = numba.njit(cache=True)

NEVER = math.inf
_NO = -1e300
_MAX_STEP = 5
"""At most four states in a row are skipped: silent letters, and the two states between words."""


@dataclass(frozen=True)
class Chain:
    """States in order. Costs are in nats. All arrays are [S]."""

    class_S: np.ndarray
    """Which class of the scores the state emits."""
    starts_S: np.ndarray
    """Whether the state starts a word: entering it adds the frame's `start` score."""
    enter_S: np.ndarray
    """The cost of entering the state, however long it then lasts."""
    skip_S: np.ndarray
    """The cost of skipping the state (NEVER: it cannot be skipped)."""
    leap_from_S: np.ndarray
    """A state from which this one may be entered directly, whatever lies between; -1 if none."""
    leap_S: np.ndarray
    """The cost of that jump."""
    first_S: np.ndarray
    """The first frame in which the state may be."""
    end_S: np.ndarray
    """The frame from which on the state may no longer be."""


def best_path(score_TC: np.ndarray, start_T: np.ndarray, chain: Chain) -> tuple[np.ndarray | None, float]:
    """(the state of each frame, the sum of its scores less costs), or (None, -inf) if no path is within the bounds."""
    num_frames, num_states = len(score_TC), len(chain.class_S)
    assert num_frames > 0 and num_states > 0, (num_frames, num_states)
    block = max(64, math.isqrt(4 * num_frames))
    arrays: tuple[Any, ...] = (
        np.ascontiguousarray(score_TC, dtype=np.float32),
        np.ascontiguousarray(start_T, dtype=np.float32),
        chain.class_S.astype(np.int32),
        chain.starts_S.astype(np.bool_),
        chain.enter_S.astype(np.float64),
        chain.skip_S.astype(np.float64),
        chain.leap_from_S.astype(np.int32),
        chain.leap_S.astype(np.float64),
        chain.first_S.astype(np.int64),
        chain.end_S.astype(np.int64),
    )
    forward_S = np.full(num_states, _NO)
    if chain.first_S[0] <= 0 < chain.end_S[0]:
        forward_S[0] = score_TC[0, chain.class_S[0]]
    begins = range(1, num_frames, block)
    checkpoints = []
    for begin in begins:
        checkpoints.append(forward_S)
        forward_S, _ = _advance(*arrays, forward_S, begin, min(num_frames, begin + block), False)
    if forward_S[-1] <= _NO / 2:
        return None, -math.inf
    path_T = np.empty(num_frames, np.int32)
    state = num_states - 1
    for begin, before_S in zip(reversed(begins), reversed(checkpoints), strict=True):
        end = min(num_frames, begin + block)
        _, came_BS = _advance(*arrays, before_S, begin, end, True)
        for frame in range(end - 1, begin - 1, -1):
            path_T[frame] = state
            state = came_BS[frame - begin, state]
    path_T[0] = state
    return path_T, float(forward_S[-1])


@_compiled
def _advance(
    score_TC: np.ndarray, start_T: np.ndarray, class_S: np.ndarray, starts_S: np.ndarray, enter_S: np.ndarray,
    skip_S: np.ndarray, leap_from_S: np.ndarray, leap_S: np.ndarray, first_S: np.ndarray, end_S: np.ndarray,
    before_S: np.ndarray, begin: int, end: int, trace: bool,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Forward scores after the frames [begin, end), and from which state each was reached in each of them."""
    num_states = len(class_S)
    came_BS = np.zeros((end - begin if trace else 0, num_states), np.int32)
    old_S, new_S = before_S.copy(), before_S.copy()
    for frame in range(begin, end):
        for s in range(num_states):
            if frame < first_S[s] or frame >= end_S[s]:
                new_S[s] = _NO
                continue
            worth = (start_T[frame] if starts_S[s] else 0.0) - enter_S[s]
            best, source = old_S[s] - worth, s  # staying has neither; all other transitions enter the state
            if s > 0 and old_S[s - 1] > best:
                best, source = old_S[s - 1], s - 1
            cost, k = 0.0, s - 1
            while k > 0 and skip_S[k] < NEVER and s - k < _MAX_STEP:
                cost += skip_S[k]
                k -= 1
                if old_S[k] - cost > best:
                    best, source = old_S[k] - cost, k
            leap = leap_from_S[s]
            if leap >= 0 and old_S[leap] - leap_S[s] > best:
                best, source = old_S[leap] - leap_S[s], leap
            new_S[s] = best + worth + score_TC[frame, class_S[s]] if best > _NO / 2 else _NO
            if trace:
                came_BS[frame - begin, s] = source
        old_S, new_S = new_S, old_S
    return old_S, came_BS
