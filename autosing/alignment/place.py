"""lines of lyrics (stamped or not) + scores of the voice -> when each word is sung, with a score for each.

Shapes: T frames of 20 ms, C classes of autosing.alignment.chain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autosing.alignment.chain import PAUSE, Costs, LineToPlace, build_chain, word_frames
from autosing.alignment.offset import LrcOffset, estimate_offset
from autosing.alignment.viterbi import best_path

_MIN_TOLERANCE_S, _MAX_TOLERANCE_S = 0.3, 1.5
"""How far from its stamp a line may begin, at least and at most; between them three times the stamps' spread."""
_WORD_TOLERANCE_S = 0.5
"""How far from its own stamp a word may begin (enhanced LRC)."""
_MIN_INLIER_RATIO = 0.5
"""If fewer lines agree on an offset, the stamps are probably of another recording, and the offset is not used."""


@dataclass(frozen=True)
class SungLine:
    """A line, the words in it that are sung, and its stamps if it has any (seconds, on the lyrics' own clock)."""

    text: str
    words: tuple[str, ...]
    start_s: float | None = None
    word_starts_s: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Scores:
    """In nats: the score of each class in each frame, and of starting a word there."""

    class_TC: np.ndarray
    start_T: np.ndarray


@dataclass(frozen=True)
class PlacedWord:
    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True)
class PlacedLine:
    """Words in order; None if the line was not found."""

    words: tuple[PlacedWord, ...] | None

    @property
    def score(self) -> float:
        """The mean over its words, weighted by their lengths."""
        if not self.words:
            return 0.0
        weights = [word.end_s - word.start_s for word in self.words]
        return float(np.average([word.score for word in self.words], weights=weights))


def place_plain(
    scores: Scores, lines: Sequence[SungLine], costs: Costs, rate_hz: int
) -> tuple[list[PlacedLine], float]:
    """One path through the whole song: a line can be early or late only if all its neighbours are too."""
    return _place(scores, [LineToPlace(line.words) for line in lines], costs, rate_hz)


def place_stamped(
    scores: Scores, lines: Sequence[SungLine], costs: Costs, rate_hz: int
) -> tuple[list[PlacedLine], LrcOffset]:
    """Each line near its stamps, shifted by the offset on which most lines agree.

    If few lines agree, both the stamps without a shift and no stamps at all are tried; the higher total score wins.
    """
    free, _ = place_plain(scores, lines, costs, rate_hz)
    detected = [line.words[0].start_s if line.words else None for line in free]
    offset = estimate_offset([line.start_s for line in lines], detected)
    if offset.inlier_ratio >= _MIN_INLIER_RATIO:
        return _place(scores, _bounded(lines, offset, rate_hz), costs, rate_hz)[0], offset
    as_given = replace(offset, offset_s=0.0, spread_s=_MAX_TOLERANCE_S)
    placed, _ = _place(scores, _bounded(lines, as_given, rate_hz), costs, rate_hz)
    if _total(placed) >= _total(free):
        return placed, as_given
    return free, offset


def place_near(
    scores: Scores, line: SungLine, from_s: float, to_s: float, costs: Costs, rate_hz: int, offset: LrcOffset
) -> PlacedLine:
    """One line alone, near its stamp; without a stamp between two times."""
    (wanted,) = _bounded([line], offset, rate_hz)
    if line.start_s is None:
        wanted = LineToPlace(line.words, earliest=max(0, round(from_s * rate_hz)), end=max(1, round(to_s * rate_hz)))
    return _place(scores, [wanted], costs, rate_hz)[0][0]


def _place(scores: Scores, lines: Sequence[LineToPlace], costs: Costs, rate_hz: int) -> tuple[list[PlacedLine], float]:
    lyrics = build_chain(lines, costs, len(scores.class_TC))
    path_T, score = best_path(scores.class_TC, scores.start_T, lyrics.chain)
    if path_T is None:
        return [PlacedLine(None) for _ in lines], score
    spans = word_frames(path_T, lyrics)
    likeliest_T = scores.class_TC[:, :PAUSE].max(axis=1)
    closeness_T = np.exp(scores.class_TC[np.arange(len(path_T)), lyrics.chain.class_S[path_T]] - likeliest_T)
    placed, at = [], 0
    for line in lines:
        own = spans[at : at + len(line.words)]
        at += len(line.words)
        words = tuple(
            PlacedWord(span[0] / rate_hz, span[1] / rate_hz, float(closeness_T[span[0] : span[1]].mean()))
            for span in own
            if span is not None
        )
        placed.append(PlacedLine(words if words and len(words) == len(line.words) else None))
    return placed, score


def _bounded(lines: Sequence[SungLine], offset: LrcOffset, rate_hz: int) -> list[LineToPlace]:
    """Lines without a stamp share the span of the line before them; so do lines with equal stamps."""
    tolerance_s = float(np.clip(3 * offset.spread_s, _MIN_TOLERANCE_S, _MAX_TOLERANCE_S))

    def frame(time_s: float) -> int:
        return max(0, round((time_s + offset.offset_s) * rate_hz))

    bounded = []
    start_s: float | None = None
    for number, line in enumerate(lines):
        start_s = start_s if line.start_s is None else line.start_s
        later = [s for following in lines[number + 1 :] if (s := following.start_s) is not None and s > (start_s or 0)]
        end = frame(later[0] + tolerance_s) if later else None
        bounded.append(
            LineToPlace(
                line.words,
                stamped=True,
                earliest=0 if start_s is None else frame(start_s - tolerance_s),
                latest=frame(line.start_s + tolerance_s) + 1 if line.start_s is not None else None,
                end=end,
                word_bounds=tuple(
                    None if s is None else (frame(s - _WORD_TOLERANCE_S), frame(s + _WORD_TOLERANCE_S) + 1)
                    for s in line.word_starts_s
                ),
            )
        )
    return bounded


def _total(placed: Sequence[PlacedLine]) -> float:
    return sum(line.score for line in placed)
