"""The text of a lyrics file (LRC or plain) -> its readings: the lines in order, each with its kind.

A file has several readings where it cannot be told from the text alone which of its columns is sung.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from autosing.text.cleaning import columns, credits, marks
from autosing.text.cleaning.headings import heading_of, in_brackets, times_behind
from autosing.text.cleaning.line import FileLine
from autosing.text.cleaning.repeats import blocks_written_out, lines_written_out
from autosing.text.cleaning.singers import without_labels
from autosing.text.lrc import parse_lrc
from autosing.text.normalize import words_of

_MOST_WORDS = 4
"""Of a name in square brackets."""
_FEW_IN_CAPITALS = 0.3
"""Of a file's lines: where more have a capital at each word, capitals tell no title."""


@dataclass(frozen=True)
class Cleaned:
    """The readings of a file, the likeliest first; at least one, which may hold no line."""

    readings: tuple[tuple[FileLine, ...], ...]
    stamped: bool
    """Whether a line that may be sung has a stamp."""

    @property
    def lines(self) -> tuple[FileLine, ...]:
        """Of the likeliest reading."""
        return self.readings[0]


def clean(text: str, known: Sequence[str] = (), language: str | None = None) -> Cleaned:
    """`known`: title and artist, if they are known. `language`: Whisper's code for that of the song, if it is known."""
    lines, tags = _lines(text)
    lines = _without_page(lines)
    lines = [part for line in lines for part in _told_alone(line)]
    lines = _with_credits(lines, [*known, tags.get("ti", ""), tags.get("ar", "")])
    lines = without_labels(lines)
    lines = [_without_words(line) for line in lines]
    lines = lines_written_out(lines)
    stamped = any(line.start_s is not None for line in lines if line.is_sung)
    if not stamped:
        lines = blocks_written_out(lines)
    found = columns.readings(lines, stamped, language)
    return Cleaned(tuple(tuple(reading) for reading in found), stamped)


def _lines(text: str) -> tuple[list[FileLine], dict[str, str]]:
    """The lines as they stand in the file, and its tags. Lines of a file with stamps come in the order of time."""
    lrc = parse_lrc(text)
    if lrc.has_stamps:
        held: list[FileLine] = []
        for line in lrc.lines:
            if line.text:
                read = FileLine(" ".join(line.text.split()), start_s=line.start_s, end_s=line.end_s, words=line.words)
                held.append(read.named("backing", "marked as background") if line.background else read)
            elif held and line.start_s is not None and held[-1].end_s is None:
                held[-1] = replace(held[-1], end_s=line.start_s)
        return held, lrc.tags
    paragraphs, rows = [0], text.lstrip("\ufeff").splitlines()
    for before, row in pairwise(rows):
        paragraphs.append(paragraphs[-1] + bool(before.strip() and not row.strip()))
    held = [
        FileLine(" ".join(row.split()), block=block)
        for row, block in zip(rows, paragraphs, strict=False)
        if row.strip()
    ]
    if held and len(held) > 2 and len({line.block for line in held}) > 0.7 * len(held):
        held = [replace(line, block=0) for line in held]  # blank lines between all lines part no paragraphs
    return [_plain_tag(line) for line in held], lrc.tags


def _plain_tag(line: FileLine) -> FileLine:
    if parse_lrc(line.text).tags:
        return line.named("credit", "a tag")
    background = parse_lrc(line.text).lines
    if background and background[0].background:
        return replace(line, text=background[0].text).named("backing", "marked as background")
    return line


def _without_page(lines: Sequence[FileLine]) -> list[FileLine]:
    """What a lyrics site glued to the first and the last line, and between lines, as lines of their own."""
    out: list[FileLine] = []
    for number, line in enumerate(lines):
        head, rest = marks.head_of_page(line.text) if number == 0 else ("", line.text)
        if head:
            out.append(replace(line, text=head, words=()).named("credit", "a page's header"))
        if head and not rest:
            continue
        rest, end = marks.end_of_page(rest) if number == len(lines) - 1 else (rest, "")
        for part in marks.around_page_words(rest):
            cut = line if part == line.text else line.cut(part, "without a page's words")
            out.append(cut if marks.mark_of(part) is None else replace(cut, text=part, words=()))
        if end:
            out.append(
                replace(line, text=end, words=(), start_s=None, end_s=None).named("mark", "left over from a page")
            )
    return out


def _told_alone(line: FileLine) -> list[FileLine]:
    """A line whose kind its own text tells; a heading with words behind it becomes two lines."""
    if not line.is_sung:
        return [line]
    why = marks.mark_of(line.text)
    if why is not None:
        return [line.named("mark", why)]
    heading = heading_of(line.text)
    if heading is not None:
        head = line.text[: len(line.text) - len(heading.rest)].rstrip() if heading.rest else line.text
        named = replace(line, text=head, words=()).named("heading", "heads a section")
        if not heading.rest:
            return [named]
        return [replace(named, end_s=None), line.cut(line.text[len(head) :], "without its heading")]
    if credits.is_credit(line.text):
        return [line.named("credit", "names who made it")]
    inner, behind = in_brackets(line.text)
    if inner is None or line.text[0] not in "[【{" or times_behind(behind)[0]:
        return [line]
    words = inner.split()
    if len(words) <= _MOST_WORDS and credits.looks_like_names(inner):
        return [line.named("heading", "a name in brackets")]
    if ":" in inner or "：" in inner:
        return [line.named("mark", "a note in brackets")]
    return [replace(line, text=inner).named("backing", "in square brackets")]


def _without_words(line: FileLine) -> FileLine:
    """A line of which a label was all that had words."""
    why = marks.mark_of(line.text) or (None if words_of(line.text) else "no word in it")
    return line.named("mark", why) if line.kind in ("sung", "backing") and why else line


def _with_credits(lines: Sequence[FileLine], known: Sequence[str]) -> list[FileLine]:
    """Names at the head and the end of a file, which elsewhere could be sung."""
    lines = list(lines)
    for numbers in (range(len(lines)), range(len(lines) - 1, -1, -1)):
        at_head = numbers.step > 0
        for number in numbers:
            line = lines[number]
            if not line.is_sung:
                continue
            following = lines[number + 1] if number + 1 < len(lines) else None
            if credits.is_credit_beside_others(line.text):
                lines[number] = line.named("credit", "names who made it")
            elif at_head and _is_titled(lines, number, following, known):
                lines[number] = line.named("credit", "title or artist")
            else:
                break
    return lines


def _is_titled(lines: Sequence[FileLine], number: int, following: FileLine | None, known: Sequence[str]) -> bool:
    """A first line `Title - Artist`: both are known, credits follow it, or hardly another line looks like it.

    A title alone may be sung first, too: it counts only where credits follow it.
    """
    text = lines[number].text
    before_credits = following is not None and (
        following.kind == "credit" or credits.is_credit_beside_others(following.text)
    )
    if credits.is_known_title(text, known):
        return True
    if credits.is_known_name(text, known):
        return before_credits
    if not credits.looks_like_a_title(text) or any(line.is_sung for line in lines[:number]):
        return False
    others = [line.text for line in lines[number + 1 :] if line.is_sung]
    long = [other for other in others if len(other.split()) > 2]
    return before_credits or (
        not any(map(credits.looks_like_a_title, others))
        and sum(map(credits.looks_like_names, long)) <= _FEW_IN_CAPITALS * len(long)
    )
