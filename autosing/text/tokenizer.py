"""Lyrics with the known times -> UTF-8 bytes, each with the time at which its word (or line) begins.

Words of a line are joined by `join_words`, lines by a newline, and an end token follows the last byte.

Shapes: L tokens.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from autosing.schemas.tables import Line, Word
from autosing.text.normalize import joint, without_held_marks, words_of
from autosing.text.spans import lies_inside, on_window

EOT = 256
"""Follows the last byte."""
VOCABULARY = 257
UNTIMED = -1.0
"""The time of a byte whose time is not known."""

TimingLevel = Literal["word", "line", "none"]


@dataclass(frozen=True)
class TimedWord:
    """A word of line number `line`. If only the line's times are known, its words are spread over the line."""

    text: str
    line: int
    start_s: float = 0.0
    end_s: float = 0.0
    timed: bool = True
    """False: the times are guessed. They serve to choose a window, but are not given to a model."""


@dataclass(frozen=True)
class TimedText:
    """Lyrics, and the level (word, line or none) to which their times are known."""

    words: tuple[TimedWord, ...]
    level: TimingLevel

    @classmethod
    def plain(cls, text: str) -> "TimedText":
        """Text without any times; its lines become lines."""
        lines = [words_of(line) for line in _clean(text).splitlines()]
        words = [TimedWord(word, i) for i, line in enumerate(line for line in lines if line) for word in line]
        return cls(tuple(words), "none")

    @classmethod
    def of_lines(cls, lines: Sequence[Line]) -> "TimedText":
        """Lines with their times, as an LRC file gives them."""
        words: list[TimedWord] = []
        for i, line in enumerate(lines):
            words += _spread(words_of(_clean(line.text)), [i], line.start_s, line.end_s, line.fits)
        return cls(tuple(words), "line")

    @classmethod
    def of_words(cls, words: Sequence[Word], lines: Sequence[Line] = ()) -> "TimedText":
        """Words with their times. Words whose line (number `word.line`) does not fit count as untimed."""
        timed = [
            TimedWord(_clean(w.text).strip(), w.line, w.start_s, w.end_s, w.line >= len(lines) or lines[w.line].fits)
            for w in words
        ]
        return cls(tuple(word for word in timed if word.text), "word")

    def at(self, level: TimingLevel) -> "TimedText":
        """The same lyrics with times down to this level at most."""
        order: tuple[TimingLevel, ...] = ("word", "line", "none")
        return replace(self, level=order[max(order.index(level), order.index(self.level))])

    def spread(self, duration_s: float) -> "TimedText":
        """Plain text spread evenly over a duration, so that windows can be cut; the guessed times are not encoded."""
        words = _spread([w.text for w in self.words], [w.line for w in self.words], 0.0, duration_s, timed=False)
        return TimedText(tuple(words), "none")

    def window(self, start_s: float, end_s: float) -> "TimedText":
        """The words wholly inside, on the window's own time. A word that an edge cuts is left out."""
        inside = [word for word in self.words if lies_inside(word, start_s, end_s)]
        return replace(self, words=tuple(on_window(inside, start_s, end_s - start_s)))

    def encode(self) -> tuple[np.ndarray, np.ndarray]:
        """-> (ids_L int64, time_s_L float32, UNTIMED if not known). Without words: the end token alone."""
        line_start = {word.line: word.start_s for word in reversed(self.words) if word.timed}
        ids: list[int] = []
        times: list[float] = []
        for before, word in zip((None, *self.words), self.words, strict=False):
            start_s = line_start.get(word.line, UNTIMED) if self.level == "line" else word.start_s
            told = max(start_s, 0.0) if word.timed and self.level != "none" else UNTIMED
            token = (_joint(before, word) + word.text).encode()
            ids += token
            times += [told] * len(token)
        return np.array([*ids, EOT], np.int64), np.array([*times, UNTIMED], np.float32)


def decode(ids_L: np.ndarray) -> str:
    """Ids -> text, up to the end token."""
    return bytes(int(i) for i in ids_L if i < EOT).decode(errors="replace")


def _clean(text: str) -> str:
    return without_held_marks(unicodedata.normalize("NFC", text)).lower()


def _spread(words: Sequence[str], lines: Sequence[int], start_s: float, end_s: float, timed: bool) -> list[TimedWord]:
    """Divide a stretch of time among words by their bytes. `lines`: one number for all words, or one for each."""
    ends = np.cumsum([0, *(len(word.encode()) + 1 for word in words)])
    at_s = start_s + (end_s - start_s) * ends / max(int(ends[-1]), 1)
    line_of = list(lines) * (len(words) if len(lines) == 1 else 1)
    return [TimedWord(w, line_of[i], float(at_s[i]), float(at_s[i + 1]), timed) for i, w in enumerate(words)]


def _joint(before: TimedWord | None, word: TimedWord) -> str:
    if before is None:
        return ""
    return "\n" if before.line != word.line else joint(before.text, word.text)
