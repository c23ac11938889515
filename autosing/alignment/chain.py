"""lines of words -> the chain of states that models their singing; a path through it -> when each word is sung.

The chain is: between, line, between, line, ..., between. A line is its words' letters. Between two words are two states
of silence, which may be skipped: a pause costs by the frame, a gap the same however long it lasts. So a held note is
free, and what silence within a line costs grows to that of a gap. Between two lines is silence, or singing that is not
in the lyrics (ad libs, a chorus written once), which costs something to begin: a word at a line's edge that is heard
badly is no such singing. A whole line may be jumped over at a cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from autosing.alignment.viterbi import NEVER, Chain
from autosing.text.letters import ALPHABET, UNKNOWN, letters

SILENCE, PAUSE, BETWEEN = 0, len(ALPHABET) + 2, len(ALPHABET) + 3
CLASSES = {char: k + 1 for k, char in enumerate(ALPHABET + UNKNOWN)}
"""letter -> class. Class 0 is silence; after the letters come PAUSE (silence within a line) and BETWEEN (two lines)."""
NUM_CLASSES = BETWEEN + 1


@dataclass(frozen=True)
class Costs:
    """In nats; tuned on synthetic songs."""

    silent_letter: float
    """Skipping a letter that is written but not sung."""
    absent_line: float
    """Jumping over a line that is not sung."""
    gap: float
    """Silence between two words of a line, however long it lasts."""
    unlisted: float = 0.0
    """Singing between two lines, however long it lasts."""


@dataclass(frozen=True)
class LineToPlace:
    """A line's words, and the frames within which it must begin and end, if they are known."""

    words: Sequence[str]
    earliest: int = 0
    latest: int | None = None
    """It begins before this frame (or is not sung)."""
    end: int | None = None
    word_bounds: Sequence[tuple[int, int] | None] = field(default=())
    """For each word: the frames [earliest, latest) in which it begins."""


@dataclass(frozen=True)
class LyricsChain:
    """The chain, and which word (counted through all lines) each state belongs to; -1 for silence."""

    chain: Chain
    word_S: np.ndarray
    num_words: int


class _State(NamedTuple):
    """One state of the chain with its word; `Chain` holds the same fields as columns."""

    emits: int
    skip: float
    first: int
    end: int
    word: int = -1
    starts: bool = False
    enter: float = 0.0
    leap_from: int = -1
    leap: float = NEVER


def build_chain(lines: Sequence[LineToPlace], costs: Costs, num_frames: int) -> LyricsChain:
    """A word without a letter (callers should not pass one) counts as one unknown sound."""
    until = _limit(lines[0].latest if lines else None, num_frames)
    states = [_State(SILENCE, 0.0, 0, until), _State(BETWEEN, 0.0, 0, until, enter=costs.unlisted)]
    silent, sung, word = 0, 1, 0
    for number, line in enumerate(lines):
        line_end = _limit(line.end, num_frames)
        for k, text in enumerate(line.words):
            bounds = line.word_bounds[k] if k < len(line.word_bounds) else None
            earliest, latest = (line.earliest, line_end) if bounds is None else bounds
            if k:
                until = min(line_end, max(latest, 1))
                states.append(_State(PAUSE, 0.0, line.earliest, until))
                states.append(_State(SILENCE, 0.0, line.earliest, until, enter=costs.gap))
            for j, char in enumerate(letters(text) or UNKNOWN):
                skip = costs.silent_letter if j else NEVER
                states.append(_State(CLASSES[char], skip, max(line.earliest, earliest), line_end, word, j == 0))
            word += 1
        following = lines[number + 1].latest if number + 1 < len(lines) else None
        end = _limit(following, num_frames)
        # Singing that goes on behind a line that is not sung has begun already.
        between = [
            _State(SILENCE, 0.0, 0, end, leap_from=silent, leap=costs.absent_line),
            _State(BETWEEN, 0.0, 0, end, enter=costs.unlisted, leap_from=sung, leap=costs.absent_line - costs.unlisted),
        ]
        silent, sung = len(states), len(states) + 1
        if number + 1 == len(lines):  # the path ends in the last state, which must cost nothing
            between.reverse()
        states += between
    columns = [np.array(column) for column in zip(*states, strict=True)]
    emits_S, skip_S, first_S, end_S, word_S, starts_S, enter_S, leap_from_S, leap_S = columns
    return LyricsChain(Chain(emits_S, starts_S, enter_S, skip_S, leap_from_S, leap_S, first_S, end_S), word_S, word)


def word_frames(path_T: np.ndarray, lyrics: LyricsChain) -> list[tuple[int, int] | None]:
    """For each word its frames [first, end); None for the words of a line that was jumped over."""
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
