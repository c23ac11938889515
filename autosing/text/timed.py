"""Pieces of lyrics with their times, as subtitles, karaoke files and tags hold them -> LRC text with word stamps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autosing.text.lrc import clock, parse_lrc, write_lrc

_GAP_S = 0.02
"""A line that ends no earlier before the next one begins needs no stamp of its end."""


@dataclass(frozen=True)
class TimedLine:
    """A line: its beginning, its end if that is known, and (text, when it begins) for each syllable or word.

    The text of a syllable has the space that parts it from its neighbour. One piece is a line without word stamps.
    """

    start_s: float
    pieces: Sequence[tuple[str, float]]
    end_s: float | None = None
    background: bool = False

    @property
    def text(self) -> str:
        return " ".join("".join(piece for piece, _ in self.pieces).split())


def lrc_of(lines: Iterable[TimedLine]) -> str:
    """Lines in the order of time; an end that is not the next line's beginning becomes a stamp without text.

    The rows of a piece become lines: they share its stamp, which the first of them gets.
    """
    held = sorted((line for line in lines if line.text), key=lambda line: line.start_s)
    rows: list[str] = []
    for number, line in enumerate(held):
        if len(line.pieces) > 1:
            inner = "".join(_stamped(piece, start_s) for piece, start_s in line.pieces)
            end = "" if line.end_s is None else f" <{clock(line.end_s)}>"
            row = f"{inner}{end}"
        else:
            row = "\n".join(filter(None, (" ".join(part.split()) for part in line.pieces[0][0].splitlines())))
        rows.append(f"[{clock(line.start_s)}]{f'[bg: {row}]' if line.background else row}")
        following = held[number + 1].start_s if number + 1 < len(held) else None
        if len(line.pieces) == 1 and line.end_s is not None and (following is None or following - line.end_s > _GAP_S):
            rows.append(f"[{clock(line.end_s)}]")
    return "\n".join(rows)


def tidy_lrc(text: str) -> str:
    """The same LRC with the syllables of each word joined, in the order of time."""
    rows = []
    for line in parse_lrc(text).lines:
        row = write_lrc([line]).strip("\n")
        stamp, _, sung = row.partition("]")
        rows.append(f"{stamp}][bg: {sung}]" if line.background and line.start_s is not None else row)
    return "\n".join(rows)


def _stamped(piece: str, start_s: float) -> str:
    """The space before a piece stays before its stamp."""
    bare = piece.lstrip()
    return f"{piece[: len(piece) - len(bare)]}<{clock(start_s)}>{bare}"
