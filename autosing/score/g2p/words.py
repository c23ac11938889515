"""Words of a line -> the syllables that each is sung as, in any language."""

from collections.abc import Sequence
from typing import NamedTuple

from autosing.score.g2p.english import english_phones
from autosing.score.g2p.espeak import espeak_phones
from autosing.score.g2p.japanese import japanese_syllables
from autosing.score.g2p.korean import korean_syllables
from autosing.score.g2p.mandarin import mandarin_syllables
from autosing.score.languages import language_of_letters
from autosing.score.phones import is_vowel
from autosing.score.syllabify import SungSyllable, syllabify


class Spoken(NamedTuple):
    """A word and its language (ISO 639; und: by its letters, Latin ones as English)."""

    text: str
    language: str


def pronounce(words: Sequence[Spoken]) -> list[list[SungSyllable]]:
    """For each word its syllables. Neighbours matter: a Mandarin character is read in its line, "the" before a vowel.

    Raises InputError naming a word that has no pronunciation.
    """
    languages = [language_for(word) for word in words]
    found: list[list[SungSyllable]] = [[] for _ in words]
    for k in reversed(range(len(words))):
        text, language = words[k].text, languages[k]
        if language == "ko":
            found[k] = korean_syllables(text)
        elif language == "ja":
            found[k] = japanese_syllables(text)
        elif language == "en":
            following = found[k + 1][0].symbols[0] if k + 1 < len(words) and found[k + 1] else ""
            found[k] = syllabify(english_phones(text, bool(following) and is_vowel(following)))
        elif language != "zh":
            found[k] = syllabify(espeak_phones(text.strip(' .,!?;:"“”()[]…—–'), language))
    chinese = [k for k, language in enumerate(languages) if language == "zh"]
    for k, syllables in zip(chinese, mandarin_syllables([words[k].text for k in chinese]), strict=True):
        found[k] = syllables
    return found


def language_for(word: Spoken) -> str:
    """The language that a word is read in. Han characters among Korean or Japanese words stay theirs."""
    guess = language_of_letters(word.text)
    if word.language == "und":
        return "en" if guess == "und" else guess
    if word.language in ("ko", "ja", "zh", "yue") and guess == "und" and word.text.isascii():
        return "zh" if word.language == "zh" else "en"
    return word.language
