"""An English word -> its phones: from the dictionary of the package misaki (90,000 words, with their inflections), by
its endings where only its stem is there, else by eSpeak NG's rules."""

import json
import re
from functools import cache, lru_cache
from importlib import resources, util

from autosing.errors import InputError
from autosing.score.g2p.espeak import espeak_phones
from autosing.score.phones import ipa_phones

_LETTERS = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "ʤ": "dʒ", "ʧ": "tʃ", "ᵊ": "ə", "ᵻ": "ɪ", "ɜ": "ɚ"}
"""misaki's letters, a phone each, that are no IPA."""
_OWN = {
    "the": "ðə", "a": "ə", "live": "lɪv", "wind": "wɪnd", "tear": "tɪɹ", "tears": "tɪɹz", "lead": "lid",
    "close": "kloʊz", "use": "juz", "o": "oʊ", "oh": "oʊ", "ooh": "u", "ah": "ɑ", "la": "lɑ", "na": "nɑ", "mm": "m",
    "hmm": "hm", "yeah": "jɛə", "ev'ry": "ɛvɹi", "heav'n": "hɛvən", "e'er": "ɛɹ", "o'er": "oʊɚ", "ne'er": "nɛɹ",
    "'tis": "tɪz", "'twas": "twʌz", "'cause": "kəz", "cause": "kɔz", "'til": "tɪl", "'em": "əm",
}  # fmt: skip
"""As songs have them: the commoner reading of words that are written alike, and what is sung without a meaning."""
_VOICELESS, _HISSING = frozenset("ptkfθ"), frozenset({"s", "z", "ʃ", "ʒ", "tʃ", "dʒ"})


def english_phones(word: str, before_vowel: bool = False) -> list[str]:
    """`before_vowel`: whether the next word begins with one ("the" is then thee). Raises InputError for a word that
    neither the dictionary nor eSpeak NG knows."""
    plain = plain_word(word)
    if plain == "the" and before_vowel:
        return ["ð", "i"]
    return list(_phones(plain, word))


def plain_word(word: str) -> str:
    """As it stands in the dictionary: in small letters, without what stands around it."""
    return word.lower().replace("’", "'").strip(' .,!?;:"“”()[]…—–-*')


@lru_cache(1 << 15)
def _phones(plain: str, word: str) -> tuple[str, ...]:
    known = _known(plain)
    if known is not None:
        return known
    if "-" in plain:
        return tuple(phone for part in plain.split("-") if part for phone in _phones(part, word))
    for ending, add in (("'s", _plural), ("s", _plural), ("'", None), ("in'", _in), ("ed", _past), ("ing", _ing)):
        if plain.endswith(ending) and len(plain) > len(ending) + 1:
            stem = plain[: -len(ending)]
            for candidate in (stem, stem + "e", stem[:-1] if stem[-1:] == stem[-2:-1] else stem):
                found = _known(candidate + "ing" if add is _in else candidate)
                if found is not None:
                    return found if add is None else add(found)
    if not plain:
        raise InputError(f"word {word!r}: holds no letter that can be sung")
    return espeak_phones(plain, "en")


@lru_cache(1 << 15)
def _known(word: str) -> tuple[str, ...] | None:
    if word in _OWN:
        return tuple(ipa_phones(_OWN[word]))
    for written in (word, word.capitalize(), word.upper() if len(word) == 1 else word):
        for table in _dictionaries():
            found = table.get(written)
            if isinstance(found, dict):
                found = found.get("DEFAULT") or next((form for form in found.values() if form), None)
            if found:
                return _of_letters(found)
    return None


def _of_letters(text: str) -> tuple[str, ...]:
    """ɔ and ɪ side by side are two phones here: a diphthong is a letter of its own."""
    text = re.sub("[ˈˌ]", "", text).replace("ɜɹ", "ɜ").replace("əɹ", "ɜ")
    phones = [_LETTERS.get(letter, letter) for letter in text]
    return tuple("n̩" if phone == "n" and phones[k - 1 : k] == ["ʔ"] else phone for k, phone in enumerate(phones))


@cache
def _dictionaries() -> tuple[dict[str, str | dict[str, str | None]], ...]:
    if util.find_spec("misaki") is None:
        raise InputError(
            "English words: package misaki, which has their dictionary, is not there; run pip install 'autosing[score]'"
        )
    folder = resources.files("misaki.data")
    return tuple(json.loads((folder / f"us_{name}.json").read_text(encoding="utf-8")) for name in ("gold", "silver"))


def _plural(stem: tuple[str, ...]) -> tuple[str, ...]:
    if stem[-1] in _HISSING:
        return (*stem, "ɪ", "z")
    return (*stem, "s" if stem[-1] in _VOICELESS else "z")


def _past(stem: tuple[str, ...]) -> tuple[str, ...]:
    if stem[-1] in ("t", "d"):
        return (*stem, "ɪ", "d")
    return (*stem, "t" if stem[-1] in _VOICELESS | {"s", "ʃ", "tʃ"} else "d")


def _ing(stem: tuple[str, ...]) -> tuple[str, ...]:
    return (*stem, "ɪ", "ŋ")


def _in(whole: tuple[str, ...]) -> tuple[str, ...]:
    return (*whole[:-1], "n")
