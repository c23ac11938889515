"""Lines of a file, headings among them -> the same with what `x2` and a refrain's bare heading stand for in full."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from autosing.text.cleaning.headings import heading_of, times_behind
from autosing.text.cleaning.line import FileLine


def lines_written_out(lines: Sequence[FileLine]) -> list[FileLine]:
    """A line with `x2` at its end is there twice, unless the file writes it down again itself."""
    out: list[FileLine] = []
    for line, following in zip_longest(lines, lines[1:]):
        text, times = times_behind(line.text)
        if not line.is_sung or times == 1 or not text.strip():
            out.append(line)
            continue
        first = line.cut(text, f"sung {times} times: {line.text[len(text) :].strip()}")
        repeats = following is not None and following.is_sung and times_behind(following.text)[0] == text
        out += [first, *([] if repeats else _copies([first], times - 1, f"repeats {line.text!r}"))]
    return out


def blocks_written_out(lines: Sequence[FileLine]) -> list[FileLine]:
    """A heading with `x2` repeats its block, `x2` on a line of its own the block before it, and a refrain's heading
    with nothing under it its earlier block. Not for a file with stamps, which says itself when its blocks are sung.
    """
    out: list[FileLine] = []
    earlier: dict[str, list[FileLine]] = {}
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        out.append(line)
        heading = heading_of(line.text) if line.kind == "heading" else None
        if heading is not None:
            known = earlier.get(heading.name) if heading.is_refrain else None
            end = _end_of_block(lines, number, None if known is None else line.block)
            sung = [row for row in lines[number:end] if row.is_sung]
            out += lines[number:end]
            number = end
            if sung:
                earlier.setdefault(heading.name, sung)
                out += _copies(sung, heading.times - 1, f"repeats its block: {line.text!r}")
            elif known:
                out += _copies(known, heading.times, f"stands under {line.text!r}")
        elif line.kind == "mark" and (times := times_behind(line.text)[1]) > 1:
            out += _copies(_block_before(out), times - 1, f"repeats its block: {line.text!r}")
    return out


def _end_of_block(lines: Sequence[FileLine], first: int, block: int | None) -> int:
    """The end of a heading's block that begins at `first`: one paragraph; only paragraph `block` if that is given."""
    end = first
    while end < len(lines):
        line = lines[end]
        if line.block != (lines[first].block if block is None else block) or line.kind == "heading":
            break
        if line.kind == "mark" and times_behind(line.text)[1] > 1:
            break
        end += 1
    return end


def _block_before(out: Sequence[FileLine]) -> list[FileLine]:
    """The sung lines of the last paragraph, back to a heading; the last of `out` is the mark itself."""
    block: list[FileLine] = []
    for row in reversed(out[:-1]):
        if row.kind == "heading" or (block and row.block != block[-1].block):
            break
        if row.is_sung:
            block.append(row)
    return block[::-1]


def _copies(lines: Sequence[FileLine], times: int, reason: str) -> list[FileLine]:
    """Further times that lines are sung, without the stamps of the first."""
    return [
        replace(line, start_s=None, end_s=None, words=(), reason=reason, is_copy=True)
        for _ in range(times)
        for line in lines
    ]
