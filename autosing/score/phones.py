"""An IPA string -> phones of the one inventory that serves all languages; a phone -> its id, for ever the same.

`phones.tsv` beside this file is the inventory: id, IPA symbol, kind, manner, whether it is voiced. Models keep ids, so
lines are only ever added at its end. Length, stress and tone are no part of a phone: in singing they are the score's.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast, get_args

from autosing.errors import InputError

PhoneKind = Literal["special", "vowel", "consonant"]
Manner = Literal[
    "", "breath", "vowel", "diphthong", "nasal_vowel", "syllabic", "stop", "affricate", "fricative", "nasal", "lateral",
    "approximant", "tap", "trill", "glide",
]  # fmt: skip
PAD, REST, BREATH, UNKNOWN = "<pad>", "<rest>", "<breath>", "<unknown>"
LANGUAGES = (
    "und", "en", "zh", "ko", "ja", "es", "fr", "de", "it", "pt", "ru", "nl", "pl", "sv", "da", "no", "fi", "tr", "el",
    "cs", "hu", "ro", "uk", "ar", "he", "hi", "id", "vi", "th", "la", "yue", "ca",
)  # fmt: skip
"""ISO 639; a language's id is its place. Only ever added to at the end. `und`: none of these."""
_SILENT_MARKS = frozenset("ˈˌːˑ.‿|‖˥˦˧˨˩ꜛꜜ↗↘^ ")
_ALIASES = {
    "g": "ɡ", "ɝ": "ɚ", "ɜ˞": "ɚ", "ə˞": "ɚ", "ᵻ": "ɪ", "ʧ": "tʃ", "ʤ": "dʒ", "ʦ": "ts", "ʣ": "dz", "ʨ": "tɕ",
    "ʥ": "dʑ", "ꭧ": "ʈʂ", "i̯": "j", "u̯": "w", "y̯": "ɥ", "ʍ": "w", "ɫ̩": "l̩", "ɹ̩": "ɚ", "ɐ̯": "ɐ", "ɕː": "ɕ",
    "ai": "aɪ", "au": "aʊ", "ei": "eɪ", "ou": "oʊ", "ɔi": "ɔɪ", "ɔʏ": "ɔɪ", "ɔø": "ɔɪ", "ɑu": "aʊ", "ɑɪ": "aɪ",
    "ɑʊ": "aʊ", "ɐɪ": "aɪ",
}  # fmt: skip
"""Other spellings of a phone."""


@dataclass(frozen=True)
class PhoneType:
    """A line of the inventory."""

    id: int
    symbol: str
    """IPA in Unicode's normal form C."""
    kind: PhoneKind
    manner: Manner
    voiced: bool


@cache
def inventory() -> dict[str, PhoneType]:
    """Symbol -> phone, in the order of ids."""
    found: dict[str, PhoneType] = {}
    for line in Path(__file__).with_name("phones.tsv").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        number, symbol, kind, manner, voiced = line.split("\t")
        assert int(number) == len(found) and kind in get_args(PhoneKind) and manner in get_args(Manner), line
        found[symbol] = PhoneType(int(number), symbol, cast(PhoneKind, kind), cast(Manner, manner), voiced == "1")
    return found


def phone_id(symbol: str) -> int:
    """Raises InputError for what is no phone of the inventory."""
    found = inventory().get(symbol)
    if found is None:
        raise InputError(f"phone {symbol!r}: not in autosing/score/phones.tsv; spell it as IPA with `ipa_phones`")
    return found.id


def language_id(language: str) -> int:
    """0, undetermined, for a language that is not in the list."""
    return LANGUAGES.index(language) if language in LANGUAGES else 0


def is_vowel(symbol: str) -> bool:
    """Whether it can be the nucleus of a syllable: vowels and syllabic consonants."""
    return inventory()[symbol].kind == "vowel"


def ipa_phones(text: str, unknown: Literal["refuse", "drop"] = "refuse") -> list[str]:
    """The phones of an IPA string, longest spellings first; stress, length, tone, ties and spaces are passed over.

    A diacritic that the inventory does not tell apart is passed over too. A base letter that it does not hold raises
    InputError, or is dropped.
    """
    text = unicodedata.normalize("NFC", "".join(c for c in text if c not in _SILENT_MARKS and c not in "͜͡"))
    spellings = _spellings()
    longest = max(map(len, spellings))
    found: list[str] = []
    at = 0
    while at < len(text):
        for length in range(min(longest, len(text) - at), 0, -1):
            symbol = spellings.get(text[at : at + length])
            if symbol is not None:
                found.append(symbol)
                at += length
                break
        else:
            letter = text[at]
            if unicodedata.category(letter) not in ("Mn", "Lm", "Sk", "Nd", "Pd") and unknown == "refuse":
                raise InputError(f"phone {letter!r} in {text!r}: not in the inventory (autosing/score/phones.tsv)")
            at += 1
    return found


@cache
def _spellings() -> dict[str, str]:
    own = {symbol: symbol for symbol, phone in inventory().items() if phone.kind != "special"}
    return own | {unicodedata.normalize("NFC", other): symbol for other, symbol in _ALIASES.items()}
