"""lines that were found and lines that were not -> a time for every word, in order and within the song."""

from collections.abc import Sequence

from autosing.alignment.place import PlacedLine, PlacedWord, SungLine

_WORD_S = 0.4
"""Assumed length of a word in a line that was not found, if there is room."""


def fill_gaps(
    placed: Sequence[PlacedLine], lines: Sequence[SungLine], offset_s: float, shift_s: float, duration_s: float
) -> list[list[PlacedWord]]:
    """Words that were found are shifted by `shift_s`. The others are spread between their neighbours, from their line's
    stamp on if it has one."""
    spans = [None if line.words is None else _shifted(line.words, shift_s, duration_s) for line in placed]
    filled: list[list[PlacedWord]] = []
    for number, (span, line) in enumerate(zip(spans, lines, strict=True)):
        if span is not None:
            filled.append(span)
            continue
        following = next((k for k in range(number, len(spans)) if spans[k] is not None), len(spans))
        next_span = spans[following] if following < len(spans) else None
        begin_s = filled[-1][-1].end_s if filled else 0.0
        limit_s = next_span[0].start_s if next_span else duration_s
        share_s = max(0.0, limit_s - begin_s) / (following - number)
        start_s = begin_s if line.start_s is None else min(max(begin_s, line.start_s + offset_s), limit_s)
        each_s = min(_WORD_S, max(0.0, min(begin_s + share_s, limit_s) - start_s) / len(line.words))
        filled.append(
            [
                PlacedWord(round(start_s + k * each_s, 4), round(start_s + (k + 1) * each_s, 4), 0.0)
                for k in range(len(line.words))
            ]
        )
    return filled


def _shifted(words: Sequence[PlacedWord], shift_s: float, duration_s: float) -> list[PlacedWord]:
    def moved(time_s: float) -> float:
        return round(min(max(time_s + shift_s, 0.0), duration_s), 4)

    return [PlacedWord(moved(word.start_s), moved(word.end_s), word.score) for word in words]
