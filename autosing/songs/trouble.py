"""Names of troubles and a seed -> what of a song does not agree with its lyrics, as sung and as written.

A song with troubles has two verses and a chorus after each, and sings the chorus once more at the end where its lyrics
hold it once. Which lines are concerned is a function of (seed, index).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.songs.lyrics import LANGUAGES, lyric_line, split_words
from autosing.text.normalize import join_words

Trouble = Literal["breaks", "adlibs", "refrains", "missing", "longer", "verse", "wrong"]
"""In what is sung: breaks (the band alone plays on, between two lines or within one), adlibs (words in no line).
In what is written: refrains (once, and sung three times), missing (a verse is not there), longer (of a version with one
verse more), verse (one in other words), wrong (of another song)."""
TROUBLES: tuple[Trouble, ...] = get_args(Trouble)
ADLIB = "adlib"
"""The part of lines that no lyrics hold."""
_ADLIBS = {
    "en": ("oh yeah", "come on now", "la la la la", "hey hey hey", "oh my baby", "one more time"),
    "ko": ("오 예", "라라라라", "모두 함께", "다시 한번"),
    "zh": ("啦啦啦啦", "来吧来吧", "再来一次"),
}
assert set(_ADLIBS) == set(LANGUAGES), _ADLIBS.keys()
_BREAKS, _MOST_ADLIBS = 2, 3
_BREAK_BARS, _BARS_IN_LINE = (4, 8), (1, 3)
_IN_LINE = 0.25
"""Of breaks: those within a line."""


@dataclass(frozen=True)
class Planted:
    """What is sung otherwise than a file of lyrics expects. Lines are counted without adlibs."""

    again: frozenset[int] = frozenset()
    """Numbers of parts that sing the lines of the earlier part of their name."""
    bars_before: Mapping[int, int] = field(default_factory=dict)
    """Line -> bars of the band alone before it."""
    bars_within: Mapping[int, tuple[float, int]] = field(default_factory=dict)
    """Line -> (which part of its words comes first, bars of the band alone after them)."""
    adlib_after: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Break:
    """The band plays alone, in seconds; `line` (of the truth) is the one that it parts, None between lines."""

    start_s: float
    end_s: float
    line: int | None


@dataclass(frozen=True)
class WrittenLine:
    """A line of the lyrics file, its stamp, and the line of the truth that it is (None: nobody sings it)."""

    text: str
    start_s: float
    line: int | None


@dataclass(frozen=True)
class SungLine:
    """A line that is sung and that a file may hold."""

    text: str
    start_s: float
    line: int
    part: int
    """Number of its part in the song's form."""


def troubles_of(words: Collection[str]) -> tuple[Trouble, ...]:
    """The words themselves in the order of TROUBLES, or an InputError that names those there are."""
    if unknown := sorted(set(words) - set(TROUBLES)):
        raise InputError(f"trouble {unknown[0]!r}: unknown; need some of {', '.join(TROUBLES)}")
    return tuple(trouble for trouble in TROUBLES if trouble in words)


def troubled_parts(lines: int, troubles: Collection[str]) -> tuple[tuple[str, int], ...]:
    """The parts of a song's form, with so many lines each."""
    names = ("verse", "chorus", "verse", "chorus", *(("chorus",) if "refrains" in troubles else ()))
    return tuple((name, lines) for name in names)


def planted(parts: Sequence[tuple[str, int]], troubles: Collection[str], seed: int, index: int) -> Planted:
    """What is planted in the singing of song number `index`."""
    rng = np.random.default_rng(seed_of("made trouble", seed, index))
    names = [name for name, _ in parts]
    again = frozenset(number for number, name in enumerate(names) if name == "chorus" and name in names[:number])
    num_lines = sum(count for _, count in parts)
    chosen = rng.permutation(np.arange(1, num_lines))
    before: dict[int, int] = {}
    within: dict[int, tuple[float, int]] = {}
    for line in chosen[:_BREAKS] if "breaks" in troubles else ():
        if rng.random() < _IN_LINE:
            within[int(line)] = (float(rng.random()), int(rng.integers(_BARS_IN_LINE[0], _BARS_IN_LINE[1] + 1)))
        else:
            before[int(line)] = int(rng.integers(_BREAK_BARS[0], _BREAK_BARS[1] + 1))
    echoed = rng.permutation(num_lines)[: rng.integers(1, _MOST_ADLIBS + 1)] if "adlibs" in troubles else ()
    return Planted(again, before, within, frozenset(int(line) for line in echoed))


def adlib(after: str, language: str, rng: np.random.Generator) -> str:
    """A cry, or the last two words of the line before it once more."""
    cry = _ADLIBS[language][int(rng.integers(len(_ADLIBS[language])))]
    return cry if rng.random() < 0.5 else join_words(split_words(after, language)[-2:])


def written(
    sung: Sequence[SungLine],
    parts: Sequence[tuple[str, int]],
    again: Collection[int],
    troubles: Collection[str],
    language: str,
    rng: np.random.Generator,
) -> list[WrittenLine]:
    """The lyrics that such a file holds. `sung`: all lines but adlibs; `again`: parts that are sung once more."""
    verses = [number for number, (name, _) in enumerate(parts) if name == "verse"]
    kept = [line for line in sung if not ("refrains" in troubles and line.part in again)]
    if "missing" in troubles:
        kept = [line for line in kept if line.part != verses[-1]]
    other = verses[int(rng.integers(len(verses)))] if "missing" not in troubles else verses[0]
    lines = [
        WrittenLine(_other_line(line.text, language, rng), line.start_s, None)
        if "verse" in troubles and line.part == other
        else WrittenLine(line.text, line.start_s, line.line)
        for line in kept
    ]
    apart_s = float(np.median(np.diff([line.start_s for line in sung]))) if len(sung) > 1 else 4.0
    if "longer" in troubles:
        parted = [number for number in range(1, len(lines)) if kept[number].part != kept[number - 1].part]
        at = int(rng.choice([*parted, len(lines)]))
        from_s = lines[at].start_s if at < len(lines) else lines[-1].start_s + apart_s
        count = parts[verses[0]][1]
        verse = [WrittenLine(lyric_line(language, rng), from_s + k * apart_s, None) for k in range(count)]
        late = [replace(line, start_s=line.start_s + count * apart_s) for line in lines[at:]]
        lines = [*lines[:at], *verse, *late]
    if "wrong" in troubles:
        start_s = rng.uniform(2, 15) + np.cumsum([0.0, *rng.uniform(0.6, 1.5, len(lines) - 1) * apart_s])
        lines = [WrittenLine(lyric_line(language, rng), float(s), None) for s in start_s]
    return [replace(line, start_s=round(line.start_s, 2)) for line in lines]


def _other_line(text: str, language: str, rng: np.random.Generator) -> str:
    """A line that is not this one."""
    other = text
    while other == text:
        other = lyric_line(language, rng)
    return other


def check_troubles(troubles: Sequence[str], voices: str) -> tuple[Trouble, ...]:
    """The troubles, or an InputError where the voices cannot sing them."""
    known = troubles_of(troubles)
    if known and voices != "synthetic":
        raise InputError(f"trouble {', '.join(known)}: voices {voices!r} given; need --voices synthetic")
    return known
