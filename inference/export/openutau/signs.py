"""Languages -> the signs of an OpenUtau singer: what its phonemizers call a phone, and which phone of ours it is.

English signs are ARPAbet's (`en/ah`), which OpenUtau's own English phonemizer makes of words; those of other languages
are IPA (`ko/tɕ`). SP is a rest, AP a breath.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from autosing.errors import InputError
from autosing.score.alphabets import ARPABET
from autosing.score.phones import BREATH, LANGUAGES, REST, inventory

ENGLISH_PHONEMIZER = "OpenUtau.Core.DiffSinger.DiffSingerEnglishPhonemizer"
ANY_PHONEMIZER = "OpenUtau.Core.DiffSinger.DiffSingerPhonemizer"
_KINDS = {"nasal": "nasal", "fricative": "fricative", "affricate": "affricate"}


@dataclass(frozen=True)
class Sign:
    """Its token is its place in the list."""

    name: str
    phone: str
    """Of our inventory."""
    language: str

    @property
    def is_vowel(self) -> bool:
        return inventory()[self.phone].kind == "vowel"

    @property
    def is_rest(self) -> bool:
        return inventory()[self.phone].kind == "special"

    @property
    def kind(self) -> str:
        """As dsdict.yaml names it. No consonant is a glide to OpenUtau, which would put it on the beat."""
        return "vowel" if self.is_vowel or self.is_rest else _KINDS.get(inventory()[self.phone].manner, "stop")


def signs_of(languages: Sequence[str]) -> list[Sign]:
    """Raises InputError for a language that no model knows."""
    found = [Sign("SP", REST, "und"), Sign("AP", BREATH, "und")]
    for language in dict.fromkeys(languages):
        if language not in LANGUAGES:
            raise InputError(f"--language {language}: need one of {', '.join(LANGUAGES)}")
        if language == "en":
            found += [Sign(f"en/{name}", phone, "en") for name, phone in ARPABET.items()]
        else:
            phones = [phone.symbol for phone in inventory().values() if phone.kind != "special"]
            found += [Sign(f"{language}/{symbol}", symbol, language) for symbol in phones]
    return found


def dictionary(signs: Sequence[Sign], language: str | None = None) -> dict[str, object]:
    """What stands in dsdict.yaml or, with `language`, in that language's own."""
    kinds = [{"symbol": sign.name, "type": sign.kind} for sign in signs]
    replaced = [{"from": n, "to": f"en/{n}"} for n in ARPABET] if language == "en" else []
    return {"symbols": kinds, "entries": [], **({"replacements": replaced} if replaced else {})}
