"""Subtitles (SubRip, WebVTT, SSA and ASS) -> LRC text, with the times of words where the file has them."""

import re
from collections.abc import Iterator
from typing import Any

from autosing.errors import InputError
from autosing.text.timed import TimedLine, lrc_of, tidy_lrc
from processing.importer.formats.sites import written_out

_VTT_STAMP = re.compile(r"<(?:(\d{1,4}):)?(\d{1,2}):(\d{2})\.(\d{2,3})>")
_HELD = re.compile(r"\ue000(\d+)\ue001")
"""A word's stamp in ms, between marks that no text has: pysubs2 takes a row with two stamps for a cue's head."""
_MARKUP = re.compile(r"</?(?!v[ .>])[A-Za-z][^<>]*>|</v>")
"""All but WebVTT's voices: who sings is read from those."""
_OVERRIDE = re.compile(r"\{([^{}]*)\}")
_KARAOKE = re.compile(r"\\(?:k|K|kf|ko)\s*(\d+)")


def read_subtitles(text: str, kind: str) -> str:
    """LRC text; `kind`: srt, vtt or ass. Raises InputError for a file without a line of text that has a time."""
    import pysubs2

    if kind == "vtt":
        text = _VTT_STAMP.sub(lambda match: f"\ue000{_ms(match)}\ue001", _cues(text))
    more = {} if kind == "ass" else {"keep_html_tags": True}
    try:
        events = pysubs2.SSAFile.from_string(text, format_=kind, **more).events
    except (pysubs2.Pysubs2Error, ValueError, IndexError, KeyError, OverflowError) as error:
        raise InputError(f"not readable as {kind} ({error}); save it again") from None
    held = (event for event in events if not event.is_comment and not event.is_drawing)
    lrc = written_out(lrc_of(line for event in held for line in _lines(event, kind)))
    if not lrc:
        raise InputError(f"holds no line with a time ({kind}); save it again")
    return tidy_lrc(lrc)


def _cues(text: str) -> str:
    """WebVTT without its remarks, styles and names of cues, which pysubs2 takes for text."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n"))
    rows = [block[block.rfind("\n", 0, block.find("-->")) + 1 :] for block in blocks if "-->" in block]
    return "\n\n".join(["WEBVTT", *rows]) + "\n"


def _lines(event: Any, kind: str) -> Iterator[TimedLine]:
    text, start_s, end_s = str(event.text), event.start / 1000, event.end / 1000
    pieces = _syllables(text, start_s) if kind == "ass" else _stamped_words(text, start_s)
    if len(pieces) < 2:
        plain = _HELD.sub("", event.plaintext)
        pieces = [(_MARKUP.sub("", plain), start_s)]
    yield TimedLine(start_s, pieces, end_s if end_s > start_s else None)


def _syllables(text: str, start_s: float) -> list[tuple[str, float]]:
    """ASS: `{\\k25}gol{\\k30}den`, hundredths of a second each."""
    parts = _OVERRIDE.split(text)
    pieces, at_s, length_s = [], start_s, 0.0
    for number, part in enumerate(parts):
        if number % 2:
            for hundredths in _KARAOKE.findall(part):
                at_s, length_s = at_s + length_s, int(hundredths) / 100
        elif part:
            pieces.append((re.sub(r"\\[Nnh]", " ", part), at_s))
    return pieces if _KARAOKE.search(text) else []


def _stamped_words(text: str, start_s: float) -> list[tuple[str, float]]:
    parts = _HELD.split(_MARKUP.sub("", text.replace(r"\N", " ")))
    pieces = [(parts[0], start_s)] if parts[0].strip() else []
    pieces += [(part, int(ms) / 1000) for ms, part in zip(parts[1::2], parts[2::2], strict=True) if part.strip()]
    return pieces


def _ms(match: re.Match[str]) -> int:
    hours, minutes, seconds, fraction = match.groups()
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(fraction.ljust(3, "0"))
