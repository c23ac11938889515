"""A word of any script -> the letters a to z that it roughly sounds like; `?` is a sound that the spelling hides.

This is for finding words in audio, not for reading: what matters is that the same letters mean similar sounds.
"""

import unicodedata
from functools import cache

UNKNOWN = "?"
ALPHABET = "abcdefghijklmnopqrstuvwxyz"

_LATIN = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ı": "i", "ł": "l", "đ": "d", "ð": "th", "þ": "th", "ŋ": "ng",
    "ə": "e", "ɛ": "e", "ɔ": "o", "ħ": "h", "ŧ": "t", "ĸ": "k", "ơ": "o", "ư": "u",
}  # fmt: skip
_CYRILLIC = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "yo", "ж": "zh", "з": "z", "и": "i", "й": "y",
    "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f",
    "х": "h", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sh", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya",
    "і": "i", "ї": "yi", "є": "ye", "ґ": "g", "ў": "w", "ј": "y", "љ": "ly", "њ": "ny", "ћ": "ch", "ђ": "j",
    "џ": "j", "ѓ": "g", "ќ": "k", "ѕ": "z",
}  # fmt: skip
_GREEK = {
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l",
    "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "i", "φ": "f",
    "χ": "h", "ψ": "ps", "ω": "o",
}  # fmt: skip
_NAMES = ("HANGUL SYLLABLE ", "HIRAGANA LETTER ", "KATAKANA LETTER ")


def letters(word: str) -> str:
    """The word in a..z and `?`; empty if nothing in it is pronounced (punctuation, symbols)."""
    out = ""
    for char in unicodedata.normalize("NFC", word).casefold():
        sound = _sound(char)
        if char == "ー" and out:
            sound = out[-1]
        out += sound
    return out


@cache
def _sound(char: str) -> str:
    if "a" <= char <= "z":
        return char
    for table in (_LATIN, _CYRILLIC, _GREEK):
        if char in table:
            return table[char]
    name = unicodedata.name(char, "")
    for start in _NAMES:
        if name.startswith(start):
            return name.removeprefix(start).split()[-1].lower()
    if name.startswith("CJK"):
        return _mandarin(char)
    base = unicodedata.normalize("NFKD", char)
    if base != char:
        return "".join(_sound(part) for part in base)
    category = unicodedata.category(char)
    if category[0] == "N":
        return UNKNOWN
    if category[0] != "L":
        return _vowel_sign(name)
    last = name.split()[-1].lower() if name else ""
    if name.startswith(("THAI CHARACTER ", "LAO LETTER ")):  # letters are named by a word, vowels (SARA) by their sound
        last = last if "SARA" in name or "VOWEL" in name else name.split()[2][:1].lower()
    # Abjads name a letter by a word that starts with its sound (BEH, BET); syllabic scripts by the syllable itself.
    sound = last[:1] if name.startswith(("ARABIC", "HEBREW")) else last
    return sound if sound and all(c in ALPHABET for c in sound) and len(sound) <= 4 else UNKNOWN


def _vowel_sign(name: str) -> str:
    last = name.split()[-1].lower() if " VOWEL SIGN " in name else ""
    return last if last and all(c in ALPHABET for c in last) and len(last) <= 2 else ""


def _mandarin(char: str) -> str:
    """An ideograph's most common Mandarin syllable, without the tone."""
    from pypinyin import lazy_pinyin

    (syllable,) = lazy_pinyin(char, errors=lambda _: UNKNOWN)
    return syllable
