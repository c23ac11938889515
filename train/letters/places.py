"""words with times -> the letter of each frame: at first equal shares of a word, then the best path under a head.

This is Viterbi training, as in classical speech recognition. How freely letters are placed depends on their word:
- a sure word (of a synthetic song) keeps its times, and its letters divide the frames between them;
- consecutive unsure words of a line (from an aligner) keep the ends of their run within some slack, and are placed in
  it together, with silences between them if that is more likely;
- frames of lines that do not fit, and of words without a known letter (`7`), are not counted.

Shapes: T frames of 20 ms, L classes (silence, a to z), R stretches, K states of all stretches, concatenated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from autosing.schemas.tables import Line, Word
from autosing.text.letters import ALPHABET, letters
from autosing.timebase import LETTER_RATE_HZ

SILENCE = 0


@dataclass(frozen=True)
class WindowWords:
    """What the words tell of a window's letters, without the audio, as arrays that can be batched."""

    counted_T: np.ndarray
    """bool: False where the letter is not known."""
    stretch_3R: np.ndarray
    """int64: first frame, frame after the last, number of states. A stretch is divided among its states in order."""
    state_5K: np.ndarray
    """int64: class; 1 for an optional silence; 1 if a word starts; first frame and frame after the last of its equal
    share."""


@dataclass(frozen=True)
class _Span:
    """A word's frames and classes."""

    first: int
    end: int
    classes: list[int]
    run: int
    """Equal for neighbours that are placed together."""
    sure: bool
    known: bool


def window_words(
    words: Sequence[Word], lines: Sequence[Line], num_frames: int, sure_score: float = 1.0, slack_s: float = 0.2
) -> WindowWords:
    """Words with a score of at least `sure_score` keep their times. The ends of a run of other words may move by
    `slack_s`, but at most half of the way to a neighbour. Words that cross the window's ends are not counted."""
    counted_T = np.ones(num_frames, bool)
    for line in lines:
        if not line.fits:
            counted_T[max(0, _frame(line.start_s)) : max(0, _frame(line.end_s) + 1)] = False
    spans = list(_spans(words, lines, num_frames, sure_score))
    stretches, states, at = [], [], 0
    for _, group in groupby(spans, key=lambda span: span.run):
        own = list(group)
        begin, at = at, at + len(own)
        if not own[0].known:
            counted_T[own[0].first : own[0].end] = False
            continue
        first, end, sure = own[0].first, own[-1].end, own[0].sure
        if not sure:
            slack = round(slack_s * LETTER_RATE_HZ)
            before = spans[begin - 1].end if begin else 0
            after = spans[at].first if at < len(spans) else num_frames
            first = min(first, max(0, first - slack, (first + before + 1) // 2))
            end = max(end, min(num_frames, end + slack, (end + after) // 2))
        held = [] if sure else [(SILENCE, 1, 0, first, first)]
        for span in own:
            length, count = span.end - span.first, len(span.classes)
            edges = [span.first + -(-k * length // count) for k in range(count + 1)]
            held += [(c, 0, k == 0, edges[k], edges[k + 1]) for k, c in enumerate(span.classes)]
            held += [] if sure else [(SILENCE, 1, 0, span.end, span.end)]
        stretches.append((first, end, len(held)))
        states += held
    stretch_3R = np.array(stretches, np.int64).reshape(-1, 3).T
    return WindowWords(counted_T, stretch_3R, np.array(states, np.int64).reshape(-1, 5).T)


def place_letters(
    num_frames: int, stretch_3R: np.ndarray, state_5K: np.ndarray, score_TL: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(letter_T, start_T): the class of each frame (int64), and 1 in a frame in which a word starts, 0.5 beside it.

    score_TL: log-likelihoods of the classes, up to a constant per frame; None: equal shares. A stretch that has no more
    frames than letters is divided equally, too.
    """
    letter_T, start_T, at = np.zeros(num_frames, np.int64), np.zeros(num_frames, np.float32), 0
    for first, end, count in stretch_3R.T.tolist():
        class_K, optional_K, starts_K, first_K, end_K = state_5K[:, at : at + count]
        at += count
        if score_TL is None or end - first <= count - optional_K.sum():
            for k in range(count):
                letter_T[first_K[k] : end_K[k]] = class_K[k]
            starts = first_K[starts_K == 1]
        else:
            path_T = best_order(score_TL[first:end][:, class_K], optional_K == 1)
            letter_T[first:end] = class_K[path_T]
            starts = first + np.searchsorted(path_T, np.nonzero(starts_K)[0])
        for frame in starts.tolist():
            for near, value in ((frame, 1.0), (frame - 1, 0.5), (frame + 1, 0.5)):
                if 0 <= near < num_frames:
                    start_T[near] = max(start_T[near], value)
    return letter_T, start_T


def best_order(score_TK: np.ndarray, optional_K: np.ndarray) -> np.ndarray:
    """path_T, the best path through K states in order. Each has one frame or more, optional ones may have none; no two
    optional states are neighbours. There must be at least as many frames as states that are not optional."""
    num_frames, num_states = score_TK.shape
    skips_K = np.nonzero(optional_K[1:-1])[0] + 2
    lands_K = skips_K - 2
    best_K = np.full(num_states, -np.inf)
    best_K[: 1 + int(optional_K[0])] = score_TK[0, : 1 + int(optional_K[0])]
    moved_TK = np.zeros((num_frames, num_states), np.int8)
    way_3K = np.full((3, num_states), -np.inf)
    for frame in range(1, num_frames):
        way_3K[0], way_3K[1, 1:] = best_K, best_K[:-1]
        way_3K[2, skips_K] = best_K[lands_K]
        moved_TK[frame] = way_3K.argmax(axis=0)
        best_K = way_3K.max(axis=0) + score_TK[frame]
    state = num_states - 1
    if optional_K[-1] and best_K[-2] > best_K[-1]:
        state -= 1
    path_T = np.empty(num_frames, np.int64)
    for frame in range(num_frames - 1, -1, -1):
        path_T[frame] = state
        state -= moved_TK[frame, state]
    return path_T


def _spans(words: Sequence[Word], lines: Sequence[Line], num_frames: int, sure_score: float) -> Iterator[_Span]:
    """The words that sound in the window, in the order of their starts."""
    for number, word in enumerate(sorted(words, key=lambda word: word.start_s)):
        sound = letters(word.text)
        first, end = _frame(word.start_s), _frame(word.end_s)
        if not sound or max(end, first + 1) <= 0 or first >= num_frames:
            continue
        classes = [ALPHABET.index(char) + 1 for char in sound if char in ALPHABET]
        known = bool(classes) and first >= 0 and end <= num_frames and lines[word.line].fits
        sure = word.score >= sure_score
        run = word.line if known and not sure else -1 - number
        yield _Span(max(0, first), min(num_frames, max(end, first + 1)), classes, run, sure, known)


def _frame(time_s: float) -> int:
    return round(time_s * LETTER_RATE_HZ)
