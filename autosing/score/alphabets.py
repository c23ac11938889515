"""Phones as people's labels name them -> phones of the inventory: IPA, ARPAbet, pinyin's parts, Japanese romaji.

One sign may be several phones (`ang`), and one phone may be named by language (`zh/ang`, `en/ah`).
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from autosing.errors import InputError
from autosing.score.g2p.pinyin import FINALS, INITIALS
from autosing.score.phones import inventory, ipa_phones

REST_SIGNS = frozenset(
    {"", "SP", "sp", "sil", "SIL", "pau", "<SP>", "spn", "<sil>", "rest", "silence", "_NONE", "<UNK>"}
)
BREATH_SIGNS = frozenset({"AP", "<AP>", "br", "EP", "ap", "breath", "<breath>", "GS"})
ARPABET = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "ay": "aɪ", "b": "b", "ch": "tʃ", "d": "d",
    "dh": "ð", "dx": "ɾ", "eh": "ɛ", "er": "ɚ", "ey": "eɪ", "f": "f", "g": "ɡ", "hh": "h", "ih": "ɪ", "iy": "i",
    "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "q": "ʔ",
    "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z",
    "zh": "ʒ",
}  # fmt: skip
ROMAJI = {
    "a": "a", "i": "i", "u": "ɯ", "e": "e", "o": "o", "N": "ɴ", "cl": "ʔ", "k": "k", "ky": "k j", "g": "ɡ", "gy": "ɡ j",
    "s": "s", "sh": "ɕ", "z": "z", "j": "dʑ", "t": "t", "ts": "ts", "ch": "tɕ", "ty": "t j", "d": "d", "dy": "d j",
    "n": "n", "ny": "ɲ", "h": "h", "hy": "ç", "f": "ɸ", "b": "b", "by": "b j", "p": "p", "py": "p j", "m": "m",
    "my": "m j", "y": "j", "r": "ɾ", "ry": "ɾ j", "w": "w", "v": "v",
}  # fmt: skip
_PINYIN_ONLY = {
    "y": [], "w": [], "i0": ["ɿ"], "ir": ["ʅ"], "ii": ["ɿ"], "iii": ["ʅ"], "E": ["ɛ"], "En": ["ɛ", "n"],
    "iu": ["j", "oʊ"], "ui": ["w", "eɪ"], "un": ["w", "ə", "n"], "ue": ["ɥ", "ɛ"], "iE": ["j", "ɛ"], "uE": ["ɥ", "ɛ"],
    "ueng": ["w", "ə", "ŋ"],
}  # fmt: skip
_SIDE_S, _SHARE = 0.06, 0.3
"""In a sign of several phones each but the vowel takes so long, or at most this part of the sign."""


@cache
def _tables() -> dict[str, dict[str, list[str]]]:
    pinyin = {name: [phone] for name, phone in INITIALS.items()} | {n: f.split() for n, f in FINALS.items()}
    return {
        "en": {name: [phone] for name, phone in ARPABET.items()},
        "zh": pinyin | _PINYIN_ONLY,
        "ja": {name: phones.split() for name, phones in ROMAJI.items()},
    }


def alphabet_of(signs: Sequence[str], language: str = "und") -> str:
    """ipa, en (ARPAbet), zh (pinyin's parts) or ja (romaji): the one that knows all of the signs. Of several the
    language's own, then IPA. Raises InputError where none does."""
    plain = {_plain(sign) for sign in signs if sign not in REST_SIGNS | BREATH_SIGNS and "/" not in sign}
    order = [language] if language in _tables() else []
    order += ["ipa"] if not order or _looks_like_ipa(plain) else []
    unknown: dict[str, list[str]] = {}
    for name in dict.fromkeys([*order, "ipa", "zh", "en", "ja"]):
        unknown[name] = [sign for sign in plain if not _known(sign, name)]
        if not unknown[name]:
            return name
    best = min(unknown, key=lambda name: len(unknown[name]))
    shown = ", ".join(sorted(unknown[best])[:8])
    raise InputError(f"phones {shown}: in none of IPA, ARPAbet, pinyin's initials and finals, and romaji; rename them")


def phones_of_sign(sign: str, alphabet: str) -> list[str]:
    """Raises InputError for a sign that the alphabet does not know. Rests and breaths have none."""
    if sign in REST_SIGNS | BREATH_SIGNS:
        return []
    language, slash, rest = sign.partition("/")
    name, plain = (language, _plain(rest)) if slash and language in _tables() else (alphabet, _plain(sign))
    if name != "ipa":
        table = _tables()[name]
        found = table.get(plain, table.get(plain.lower()))
        if found is not None:
            return found
    return ipa_phones(plain)


def spread(symbols: Sequence[str], start_s: float, end_s: float) -> list[tuple[float, float]]:
    """Where each phone of one sign lies in the sign's time: consonants are short, the vowel has the rest."""
    vowels = [k for k, symbol in enumerate(symbols) if inventory()[symbol].kind == "vowel"]
    main = vowels[0] if vowels else 0
    side_s = min(_SIDE_S, _SHARE * (end_s - start_s) / max(len(symbols) - 1, 1))
    edges = [start_s + side_s * k for k in range(main + 1)]
    edges += [end_s - side_s * k for k in reversed(range(len(symbols) - main))]
    return list(pairwise(edges))


def _plain(sign: str) -> str:
    """Without ARPAbet's stress and pinyin's tone at the end, but with the digit of i0."""
    return sign if sign == "i0" else sign.rstrip("012345") or sign


def _known(sign: str, name: str) -> bool:
    if name == "ipa":
        return _looks_like_ipa({sign})
    return sign in _tables()[name] or sign.lower() in _tables()[name]


def _looks_like_ipa(signs: set[str]) -> bool:
    try:
        return all(len(ipa_phones(sign)) == 1 for sign in signs)
    except InputError:
        return False
