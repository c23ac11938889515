"""Mandarin in characters (or in pinyin) -> syllables of phones. A character is read in its line, by pypinyin."""

import re
from collections.abc import Sequence
from functools import lru_cache

from autosing.errors import InputError
from autosing.score.g2p.pinyin import FINALS, INITIALS, phones_of_pinyin
from autosing.score.phones import is_vowel
from autosing.score.syllabify import SungSyllable

_LATIN = re.compile(r"[a-zA-ZüÜêÊ:āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜńňǹ]+[1-5]?")
_CHARACTER = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


def mandarin_syllables(words: Sequence[str]) -> list[list[SungSyllable]]:
    """For each word of a line its syllables: one a character. Latin letters are read as pinyin.

    Raises InputError for a character or a spelling that has no reading.
    """
    text = "".join("".join(_CHARACTER.findall(word)) for word in words)
    read = iter(_read(text))
    found = []
    for word in words:
        syllables = [next(read) for _ in _CHARACTER.findall(word)]
        if not syllables:
            syllables = [_syllable(*_parts(part), part) for part in _LATIN.findall(word)]
        found.append(syllables)
    return found


@lru_cache(1 << 12)
def _read(text: str) -> list[SungSyllable]:
    from pypinyin import Style, pinyin

    if not text:
        return []
    initials = pinyin(text, style=Style.INITIALS, strict=True, errors="ignore")
    finals = pinyin(text, style=Style.FINALS, strict=True, errors="ignore")
    if not len(initials) == len(finals) == len(text):
        raise InputError(f"line {text!r}: a character has no reading in Mandarin; write its pinyin instead")
    return [_syllable(a[0], b[0], c) for a, b, c in zip(initials, finals, text, strict=True)]


def _syllable(initial: str, final: str, written: str) -> SungSyllable:
    try:
        symbols = phones_of_pinyin(initial, final)
    except KeyError:
        raise InputError(f"{written!r}: no syllable of Mandarin ({initial}, {final}); write it in pinyin") from None
    vowels = [k for k, symbol in enumerate(symbols) if is_vowel(symbol)]
    return SungSyllable.around(symbols, vowels[0] if vowels else 0)


def _parts(written: str) -> tuple[str, str]:
    """(initial, final in full) of a syllable in pinyin, with or without tone: `zhuang1`, `nü`, `yue4`."""
    from pypinyin.contrib.tone_convert import to_finals, to_initials

    plain = written.lower().rstrip("12345").replace("u:", "ü")
    initial = to_initials(plain, strict=True)
    final = to_finals(plain, strict=True, v_to_u=False)
    if initial not in ("", *INITIALS) or final not in FINALS:
        raise InputError(f"{written!r}: no syllable of Mandarin; need characters, or pinyin such as zhong1")
    return initial, final
