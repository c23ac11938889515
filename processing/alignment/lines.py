"""a reading of a lyrics file + where its lines are sung -> the lines and words of the table, all with times."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autosing.alignment.place import PlacedLine, PlacedWord
from autosing.schemas.tables import LyricLine, Word
from autosing.text.cleaning.columns import SAME_STAMP_S
from autosing.text.cleaning.line import FileLine
from processing.alignment.backing import BackingLine
from processing.alignment.guess import fill_gaps
from processing.alignment.lyrics import Reading, to_place

_BELONGS = ("translation", "romanisation")
"""Lines of these kinds have the times of the line that they say in other words."""


@dataclass(frozen=True)
class Timing:
    """What turns the aligner's times into those of the table."""

    offset_s: float
    """Added to stamps."""
    shift_s: float
    """Added to what was found."""
    duration_s: float
    min_line_score: float


def lead_spans(reading: Reading, lead: Sequence[PlacedLine], timing: Timing) -> dict[int, list[PlacedWord]]:
    """Number of a sung line -> its words, also of a line that was not found."""
    spans = fill_gaps(lead, reading.sung, timing.offset_s, timing.shift_s, timing.duration_s)
    return dict(zip(reading.numbers("sung"), spans, strict=True))


def backing_lines(reading: Reading, spans: dict[int, list[PlacedWord]]) -> list[BackingLine]:
    """The backing lines, each with the time of the sung line before it."""
    found = []
    for number in reading.numbers("backing"):
        before = spans.get(_sung_before(reading.lines, number))
        from_s, to_s = (before[0].start_s, before[-1].end_s) if before else (0.0, 0.0)
        found.append(BackingLine(to_place(reading.lines[number]), from_s, to_s))
    return found


def table_lines(
    reading: Reading, lead: Sequence[PlacedLine], backing: Sequence[tuple[BackingLine, PlacedLine]], timing: Timing
) -> tuple[list[LyricLine], list[Word]]:
    """All lines in the file's order, and the words of those that are sung, in the lead or beside it."""
    spans = lead_spans(reading, lead, timing)
    placed = dict(zip(reading.numbers("sung"), lead, strict=True))
    for number, (item, found) in zip(reading.numbers("backing"), backing, strict=True):
        wanted = item.line if item.line.start_s is not None else replace(item.line, start_s=item.to_s - timing.offset_s)
        (spans[number],) = fill_gaps([found], [wanted], timing.offset_s, timing.shift_s, timing.duration_s)
        placed[number] = found
    lines, words = [], []
    for number, line in enumerate(reading.lines):
        if number not in spans:
            start_s, end_s = _unsung(reading.lines, number, spans, timing)
            lines.append(LyricLine(line.text, start_s, end_s, 0.0, False, line.kind, line.reason))
            continue
        own, asked = spans[number], to_place(line)
        score = round(placed[number].score, 4)
        fits = placed[number].words is not None and score >= timing.min_line_score
        lines.append(LyricLine(asked.text, own[0].start_s, own[-1].end_s, score, fits, line.kind, line.reason))
        words += [
            Word(text, word.start_s, word.end_s, round(word.score, 4), number)
            for text, word in zip(asked.words, own, strict=True)
        ]
    return lines, words


def _sung_before(lines: Sequence[FileLine], number: int) -> int:
    return next((k for k in range(number - 1, -1, -1) if lines[k].is_sung), -1)


def _unsung(
    lines: Sequence[FileLine], number: int, spans: dict[int, list[PlacedWord]], timing: Timing
) -> tuple[float, float]:
    """(start, end) of a line that nobody sings: of the line that it translates, or a point where it stands."""
    line, before = lines[number], _sung_before(lines, number)
    own = spans.get(_same_stamp(lines, number, before) if line.kind in _BELONGS else -1)
    if own:
        return own[0].start_s, own[-1].end_s
    if line.start_s is None:
        at_s = spans[before][-1].end_s if before in spans else 0.0
    else:
        at_s = line.start_s + timing.offset_s + timing.shift_s
    at_s = round(min(max(at_s, 0.0), timing.duration_s), 4)
    return at_s, at_s


def _same_stamp(lines: Sequence[FileLine], number: int, before: int) -> int:
    """The sung line with the same stamp; without a stamp the one before it."""
    start_s = lines[number].start_s
    if start_s is None:
        return before
    for k, line in enumerate(lines):
        if line.is_sung and line.start_s is not None and abs(line.start_s - start_s) <= SAME_STAMP_S:
            return k
    return before
