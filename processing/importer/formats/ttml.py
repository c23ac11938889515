"""TTML (Timed Text, as music services deliver lyrics) -> LRC text with the times of words.

pysubs2 reads its paragraphs, not the times of the words in them. Source: W3C, Timed Text Markup Language 2.
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from autosing.errors import InputError
from autosing.text.timed import TimedLine, lrc_of, tidy_lrc

_ROLE = "{http://www.w3.org/ns/ttml#metadata}role"
_PARAMETER = "{http://www.w3.org/ns/ttml#parameter}"
_BACKGROUND, _OTHERS = "x-bg", ("x-translation", "x-roman")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)(?::(\d+))?")
_OFFSET = re.compile(r"(\d+(?:\.\d+)?)(h|m|s|ms|f|t)?")
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def read_ttml(text: str) -> str:
    """LRC text. Raises InputError: no XML, entities of its own, no paragraph with a time."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError("not readable as TTML (it defines entities); remove its DOCTYPE")
    try:
        root = ElementTree.fromstring(text.strip().encode())
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"not readable as TTML ({error}); save it again") from None
    rates = {
        "f": 1 / _number(root.get(f"{_PARAMETER}frameRate"), 30),
        "t": 1 / _number(root.get(f"{_PARAMETER}tickRate"), 1),
    }
    lines = list(_lines(root, rates))
    if not lines:
        raise InputError("holds no paragraph with a time (TTML); save it again")
    return tidy_lrc(lrc_of(lines))


def _lines(root: ElementTree.Element, rates: dict[str, float]) -> Iterator[TimedLine]:
    """Times are absolute, as services write them, unless a paragraph would begin before the division it is in."""
    for division in [x for x in root.iter() if _name(x) == "div"] or [root]:
        outer_s = _time(division.get("begin"), rates) or 0.0
        paragraphs = [x for x in division.iter() if _name(x) == "p"]
        starts = [start for p in paragraphs if (start := _time(p.get("begin"), rates)) is not None]
        shift_s = outer_s if starts and min(starts) < outer_s else 0.0
        for paragraph in paragraphs:
            yield from _paragraph(paragraph, rates, shift_s)


def _paragraph(p: ElementTree.Element, rates: dict[str, float], shift_s: float) -> Iterator[TimedLine]:
    start_s, end_s = _time(p.get("begin"), rates), _time(p.get("end"), rates)
    if start_s is None:
        return
    if end_s is None and (length_s := _time(p.get("dur"), rates)) is not None:
        end_s = start_s + length_s
    end_s = None if end_s is None or end_s <= start_s else end_s + shift_s
    pieces, behind = _pieces(p, rates, start_s), []
    for span in p.iter():
        if span.get(_ROLE) == _BACKGROUND:
            behind.append(_pieces(span, rates, start_s))
    if pieces:
        yield TimedLine(start_s + shift_s, [(text, at_s + shift_s) for text, at_s in pieces], end_s)
    for sung in behind:
        if sung:
            moved = [(text, at_s + shift_s) for text, at_s in sung]
            yield TimedLine(max(moved[0][1], start_s + shift_s), moved, background=True)


def _pieces(element: ElementTree.Element, rates: dict[str, float], start_s: float) -> list[tuple[str, float]]:
    """(text, when it begins): a new piece where a span has its own time, else text is added to the one before."""
    pieces: list[list[object]] = []

    def add(text: str | None, at_s: float | None) -> None:
        if not text:
            return
        if at_s is not None and text.strip():
            pieces.append([text, at_s])
        elif pieces:
            pieces[-1][0] = f"{pieces[-1][0]}{text}"
        elif text.strip():
            pieces.append([text, start_s])

    def walk(node: ElementTree.Element, at_s: float | None) -> None:
        add(node.text, at_s)
        for child in node:
            role = child.get(_ROLE)
            if _name(child) == "br":
                add(" ", None)
            elif role != _BACKGROUND and role not in _OTHERS and _name(child) != "metadata":
                walk(child, _time(child.get("begin"), rates))
            add(child.tail, None)

    walk(element, None)
    return [(re.sub(r"\s+", " ", str(text)), float(str(at_s))) for text, at_s in pieces if str(text).strip()]


def _name(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _time(text: str | None, rates: dict[str, float]) -> float | None:
    """Seconds of `1:02.5`, `00:01:02.500`, `00:01:02:12` (frames), `62.5s`, `62500ms`, `120f`, `99t`."""
    if clock := _CLOCK.fullmatch((text or "").strip()):
        hours, minutes, seconds, frames = clock.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds) + int(frames or 0) * rates["f"]
    if offset := _OFFSET.fullmatch((text or "").strip()):
        return float(offset[1]) * (_UNITS_S | rates)[offset[2] or "s"]
    return None


def _number(text: str | None, usual: float) -> float:
    try:
        return float(text or usual) or usual
    except ValueError:
        return usual
