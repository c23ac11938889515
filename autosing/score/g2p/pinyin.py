"""Pinyin's initials and finals -> phones of the inventory."""

INITIALS = {
    "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ", "h": "x",
    "j": "tɕ", "q": "tɕʰ", "x": "ɕ", "zh": "ʈʂ", "ch": "ʈʂʰ", "sh": "ʂ", "r": "ʐ", "z": "ts", "c": "tsʰ", "s": "s",
}  # fmt: skip
FINALS = {
    "a": "a", "o": "o", "e": "ɤ", "ê": "ɛ", "i": "i", "u": "u", "v": "y", "ai": "aɪ", "ei": "eɪ", "ao": "aʊ",
    "ou": "oʊ", "an": "a n", "en": "ə n", "ang": "ɑ ŋ", "eng": "ə ŋ", "ong": "ʊ ŋ", "er": "ɚ", "ia": "j a",
    "io": "j o", "ie": "j ɛ", "iai": "j aɪ", "iao": "j aʊ", "iou": "j oʊ", "ian": "j ɛ n", "in": "i n",
    "iang": "j ɑ ŋ", "ing": "i ŋ", "iong": "j ʊ ŋ", "ua": "w a", "uo": "w o", "uai": "w aɪ", "uei": "w eɪ",
    "uan": "w a n", "uen": "w ə n", "uang": "w ɑ ŋ", "ueng": "w ə ŋ", "ve": "ɥ ɛ", "van": "ɥ ɛ n", "vn": "y n",
    "m": "m", "n": "n", "ng": "ŋ",
}  # fmt: skip
"""As they are in full: iou, uei, uen, and v for ü."""
_SHORT = {"iu": "iou", "ui": "uei", "un": "uen", "ue": "ve", "ü": "v", "üe": "ve", "üan": "van", "ün": "vn"}
"""How finals are written behind initials, and in people's tables."""
_HISSING, _CURLED = frozenset({"z", "c", "s"}), frozenset({"zh", "ch", "sh", "r"})


def phones_of_pinyin(initial: str, final: str) -> list[str]:
    """Of one syllable; KeyError where pinyin has no such parts."""
    final = _SHORT.get(final, final)
    if initial in ("j", "q", "x", "y") and final in ("u", "uen", "uan"):
        final = {"u": "v", "uen": "vn", "uan": "van"}[final]
    if final == "i" and initial in _HISSING | _CURLED:
        vowel = ["ɿ" if initial in _HISSING else "ʅ"]
    else:
        vowel = FINALS[final].split()
    return ([INITIALS[initial]] if initial else []) + vowel
