"""A line of a lyrics file, and what kind of line it is."""

from dataclasses import dataclass, replace
from typing import Literal

from autosing.text.lrc import LrcWord

Kind = Literal["sung", "backing", "translation", "romanisation", "credit", "heading", "mark"]
"""sung: in its turn. backing: beside the line before it. translation, romanisation: of the line with the same stamp, or
before it. credit: who made the song or the file, and its title. heading: of a section, or who sings. mark: says that
nobody sings, or is left over from a page."""


@dataclass(frozen=True)
class FileLine:
    """A line's text (if it is sung, without labels and marks), its kind, and its stamps in seconds if it has any."""

    text: str
    kind: Kind = "sung"
    reason: str | None = None
    """Why it is of this kind, or what was done to a line that is sung."""
    start_s: float | None = None
    end_s: float | None = None
    """Where its last word ends, if the file says so."""
    words: tuple[LrcWord, ...] = ()
    block: int = 0
    """Which of the paragraphs that blank lines part."""
    is_copy: bool = False
    """The file has it once and a mark that repeats it."""

    @property
    def is_sung(self) -> bool:
        return self.kind == "sung"

    def named(self, kind: Kind, reason: str) -> "FileLine":
        return replace(self, kind=kind, reason=reason)

    def cut(self, text: str, reason: str) -> "FileLine":
        """The same line with a part of its text, at its beginning or its end. Words that are cut lose their stamps."""
        text = text.strip()
        words, said = self.words, f"{self.reason}; {reason}" if self.reason else reason
        if words and not self.text.endswith(text):
            words = tuple(word for word in words if word.text in text)
        elif words:
            words = _last_words(words, text)
        return replace(self, text=text, words=words, reason=said)


def _last_words(words: tuple[LrcWord, ...], text: str) -> tuple[LrcWord, ...]:
    """The words from the end on that make up the text; the first of them may have lost its beginning."""
    kept: list[LrcWord] = []
    left = len("".join(text.split()))
    for word in reversed(words):
        squeezed = "".join(word.text.split())
        if left <= 0:
            break
        kept.append(word if len(squeezed) <= left else replace(word, text=squeezed[-left:]))
        left -= len(squeezed)
    return tuple(reversed(kept))
