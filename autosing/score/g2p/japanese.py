"""Japanese in kana -> morae of phones, one a syllable of song. Kanji are not read: a dictionary would be needed."""

import re
import unicodedata

from autosing.errors import InputError
from autosing.score.syllabify import SungSyllable

_ROWS = {
    "": "アイウエオ", "k": "カキクケコ", "ɡ": "ガギグゲゴ", "s": "サシスセソ", "z": "ザジズゼゾ", "t": "タチツテト",
    "d": "ダヂヅデド", "n": "ナニヌネノ", "h": "ハヒフヘホ", "b": "バビブベボ", "p": "パピプペポ", "m": "マミムメモ",
    "ɾ": "ラリルレロ",
}  # fmt: skip
_IPA_VOWELS = ("a", "i", "ɯ", "e", "o")
_SPECIAL = {
    "シ": "ɕ i", "ジ": "dʑ i", "チ": "tɕ i", "ヂ": "dʑ i", "ツ": "ts ɯ", "ヅ": "z ɯ", "フ": "ɸ ɯ", "ニ": "ɲ i",
    "ヒ": "ç i", "ヤ": "j a", "ユ": "j ɯ", "ヨ": "j o", "ワ": "w a", "ヲ": "o", "ン": "ɴ", "ヴ": "v ɯ", "ッ": "ʔ",
    "ヰ": "i", "ヱ": "e",
}  # fmt: skip
_PALATAL = {
    "k": "k j", "ɡ": "ɡ j", "ɕ": "ɕ", "dʑ": "dʑ", "tɕ": "tɕ", "ɲ": "ɲ", "ç": "ç", "b": "b j", "p": "p j", "m": "m j",
    "ɾ": "ɾ j", "t": "t j", "d": "d j", "n": "ɲ", "h": "ç",
}  # fmt: skip
"""A consonant before a small ya, yu, yo."""
_SMALL = {"ャ": "a", "ュ": "ɯ", "ョ": "o", "ァ": "a", "ィ": "i", "ゥ": "ɯ", "ェ": "e", "ォ": "o"}
_KANA = re.compile(r"[ァ-ヺー]")


def _table() -> dict[str, list[str]]:
    plain = {
        kana: ([consonant] if consonant else []) + [vowel]
        for consonant, row in _ROWS.items()
        for kana, vowel in zip(row, _IPA_VOWELS, strict=True)
    }
    return plain | {kana: phones.split() for kana, phones in _SPECIAL.items()}


_MORAE = _table()


def japanese_syllables(word: str) -> list[SungSyllable]:
    """A mora a syllable; a long vowel is two, and so is the o of おう. A doubled consonant closes the mora before it.

    Raises InputError for kanji and other letters.
    """
    text = "".join(_katakana(letter) for letter in unicodedata.normalize("NFKC", word))
    if strange := [letter for letter in text if letter.isalpha() and not _KANA.match(letter)]:
        raise InputError(f"word {word!r}: {strange[0]!r} is no kana; write Japanese lyrics in kana")
    morae: list[list[str]] = []
    for letter in text:
        if letter in _SMALL and morae:
            morae[-1] = _with_small(morae[-1], letter)
        elif letter == "ー" and morae:
            morae.append([morae[-1][-1]])
        elif letter == "ッ" and morae:
            morae[-1] = [*morae[-1], "ʔ"]
        elif letter == "ウ" and morae and morae[-1][-1] == "o":
            morae.append(["o"])
        elif letter in _MORAE:
            morae.append(list(_MORAE[letter]))
    vowels = set(_IPA_VOWELS)
    return [
        SungSyllable.around(mora, next((k for k, symbol in enumerate(mora) if symbol in vowels), 0)) for mora in morae
    ]


def _with_small(mora: list[str], letter: str) -> list[str]:
    """き + ゃ, フ + ァ, ウ + ィ."""
    vowel = _SMALL[letter]
    if len(mora) == 1:
        return ["w" if mora[0] == "ɯ" else "j", vowel] if mora[0] in ("ɯ", "i") else [*mora, vowel]
    consonant = mora[0]
    if letter in "ャュョ":
        return [*_PALATAL.get(consonant, consonant).split(), vowel]
    return [consonant, vowel]


def _katakana(letter: str) -> str:
    return chr(ord(letter) + 0x60) if "ぁ" <= letter <= "ゖ" else letter
