"""lines of lyrics (stamped or not) + scores of the voice -> when each word is sung, with a score for each.

Shapes: T frames of 20 ms, C classes of autosing.alignment.chain.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autosing.alignment.chain import BETWEEN, PAUSE, SILENCE, Costs, LineToPlace, build_chain, word_frames
from autosing.alignment.offset import LrcOffset, estimate_offset
from autosing.alignment.viterbi import best_path
from autosing.text.letters import letters

_MIN_TOLERANCE_S, _MAX_TOLERANCE_S = 0.3, 1.5
"""How far from its stamp a line may begin, at least and at most; between them three times the stamps' spread."""
_WORD_TOLERANCE_S = 0.5
"""How far from its own stamp a word may begin (enhanced LRC)."""
_SHORTEST_SYLLABLE_S = 0.1
"""A line that takes less for each of its syllables was not sung so."""
_LONGEST_ROOM_S = 30.0
_VOWELS = re.compile("[aeiouy]+")
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
    """How near its letters are to the likeliest ones in its frames, 0..1."""
    evidence: float = 0.0
    """How much better its letters explain what is heard than singing in no line, in nats a letter."""


@dataclass(frozen=True)
class PlacedLine:
    """Words in order; None if the line was not found."""

    words: tuple[PlacedWord, ...] | None
    rating: float | None = None
    """The chance that it is in its place, once `confidence.rated` has told it; its words' scores are chances, too."""

    @property
    def score(self) -> float:
        return self.closeness if self.rating is None else self.rating

    @property
    def closeness(self) -> float:
        """The mean of its words' scores, weighted by their lengths."""
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
        return _near_stamps(scores, lines, free, offset, costs, rate_hz), offset
    as_given = replace(offset, offset_s=0.0, spread_s=_MAX_TOLERANCE_S)
    placed = _near_stamps(scores, lines, free, as_given, costs, rate_hz)
    if _total(placed) >= _total(free):
        return placed, as_given
    return free, offset


def _near_stamps(
    scores: Scores, lines: Sequence[SungLine], free: Sequence[PlacedLine], offset: LrcOffset, costs: Costs, rate_hz: int
) -> list[PlacedLine]:
    """A line that is not heard at its stamp, but was found without stamps, loses it, and all lines are placed again."""
    bounded = _bounded(lines, offset, rate_hz)
    placed, _ = _place(scores, bounded, costs, rate_hz)
    astray = [k for k, line in enumerate(placed) if line.words is None and free[k].words is not None]
    if not astray:
        return placed
    freed = [LineToPlace(line.words) if k in astray else line for k, line in enumerate(bounded)]
    again, score = _place(scores, freed, costs, rate_hz)
    return placed if score == -np.inf else again


def place_near(
    scores: Scores, line: SungLine, from_s: float, to_s: float, costs: Costs, rate_hz: int, offset: LrcOffset
) -> PlacedLine:
    """One line alone, near its stamp; without a stamp between two times."""
    (wanted,) = _bounded([line], offset, rate_hz)
    if line.start_s is None:
        wanted = LineToPlace(line.words, earliest=max(0, round(from_s * rate_hz)), end=max(1, round(to_s * rate_hz)))
    return _place(scores, [wanted], costs, rate_hz)[0][0]


def _place(scores: Scores, lines: Sequence[LineToPlace], costs: Costs, rate_hz: int) -> tuple[list[PlacedLine], float]:
    """The best path; a line that it squeezes into a moment gets all the room up to the next line."""
    placed, score = _on_best_path(scores, lines, costs, rate_hz)
    for number, (line, found) in enumerate(zip(lines, placed, strict=True)):
        if found.words is None or any(line.word_bounds):
            continue
        shortest_s = _SHORTEST_SYLLABLE_S * sum(map(syllables, line.words))
        if found.words[-1].end_s - found.words[0].start_s >= shortest_s:
            continue
        later = (other.words[0].start_s for other in placed[number + 1 :] if other.words)
        end = min(round(next(later, len(scores.class_TC) / rate_hz) * rate_hz), line.end or len(scores.class_TC))
        placed[number] = _in_room(scores, line, found, end, costs, rate_hz)
    return placed, score


def _in_room(scores: Scores, line: LineToPlace, found: PlacedLine, end: int, costs: Costs, rate_hz: int) -> PlacedLine:
    """The line alone between where it begins and the frame `end`, where nothing else is sung."""
    assert found.words
    first = round(found.words[0].start_s * rate_hz)
    end = min(end, first + round(_LONGEST_ROOM_S * rate_hz))
    class_TC = scores.class_TC[first:end].copy()
    class_TC[:, BETWEEN] = class_TC[:, PAUSE] = class_TC[:, SILENCE]
    room = Scores(class_TC, scores.start_T[first:end])
    (alone,), _ = _on_best_path(room, [LineToPlace(line.words)], replace(costs, absent_line=np.inf), rate_hz)
    if alone.words is None:
        return found
    moved = (replace(w, start_s=w.start_s + first / rate_hz, end_s=w.end_s + first / rate_hz) for w in alone.words)
    return PlacedLine(tuple(moved))


def syllables(word: str) -> int:
    """Groups of vowels; at least one."""
    return max(1, len(_VOWELS.findall(letters(word))))


def _on_best_path(
    scores: Scores, lines: Sequence[LineToPlace], costs: Costs, rate_hz: int
) -> tuple[list[PlacedLine], float]:
    lyrics = build_chain(lines, costs, len(scores.class_TC))
    path_T, score = best_path(scores.class_TC, scores.start_T, lyrics.chain)
    if path_T is None:
        return [PlacedLine(None) for _ in lines], score
    spans = word_frames(path_T, lyrics)
    likeliest_T = scores.class_TC[:, :PAUSE].max(axis=1)
    own_T = scores.class_TC[np.arange(len(path_T)), lyrics.chain.class_S[path_T]]
    closeness_T, evidence_T = np.exp(own_T - likeliest_T), own_T - scores.class_TC[:, BETWEEN]
    placed, at = [], 0
    for line in lines:
        own = spans[at : at + len(line.words)]
        at += len(line.words)
        words = tuple(
            PlacedWord(
                span[0] / rate_hz,
                span[1] / rate_hz,
                float(closeness_T[span[0] : span[1]].mean()),
                float(evidence_T[span[0] : span[1]].sum()) / max(1, len(letters(text))),
            )
            for text, span in zip(line.words, own, strict=True)
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
