"""lines of words -> the chain of states that sings them, and a path through it -> when each word is sung.

between, line, between, line, ..., between: a line is its words' letters, with silences between the words that may be
stepped over. `between` emits silence, or singing that the lyrics do not hold (ad libs, a chorus written once). A line
may be leapt over at a cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from autosing.text.letters import ALPHABET, UNKNOWN, letters
from processing.alignment.viterbi import NEVER, Chain

SILENCE, BETWEEN = 0, len(ALPHABET) + 2
CLASSES = {char: k + 1 for k, char in enumerate(ALPHABET + UNKNOWN)}
"""letter -> class; 0 is silence, the last class is what lies between lines."""
NUM_CLASSES = BETWEEN + 1


@dataclass(frozen=True)
class Costs:
    """In nats; chosen on made songs."""

    silent_letter: float
    """Stepping over a letter that is written and not heard."""
    absent_line: float
    """Leaping over a line that is not sung."""


@dataclass(frozen=True)
class LineToPlace:
    """A line's words, and the frames it must begin and end in where they are known."""

    words: Sequence[str]
    earliest: int = 0
    latest: int | None = None
    """It begins before this frame (or is not sung)."""
    end: int | None = None
    word_bounds: Sequence[tuple[int, int] | None] = field(default=())
    """For each word: the frames [earliest, latest) it begins in."""


@dataclass(frozen=True)
class LyricsChain:
    """The chain, and which word (counted through all lines) each state belongs to; -1 for silence."""

    chain: Chain
    word_S: np.ndarray
    num_words: int


def build_chain(lines: Sequence[LineToPlace], costs: Costs, num_frames: int) -> LyricsChain:
    """Words without a letter (they should not be given) count as one unknown sound."""
    classes, skips, leap_from, leaps, firsts, ends, owner = [], [], [], [], [], [], []

    def add(cls: int, skip: float, first: int, end: int, word: int = -1, leap: tuple[int, float] = (-1, NEVER)) -> None:
        for values, value in zip(
            (classes, skips, firsts, ends, owner, leap_from, leaps),
            (cls, skip, first, end, word, *leap),
            strict=True,
        ):
            values.append(value)

    before, word = 0, 0
    add(BETWEEN, NEVER, 0, _limit(lines[0].latest if lines else None, num_frames))
    for number, line in enumerate(lines):
        line_end = _limit(line.end, num_frames)
        for k, text in enumerate(line.words):
            bounds = line.word_bounds[k] if k < len(line.word_bounds) else None
            earliest = line.earliest if bounds is None else max(line.earliest, bounds[0])
            if k:
                add(SILENCE, 0.0, line.earliest, line_end if bounds is None else min(line_end, max(bounds[1], 1)))
            sounds = letters(text) or UNKNOWN
            for j, char in enumerate(sounds):
                add(CLASSES[char], costs.silent_letter if j else NEVER, earliest, line_end, word)
            word += 1
        following = lines[number + 1].latest if number + 1 < len(lines) else None
        add(BETWEEN, NEVER, 0, _limit(following, num_frames), leap=(before, costs.absent_line))
        before = len(classes) - 1
    chain = Chain(
        np.array(classes), np.array(skips), np.array(leap_from), np.array(leaps), np.array(firsts), np.array(ends)
    )
    return LyricsChain(chain, np.array(owner), word)


def word_frames(path_T: np.ndarray, lyrics: LyricsChain) -> list[tuple[int, int] | None]:
    """For each word the frames [first, end) it holds; None for the words of a line that was leapt over."""
    owner_T = lyrics.word_S[path_T]
    frames = np.flatnonzero(owner_T >= 0)
    found: list[tuple[int, int] | None] = [None] * lyrics.num_words
    for frame in frames:
        word = owner_T[frame]
        first = found[word]
        found[word] = (int(frame) if first is None else first[0], int(frame) + 1)
    return found


def _limit(frame: int | None, num_frames: int) -> int:
    return num_frames if frame is None else min(max(frame, 1), num_frames)
