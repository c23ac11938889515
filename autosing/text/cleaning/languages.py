"""Texts of one column of a file -> the languages that it may be in; two columns -> how they belong together."""

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from autosing.text.letters import letters
from autosing.text.normalize import has_own_script, languages_of, main_script, words_of

_KANA = re.compile(r"[぀-ゟ゠-ヿ]")
_MUCH_KANA = 0.05
"""Of a text's characters: Japanese has more, Chinese none."""
_SOUNDS_ALIKE = 0.55
_COMPARED_LINES = 12
_ROMAJI = re.compile(r"(?:[kgsztdnhbpmyrwjfc]{0,2}[hsy]?[aiueoāīūēōâîûêô]|n|m)+", re.IGNORECASE)
_MOSTLY_ROMAJI = 0.85


@dataclass(frozen=True)
class Column:
    """Texts, and the languages that are written in their script; None for Latin letters, which may be any."""

    texts: tuple[str, ...]
    languages: frozenset[str] | None

    def may_be(self, language: str) -> bool:
        """Latin letters do not count as a language with an alphabet of its own: they romanise it."""
        return not has_own_script(language) if self.languages is None else language in self.languages

    def without(self, language: str) -> "Column":
        return replace(self, languages=None if self.languages is None else self.languages - {language})

    @cached_property
    def words(self) -> Counter[str]:
        return Counter(letters(word) for text in self.texts for word in words_of(text))


def column_of(texts: Sequence[str]) -> Column:
    whole = "".join(texts)
    script = main_script(whole) or "LATIN"
    if script in ("CJK", "HIRAGANA", "KATAKANA") and len(_KANA.findall(whole)) > _MUCH_KANA * len(whole):
        return Column(tuple(texts), frozenset({"ja"}))
    return Column(tuple(texts), frozenset(languages_of(script)) or None)


def apart(a: Column, b: Column) -> bool:
    """Whether their scripts share no language."""
    if a.languages is None or b.languages is None:
        return a.languages is not b.languages
    return not a.languages & b.languages


def romanises(column: Column, other: Column) -> bool:
    """Whether a column of Latin letters says how another one sounds."""
    if column.languages is not None or other.languages is None:
        return False
    if _sounds_alike(column.texts, other.texts) >= _SOUNDS_ALIKE:
        return True
    words = [word for text in column.texts for part in text.split() if (word := part.strip(".,!?'\"()-~"))]
    romaji = sum(_ROMAJI.fullmatch(word) is not None for word in words)
    return other.languages == {"ja"} and bool(words) and romaji >= _MOSTLY_ROMAJI * len(words)


def same_words(a: Column, b: Column) -> float:
    """The smaller of the shares of each column's words that the other has, too."""
    shares = (
        sum(count for word, count in own.words.items() if word in other.words) / max(own.words.total(), 1)
        for own, other in ((a, b), (b, a))
    )
    return min(shares)


def _sounds_alike(texts: Sequence[str], others: Sequence[str]) -> float:
    """How much of the letters of two columns agree, line by line in the median: 0..1."""
    ratios = sorted(
        difflib.SequenceMatcher(None, _sound(text), _sound(other), autojunk=False).ratio()
        for text, other in list(zip(texts, others, strict=False))[:_COMPARED_LINES]
    )
    return ratios[len(ratios) // 2] if ratios else 0.0


def _sound(text: str) -> str:
    return letters("".join(text.split()))
