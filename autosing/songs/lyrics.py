"""A language and a random generator -> a line to sing; and a line -> the words that are sung one by one."""

import re

import numpy as np

from autosing.errors import InputError
from autosing.songs.words import EN, KO, KO_PARTICLES, ZH, read_banks

LANGUAGES = ("en", "ko", "zh")
_BANKS = {"en": read_banks(EN), "ko": read_banks(KO), "zh": read_banks(ZH)}
_SLOT = re.compile(r"\{(\w+)(?::(\w))?\}")


def check_language(language: str) -> str:
    """The language itself, or an InputError that names those there are."""
    if language not in LANGUAGES:
        raise InputError(f"language {language!r}: no words for it; need one of {', '.join(LANGUAGES)}")
    return language


def lyric_line(language: str, rng: np.random.Generator) -> str:
    """One line without punctuation, 4 to 14 syllables."""
    banks = _BANKS[language]

    def fill(slot: re.Match[str]) -> str:
        word = _pick(banks[slot[1]], rng)
        return word + _particle(word, slot[2]) if slot[2] else word

    line = _SLOT.sub(fill, _pick(banks["form"], rng))
    return re.sub(r"\ba (?=[aeiou])", "an ", line) if language == "en" else line


def split_words(line: str, language: str) -> list[str]:
    """The words of a line as they are sung and timed: between spaces; in Mandarin each character. `join_words` (of
    autosing.text.normalize) is the inverse."""
    return list(line) if language == "zh" else line.split()


def _pick(bank: list[str], rng: np.random.Generator) -> str:
    return bank[int(rng.integers(len(bank)))]


def _particle(word: str, particle: str) -> str:
    """The form of a Korean particle that follows a word (U+AC00 on: 28 finals a vowel, 0 is none)."""
    after_consonant, after_vowel = KO_PARTICLES[particle]
    return after_consonant if (ord(word[-1]) - 0xAC00) % 28 else after_vowel
