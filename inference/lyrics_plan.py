"""lyrics + a window of a song -> lines with times in seconds of the window: the text input of the model.

Lines with time stamps keep them. Other lines are spread over the window by their syllables, with a pause between.
"""

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from autosing.console import note
from autosing.errors import InputError
from autosing.schemas.tables import Line, Word
from autosing.text.cleaning.clean import clean
from autosing.text.cleaning.columns import SAME_STAMP_S
from autosing.text.cleaning.line import FileLine
from autosing.text.files import guess_remark, read_text_file
from autosing.text.lrc import LrcLine, LrcWord, parse_lrc, write_lrc
from autosing.text.normalize import words_of
from autosing.text.spans import on_window
from autosing.text.tokenizer import TimedText

MIN_LENGTH_S, MAX_LENGTH_S = 0.1, 600.0
"""Shortest and longest output."""
_LEFT_OUT = {
    "translate or romanise others": ("translation", "romanisation"),
    "are sung beside others": ("backing",),
    "are not sung": ("credit", "heading", "mark"),
}
LYRICS_ENDINGS = (".lrc", ".txt")
LEAD_S, MAX_SYLLABLE_S, MIN_SYLLABLE_S = 0.3, 0.5, 0.1
"""Silence before the first line; longest and shortest syllable where no time is given."""
BREATH_SYLLABLES = 1.5
"""The pause after a line, in syllables. A stamped line ends at the next stamp, or after its longest time."""
_CJK = re.compile("[぀-ヿ㐀-䶿一-鿿가-힣]")
_VOWELS = re.compile(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýœаеёиоуыэюяіїєαεηιουω]+", re.IGNORECASE)


@dataclass(frozen=True)
class AskedWord:
    """A word with its own times, in seconds of the window."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class AskedLine:
    """A line to sing, in seconds of the window. `words` is empty where only the line's times are asked for."""

    text: str
    start_s: float
    end_s: float
    words: tuple[AskedWord, ...] = ()
    timed: bool = True
    """False: the times are estimated, and not given to the model."""


def syllables(text: str) -> int:
    """Estimated syllables of a line: one for each CJK character, digit or group of vowels, at least one for each word.

    0 where nothing can be sung: a line without letters and digits, or a heading such as `[Chorus]`.
    """
    if not words_of(text):
        return 0
    count = len(_CJK.findall(text))
    for word in _CJK.sub(" ", text).split():
        digits = sum(char.isnumeric() for char in word)
        vowels = len(_VOWELS.findall(word))
        count += digits + (vowels if digits else max(vowels, any(char.isalpha() for char in word)))
    return count


def lay_out(texts: Sequence[str], length_s: float, longest_s: float = MAX_LENGTH_S) -> list[AskedLine]:
    """Lines without times -> lines over [0, length], each as long as its share of syllables.

    Syllables are as long as the window allows, at most 0.5 s; the rest of the window becomes longer pauses. Messages
    recommend no length over `longest_s`. Raises InputError where a syllable would be shorter than 0.1 s.
    """
    counts = [syllables(text) for text in texts]
    breaths = BREATH_SYLLABLES * (len(texts) - 1)
    units = sum(counts) + breaths
    lead_s, room_s = _room(length_s)
    syllable_s = min(room_s / units, MAX_SYLLABLE_S)
    if syllable_s < MIN_SYLLABLE_S - 1e-9:
        most = int((_room(longest_s)[1] + 1e-9) / MIN_SYLLABLE_S - breaths)
        enough_s = min(math.ceil(units * MIN_SYLLABLE_S + 2 * LEAD_S), longest_s)
        remedy = f"give --length {enough_s:g} or more, or fewer lines"
        if sum(counts) > most:
            remedy = f"give fewer words: --length {longest_s:g}, the longest, holds {max(most, 0)} syllables at most"
        raise InputError(
            f"lyrics: {sum(counts)} syllables in {length_s:.2f} s leave {syllable_s:.3f} s for each, need at least "
            f"{MIN_SYLLABLE_S} s; {remedy}"
        )
    spare_s = room_s - units * syllable_s
    breath_s = BREATH_SYLLABLES * syllable_s + spare_s / len(texts)
    asked, at_s = [], lead_s
    for text, count in zip(texts, counts, strict=True):
        asked.append(AskedLine(text, at_s, at_s + count * syllable_s))
        at_s += count * syllable_s + breath_s
    return asked


def _room(length_s: float) -> tuple[float, float]:
    """(seconds of silence before the first line, seconds from there to an equal silence at the end)."""
    lead_s = min(LEAD_S, 0.05 * length_s)
    return lead_s, length_s - 2 * lead_s


def window(lines: Sequence[AskedLine], start_s: float, length_s: float) -> list[AskedLine]:
    """Lines in song time -> those that start inside the window, in window time, cut at its end.

    A note counts the lines that start outside. Raises InputError where none starts inside.
    """
    inside = [line for line in lines if 0 <= line.start_s - start_s < length_s]
    if not inside:
        first, last = (lines[0].start_s, lines[-1].start_s) if lines else (0.0, 0.0)
        raise InputError(
            f"lyrics: {len(lines)} timed lines start between {first:.2f} and {last:.2f} s, none within "
            f"{start_s:.2f}-{start_s + length_s:.2f} s; give another --start or --length"
        )
    if outside := len(lines) - len(inside):
        end_s = start_s + length_s
        note(f"lyrics: {outside} of {len(lines)} timed lines start outside {start_s:.2f}-{end_s:.2f} s: not sung")
    return [replace(line, words=_begun(line.words, start_s, length_s)) for line in on_window(inside, start_s, length_s)]


def _begun(words: Sequence[AskedWord], start_s: float, length_s: float) -> tuple[AskedWord, ...]:
    begun = [word for word in words if word.start_s - start_s < length_s]
    return tuple(on_window(begun, start_s, length_s))


def needed_s(texts: Sequence[str], lines: Sequence[AskedLine], start_s: float) -> float:
    """Seconds of a window for all of these lyrics, with the longest syllables where no time is given."""
    if lines:
        return max(line.end_s for line in lines) - start_s + LEAD_S
    units = sum(syllables(text) for text in texts) + BREATH_SYLLABLES * (len(texts) - 1)
    return 2 * LEAD_S + units * MAX_SYLLABLE_S


def as_timed_text(lines: Sequence[AskedLine]) -> TimedText:
    """The text input of the model: word times where every line has them, line times otherwise."""
    held = [Line(line.text, line.start_s, line.end_s, 1.0, line.timed) for line in lines]
    if all(line.words for line in lines):
        words = [Word(w.text, w.start_s, w.end_s, 1.0, n) for n, line in enumerate(lines) for w in line.words]
        return TimedText.of_words(words, held)
    return TimedText.of_lines(held)


def as_lrc(lines: Sequence[AskedLine]) -> str:
    """The lines as LRC. An empty line marks the end of a line where the next one starts more than a second later."""
    rows: list[LrcLine] = []
    for line, following in zip_longest(lines, lines[1:]):
        words = tuple(LrcWord(word.text, word.start_s) for word in line.words)
        rows.append(LrcLine(line.text, line.start_s, words))
        if following is None or following.start_s - line.end_s > 1:
            rows.append(LrcLine("", line.end_s))
    return write_lrc(rows)


def read_lyrics(given: str) -> tuple[list[str], list[AskedLine]]:
    """Text, @file, a .lrc or .txt path, or LRC text -> (lines without times, []) or ([], lines with times).

    The two characters \\n in a text count as a line break. Translations, credits, headings and whatever else nobody
    sings is left out (autosing.text.cleaning); notes list these lines.
    Raises InputError: no such file, not text, or nothing that can be sung.
    """
    text, name = _text(given)
    cleaned = clean(text)
    sung = [line for line in cleaned.lines if line.is_sung and syllables(line.text)]
    if not sung:
        raise InputError(f"{name}: nothing in it can be sung (found {text.strip()[:40]!r}); need words or numbers")
    for why, kinds in _LEFT_OUT.items():
        _tell_left_out(name, why, [line.text for line in cleaned.lines if line.kind in kinds])
    if not cleaned.stamped:
        return [line.text for line in sung], []
    stamps_s = [line.start_s for line in parse_lrc(text).lines if line.start_s is not None]
    return [], [line for group in _groups(sung, stamps_s) for line in _between(group)]


def _tell_left_out(name: str, why: str, lines: Sequence[str]) -> None:
    if lines:
        shown = ", ".join(repr(line[:40]) for line in lines[:4]) + (" ..." if len(lines) > 4 else "")
        note(f"{name}: {len(lines)} line{'s' * (len(lines) > 1)} left out, because they {why}: {shown}")


@dataclass(frozen=True)
class _Group:
    """The sung lines with one stamp, those without a stamp that follow them, and when the next stamp is."""

    lines: tuple[FileLine, ...]
    start_s: float
    next_s: float


def _groups(lines: Sequence[FileLine], stamps_s: Sequence[float]) -> Iterator[_Group]:
    """`stamps_s`: of all lines, also of those without words, which end the lines before them."""
    start_s = 0.0
    group: list[FileLine] = []
    for line in (*lines, FileLine("", start_s=math.inf)):
        if line.start_s is not None and not (group and abs(line.start_s - start_s) <= SAME_STAMP_S):
            if group:
                begin_s = max(start_s, 0.0)
                later = (stamp_s for stamp_s in stamps_s if stamp_s > begin_s + SAME_STAMP_S)
                yield _Group(tuple(group), begin_s, min(later, default=math.inf))
            start_s, group = line.start_s, []
        group.append(line)


def _between(group: _Group) -> list[AskedLine]:
    """A group's lines spread over [start, next) by their syllables, each at most its longest syllables and a pause.

    A line whose end is known keeps it; the next line starts there.
    """
    start_s, next_s = group.start_s, group.next_s
    sung = group.lines
    slowest_s = sum(syllables(line.text) + BREATH_SYLLABLES for line in sung) * MAX_SYLLABLE_S
    span_s = min(next_s - start_s, slowest_s)
    asked, at_s = [], start_s
    for line in sung:
        end_s = at_s + span_s * (syllables(line.text) + BREATH_SYLLABLES) * MAX_SYLLABLE_S / slowest_s
        if line.words and line.end_s is not None and at_s < line.end_s <= next_s:
            end_s = line.end_s
        asked.append(AskedLine(line.text, at_s, end_s, _words(line.words, end_s)))
        at_s = end_s
    return asked


def _words(words: Sequence[LrcWord], end_s: float) -> tuple[AskedWord, ...]:
    """Each word lasts to the next one's stamp, the last to the line's end."""
    ends = [*(word.start_s for word in words[1:]), max(end_s, words[-1].start_s)] if words else []
    return tuple(AskedWord(word.text, word.start_s, end) for word, end in zip(words, ends, strict=True))


def lyrics_file(given: str) -> Path | None:
    """The file that `--lyrics` names: `@file`, or a name in .lrc or .txt; None where `given` is the text itself."""
    path = Path(given.removeprefix("@"))
    return path if given.startswith("@") or (given.lower().endswith(LYRICS_ENDINGS) and can_be_a_path(path)) else None


def lyrics_folder(given: str) -> Path | None:
    """The folder that `--lyrics` names; None where it names none."""
    path = Path(given)
    return path if can_be_a_path(path) and path.is_dir() else None


def can_be_a_path(path: Path) -> bool:
    """Whether a text is short enough for a path: Linux allows names of 255 bytes and paths of 4096."""
    return len(os.fsencode(path)) < 4096 and all(len(os.fsencode(part)) <= 255 for part in path.parts)


def _text(given: str) -> tuple[str, str]:
    path = lyrics_file(given)
    if path is None:
        return given.replace("\\n", "\n"), "lyrics"
    if not can_be_a_path(path) or not path.is_file():
        raise InputError(f"lyrics {path}: no such file; give the words themselves, or the path of a .lrc or .txt file")
    text, encoding = read_text_file(path)
    if encoding != "utf-8":
        note(f"lyrics {path}: {guess_remark(encoding) or f'read as {encoding}'}")
    return text, f"lyrics {path}"
