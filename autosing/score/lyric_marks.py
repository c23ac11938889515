"""What people write under notes -> syllables, holds, hyphens and lines: the marks of karaoke, editors and rhythm games.

+ - = _ * ~ or nothing   the syllable before is held (as a text of its own)
~ght                     it is held, and this is its end
sis-  -ter               a hyphen: both are one word; `=` at the end is a hyphen that is written
/la  \\la                 a line or a page begins
la#  la^                 spoken: a rhythm game's note without pitch
@T... @L...              a karaoke file's head
"""

from collections.abc import Sequence
from dataclasses import dataclass

_HOLDS = frozenset({"", "+", "-", "=", "_", "*", "~", "+~", "+*", "--", "ー", "—", "－", "〜"})


@dataclass(frozen=True)
class Mark:
    """A text under a note, read."""

    text: str
    hold: bool = False
    joins: bool = False
    new_line: bool = False
    spoken: bool = False


def is_head(text: str) -> bool:
    """Whether it is no lyric but a karaoke file's head."""
    return text.startswith("@")


def read_marks(texts: Sequence[str], spaced: bool | None = None, firsts: frozenset[int] = frozenset()) -> list[Mark]:
    """One mark a text, in order. `spaced`: spaces part words, else hyphens join them; by default as the texts look.

    `firsts`: texts that begin a line though they do not say so.
    """
    if spaced is None:
        spaced = any(text != text.strip(" ") and text.strip() for text in texts)
    marks: list[Mark] = []
    open_word = False
    for number, text in enumerate(texts):
        new_line = number in firsts or text.startswith(("/", "\\")) or "\n" in text or "\r" in text
        body = text.lstrip("/\\").replace("\n", " ").replace("\r", " ")
        if body.strip() in _HOLDS:
            marks.append(Mark("", hold=True, new_line=new_line))
            open_word = open_word and not (body.strip() and body.endswith(" "))
            continue
        spoken = body.rstrip().endswith(("#", "^"))
        word = body.strip().rstrip("#^$%§").strip()
        hyphened = word.endswith(("-", "=")) and len(word) > 1
        if spaced:
            joins = open_word and not body.startswith(" ") and not new_line
            open_word = not body.endswith(" ")
        else:
            joins = (open_word or (word.startswith("-") and len(word) > 1)) and not new_line
            open_word = hyphened
        if hyphened:
            word = word[:-1] + ("-" if word.endswith("=") else "")
        if word.startswith("~"):
            marks.append(Mark(word[1:], hold=True, new_line=new_line, spoken=spoken))
            continue
        marks.append(Mark(word.removeprefix("-"), joins=joins, new_line=new_line, spoken=spoken))
    return marks
