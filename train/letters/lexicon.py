"""Whisper's own vocabulary -> words to sing in many languages: no text corpus and no song's lyrics are needed."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np

_SHORT_LATIN = 12


@dataclass(frozen=True)
class Tongue:
    """An eSpeak NG voice, the kind of words that it gets, and its share of the windows."""

    voice: str
    words: str
    share: float


TONGUES = (
    Tongue("en-us", "latin", 0.40), Tongue("en-gb-x-rp", "latin", 0.08), Tongue("es", "accented", 0.07),
    Tongue("es-419", "accented", 0.04), Tongue("it", "accented", 0.04), Tongue("pt-br", "accented", 0.04),
    Tongue("fr", "accented", 0.04), Tongue("de", "accented", 0.04), Tongue("tr", "accented", 0.03),
    Tongue("pl", "accented", 0.01), Tongue("sv", "accented", 0.01), Tongue("ko", "hangul", 0.08),
    Tongue("cmn", "han", 0.08), Tongue("ru", "cyrillic", 0.02), Tongue("ja", "kana", 0.02),
)  # fmt: skip


@cache
def banks() -> dict[str, list[str]]:
    """Kind -> words (latin, accented, cyrillic) or syllables (hangul, han, kana), sorted."""
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(multilingual=True, num_languages=99)
    tokens = [tokenizer.decode([number]) for number in range(tokenizer.eot)]
    chars = sorted({char for token in tokens if "\ufffd" not in token for char in token})
    words = sorted({token.strip().lower() for token in tokens if re.fullmatch(r" [^\W\d_]+", token)})
    words = [word for word in words if 2 <= len(word) <= _SHORT_LATIN]
    return {
        "latin": [word for word in words if word.isascii()],
        # Earlier tokens are more frequent: these are the short words that are common in lyrics.
        "common": sorted({t.strip().lower() for t in tokens[:2500] if re.fullmatch(r" [A-Za-z]{1,8}", t)}),
        "accented": [word for word in words if not word.isascii() and all("LATIN" in _name(c) for c in word)],
        "cyrillic": [word for word in words if all("CYRILLIC" in _name(c) for c in word)],
        "hangul": [char for char in chars if _name(char).startswith("HANGUL SYLLABLE")],
        "han": [char for char in chars if _name(char).startswith("CJK UNIFIED")],
        "kana": [c for c in chars if _name(c).startswith("HIRAGANA LETTER") and "SMALL" not in _name(c)],
    }


def draw_line(kind: str, rng: np.random.Generator) -> list[str]:
    """Words of one line. Languages with few words in the vocabulary also get plain Latin words, read as their own."""
    count = int(rng.integers(2, 9))
    if kind in ("hangul", "kana"):
        return ["".join(_some(kind, int(rng.integers(1, 4)), rng)) for _ in range(min(count, 5))]
    if kind == "han":
        return _some(kind, count + 2, rng)
    if kind == "cyrillic":
        return _some(kind, count, rng)
    first = ("common", 0.5) if kind == "latin" else ("accented", 0.3)
    return [_some(first[0] if rng.random() < first[1] else "latin", 1, rng)[0] for _ in range(count)]


def _some(kind: str, count: int, rng: np.random.Generator) -> list[str]:
    bank = banks()[kind]
    return [bank[int(rng.integers(len(bank)))] for _ in range(count)]


def _name(char: str) -> str:
    return unicodedata.name(char, "")
