"""LRC text <-> timed lines of lyrics, with the times of words if the file has them.

Read: `[mm:ss]`, `[mm:ss.x]` to `.xxx`, `[mm:ss:xx]`, `[h:mm:ss.xx]`, minutes above 99, negative stamps, several stamps
on a line (also with a broken tag between them), `[offset:+ms]`, other tags, word stamps (`<mm:ss.xx>` or inner
`[mm:ss.xx]`), background voices (`[bg: ...]`), lines without a stamp, a byte order mark, any line ends.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from autosing.text.normalize import HELD_MARKS, joint

_TIME = r"(-?)(?:(\d{1,6}):)?(\d{1,6}):(-?)(\d{1,2})(?:[.,:](-?)(\d{1,3}))?"
"""A program that moves stamps before zero writes the sign before the minutes, the seconds or their fraction."""
_MARKS = r"[\s\ufeff\u200b-\u200f\u202a-\u202e\u2066-\u2069]*"
"""Blanks and invisible marks: right-to-left text begins with them."""
_LINE_STAMP = re.compile(rf"{_MARKS}\[\s*{_TIME}\s*\]")
_WORD_STAMP = re.compile(rf"[<\[]\s*{_TIME}\s*[>\]]")
_BROKEN_TAG = re.compile(r"\s*\[[^\]\d:]{0,20}\](?=\s*\[)")
_TAG = re.compile(rf"{_MARKS}\[\s*([A-Za-z#][\w#-]*)\s*:(.*)\]\s*")
_TAG_NAMES = {
    "#", "al", "album", "ar", "artist", "au", "author", "by", "comment", "composer", "copyright", "creator", "date",
    "ed", "editor", "encoder", "encoding", "font", "genre", "hash", "id", "isrc", "kana", "key", "la", "lang",
    "language", "length", "lr", "lrc", "lyricist", "offset", "other", "qq", "re", "sign", "ti", "title", "tool",
    "total", "url", "ve", "version", "website", "year",
}  # fmt: skip
"""Other words before a colon in brackets are not tags: `[Chorus: all]`, `[bg: ooh]`."""
_BACKGROUND = re.compile(rf"{_MARKS}\[\s*bg\s*:(.*)\]\s*", re.IGNORECASE)
_BACKGROUND_BEHIND = re.compile(r"\[\s*bg\s*:.*\]\s*$", re.IGNORECASE)
_OFFSET = re.compile(r"[+-]?\d{1,9}(\.\d*)?")


@dataclass(frozen=True)
class LrcWord:
    """A word and its stamp, in seconds."""

    text: str
    start_s: float


@dataclass(frozen=True)
class LrcLine:
    """A line of lyrics. If it has no text, it only ends the line before it; if no stamp, it follows the line before."""

    text: str
    start_s: float | None
    words: tuple[LrcWord, ...] = ()
    end_s: float | None = None
    """Where the line's last word ends, if a word stamp says so."""
    background: bool = False
    """It is sung beside the line before it."""


@dataclass(frozen=True)
class Lrc:
    """Lines in the order of time (unstamped ones after the line they follow), and the tags; the offset is applied."""

    lines: tuple[LrcLine, ...]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def has_stamps(self) -> bool:
        return any(line.start_s is not None for line in self.lines)


def parse_lrc(text: str) -> Lrc:
    """Never fails: what is neither stamp nor tag is lyrics. A positive offset tag means earlier, as in players."""
    tags: dict[str, str] = {}
    groups: list[list[LrcLine]] = []
    for raw in _rows(text):
        stamps, rest = _leading_stamps(raw)
        tag = None if stamps else _TAG.fullmatch(raw)
        if tag and tag[1].lower() in _TAG_NAMES:
            tags.setdefault(tag[1].lower(), tag[2].strip())
            continue
        background = _BACKGROUND.fullmatch(rest)
        plain, lead, words, end_s = _words(background[1].strip() if background else rest)
        if stamps:
            if words and lead:
                words = (LrcWord(lead, stamps[0]), *words)
            shift = [stamp - stamps[0] for stamp in stamps]
            groups += [
                [LrcLine(plain, s, _moved(words, d), None if end_s is None else end_s + d, background is not None)]
                for s, d in zip(stamps, shift, strict=True)
            ]
        elif plain:
            line = LrcLine(plain, words[0].start_s if words else None, words, end_s, background is not None)
            if line.start_s is None and groups:
                groups[-1].append(line)
            else:
                groups.append([line])
    groups.sort(key=lambda group: -math.inf if group[0].start_s is None else group[0].start_s)
    earlier_s = _offset_s(tags.pop("offset", ""))
    return Lrc(tuple(_earlier(line, earlier_s) for group in groups for line in group), tags)


def write_lrc(lines: Iterable[LrcLine]) -> str:
    """LRC with hundredths of a second, word stamps where a line has words; ends with a line break."""
    rows = []
    for line in lines:
        stamp = "" if line.start_s is None else f"[{clock(line.start_s)}]"
        if line.words:
            inner = "".join(
                f"{joint(before.text, word.text) if before else ''}<{clock(word.start_s)}>{word.text}"
                for before, word in zip((None, *line.words), line.words, strict=False)
            )
            end = "" if line.end_s is None else f" <{clock(line.end_s)}>"
            rows.append(f"{stamp}{inner}{end}")
        else:
            rows.append(f"{stamp}{line.text}")
    return "".join(f"{row}\n" for row in rows)


def clock(time_s: float) -> str:
    """`mm:ss.xx`; no earlier than 0."""
    hundredths = max(0, round(time_s * 100))
    return f"{hundredths // 6000:02d}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"


def _rows(text: str) -> Iterator[str]:
    """The rows of a file; background voices at the end of a row are a row of their own."""
    for raw in text.lstrip("\ufeff").splitlines():
        behind = _BACKGROUND_BEHIND.search(raw)
        before = raw[: behind.start()] if behind else ""
        if behind and _leading_stamps(before)[1]:
            yield before
            yield behind[0]
        else:
            yield raw


def _seconds(match: re.Match[str]) -> float:
    before, first, second, *signs_and_digits = match.groups()
    sign_s, third, sign_fraction, fraction = signs_and_digits
    if first is not None and fraction is None:  # mm:ss:xx, an old way to write hundredths
        first, second, third, fraction = None, first, second, third
    minutes_s, scale = int(first or 0) * 3600 + int(second) * 60, 10 ** len(fraction or "")
    if before and minutes_s:  # as floor division writes them: -1:58.50 is 1.5 s before zero
        return (-minutes_s * scale + int(third) * scale + int(fraction or 0)) / scale
    negative = bool(before or sign_s or sign_fraction)
    rest = int(third) * scale + int(fraction or 0)
    return (minutes_s * scale + (-rest if negative else rest)) / scale


def _leading_stamps(raw: str) -> tuple[list[float], str]:
    stamps, at = [], 0
    while match := _LINE_STAMP.match(raw, at):
        stamps.append(_seconds(match))
        at = match.end()
        broken = _BROKEN_TAG.match(raw, at)
        if broken and _LINE_STAMP.match(raw, broken.end()):
            at = broken.end()
    return stamps, raw[at:].strip()


def _words(text: str) -> tuple[str, str, tuple[LrcWord, ...], float | None]:
    """Text with word stamps -> the plain text, the text before the first stamp, the words with stamps, and the time of
    a last stamp without a word.
    """
    stamps = list(_WORD_STAMP.finditer(text))
    if not stamps:
        return text, "", (), None
    ends = [*(match.start() for match in stamps[1:]), len(text)]
    pieces = [(text[match.end() : end], _seconds(match)) for match, end in zip(stamps, ends, strict=True)]
    plain = " ".join((text[: stamps[0].start()] + "".join(piece for piece, _ in pieces)).split())
    end_s = None if pieces[-1][0].strip() else pieces[-1][1]
    joined: list[tuple[str, float]] = []
    for piece, start in pieces:
        if joined and _one_word(joined[-1][0][-1:], piece[:1]):
            joined[-1] = (joined[-1][0] + piece, joined[-1][1])
        elif piece.strip():
            joined.append((piece, start))
    lead = " ".join(text[: stamps[0].start()].split())
    return plain, lead, tuple(LrcWord(" ".join(piece.split()), start) for piece, start in joined), end_s


def _one_word(left: str, right: str) -> bool:
    """Syllables of one word: letters of an alphabet meet without a space (an ideograph is a word of its own)."""
    return bool(left and right) and all(c in HELD_MARKS or (c.isalpha() and ord(c) < 0x2E80) for c in left + right)


def _moved(words: tuple[LrcWord, ...], by_s: float) -> tuple[LrcWord, ...]:
    return tuple(LrcWord(word.text, word.start_s + by_s) for word in words) if by_s else words


def _earlier(line: LrcLine, by_s: float) -> LrcLine:
    if not by_s or line.start_s is None:
        return line
    end_s = None if line.end_s is None else line.end_s - by_s
    return replace(line, start_s=line.start_s - by_s, words=_moved(line.words, -by_s), end_s=end_s)


def _offset_s(text: str) -> float:
    """The tag's milliseconds in seconds; 0 if it holds no number (float() would also accept nan and inf)."""
    return float(text) / 1000 if _OFFSET.fullmatch(text) else 0.0
