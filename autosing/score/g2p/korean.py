"""Korean words in Hangul -> syllables of phones, after the rules of standard pronunciation.

A letter block is initial, vowel and final. What is written last in a block and first in the next change one another:
finals move over to an empty initial, h joins with stops, stops become tense, nasal or liquid. Rules that hang on a
word's grammar or origin (most tensing behind n, m, l) are not here.
"""

from dataclasses import dataclass
from itertools import pairwise

from autosing.score.syllabify import SungSyllable

_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINALS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")
_ONSET = {
    "ㄱ": "k", "ㄲ": "k͈", "ㄴ": "n", "ㄷ": "t", "ㄸ": "t͈", "ㄹ": "ɾ", "ㅁ": "m", "ㅂ": "p", "ㅃ": "p͈", "ㅅ": "s",
    "ㅆ": "s͈", "ㅈ": "tɕ", "ㅉ": "tɕ͈", "ㅊ": "tɕʰ", "ㅋ": "kʰ", "ㅌ": "tʰ", "ㅍ": "pʰ", "ㅎ": "h",
}  # fmt: skip
_NUCLEUS = {
    "ㅏ": "a", "ㅐ": "ɛ", "ㅑ": "j a", "ㅒ": "j ɛ", "ㅓ": "ʌ", "ㅔ": "e", "ㅕ": "j ʌ", "ㅖ": "j e", "ㅗ": "o",
    "ㅘ": "w a", "ㅙ": "w ɛ", "ㅚ": "w e", "ㅛ": "j o", "ㅜ": "u", "ㅝ": "w ʌ", "ㅞ": "w e", "ㅟ": "w i", "ㅠ": "j u",
    "ㅡ": "ɯ", "ㅢ": "ɰ i", "ㅣ": "i",
}  # fmt: skip
_CODA = {"ㄱ": "k̚", "ㄴ": "n", "ㄷ": "t̚", "ㄹ": "l", "ㅁ": "m", "ㅂ": "p̚", "ㅇ": "ŋ"}
_VOICED = {"k": "ɡ", "t": "d", "p": "b", "tɕ": "dʑ"}
_PARTS = {
    "ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ", "ㄽ": "ㄹㅅ", "ㄾ": "ㄹㅌ",
    "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ",
}  # fmt: skip
_ALONE = {
    "ㄲ": "ㄱ", "ㅋ": "ㄱ", "ㄳ": "ㄱ", "ㄺ": "ㄱ", "ㄵ": "ㄴ", "ㄶ": "ㄴ", "ㅅ": "ㄷ", "ㅆ": "ㄷ", "ㅈ": "ㄷ",
    "ㅊ": "ㄷ", "ㅌ": "ㄷ", "ㅎ": "ㄷ", "ㄼ": "ㄹ", "ㄽ": "ㄹ", "ㄾ": "ㄹ", "ㅀ": "ㄹ", "ㄻ": "ㅁ", "ㅍ": "ㅂ",
    "ㅄ": "ㅂ", "ㄿ": "ㅂ",
}  # fmt: skip
"""A final before a consonant or a pause: one of seven sounds."""
_TENSE = {"ㄱ": "ㄲ", "ㄷ": "ㄸ", "ㅂ": "ㅃ", "ㅅ": "ㅆ", "ㅈ": "ㅉ"}
_ASPIRATE = {"ㄱ": "ㅋ", "ㄷ": "ㅌ", "ㅂ": "ㅍ", "ㅈ": "ㅊ"}
_NASAL = {"ㄱ": "ㅇ", "ㄷ": "ㄴ", "ㅂ": "ㅁ"}


@dataclass
class _Block:
    initial: str
    vowel: str
    final: str


def korean_syllables(word: str) -> list[SungSyllable]:
    """One syllable a letter block; other letters are passed over."""
    blocks = [_split(letter) for letter in word if "가" <= letter <= "힣"]
    for before, after in pairwise(blocks):
        if (before.initial, before.vowel, before.final) == ("ㅂ", "ㅏ", "ㄼ") and after.initial != "ㅇ":
            before.final = "ㅂ"  # the verb 밟다 alone keeps its p
        _meet(before, after)
    for block in blocks:
        block.final = _ALONE.get(block.final, block.final)
    for before, after in pairwise(blocks):
        _assimilate(before, after)
    found = []
    last = ""
    for block in blocks:
        vowel = _NUCLEUS[block.vowel].split()
        if block.initial != "ㅇ" and block.vowel == "ㅢ":
            vowel = ["i"]
        if block.initial in "ㅈㅉㅊ" and vowel[0] == "j":
            vowel = vowel[1:]
        onset = [_ONSET[block.initial]] if block.initial != "ㅇ" else []
        if onset == ["ɾ"] and last == "l":
            onset = ["l"]
        if onset and onset[0] in _VOICED and last and last not in ("k̚", "t̚", "p̚"):
            onset = [_VOICED[onset[0]]]
        if onset == ["s"] and vowel[0] in ("i", "j"):
            onset = ["ɕ"]
        coda = [_CODA[block.final]] if block.final else []
        symbols = [*onset, *vowel, *coda]
        found.append(SungSyllable.around(symbols, len(onset) + len(vowel) - 1))
        last = symbols[-1]
    return found


def _split(letter: str) -> _Block:
    number = ord(letter) - 0xAC00
    return _Block(_INITIALS[number // 588], _VOWELS[number % 588 // 28], _FINALS[number % 28])


def _meet(before: _Block, after: _Block) -> None:
    """What moves over, and what h does."""
    final, initial = before.final, after.initial
    if not final:
        return
    first, second = tuple(_PARTS[final]) if final in _PARTS else ("", final)
    if initial == "ㅇ":
        if final == "ㅇ":
            return
        if second == "ㅎ":  # h falls away between vowels
            before.final = ""
            if first:
                after.initial = first
            return
        if after.vowel == "ㅣ" and second in ("ㄷ", "ㅌ"):
            second = {"ㄷ": "ㅈ", "ㅌ": "ㅊ"}[second]
        before.final = first
        after.initial = _TENSE["ㅅ"] if second == "ㅅ" and first else second
    elif second == "ㅎ" and initial in "ㄱㄷㅈ":
        before.final, after.initial = first, _ASPIRATE[initial]
    elif second == "ㅎ" and initial == "ㅅ":
        before.final, after.initial = first, "ㅆ"
    elif second == "ㅎ" and initial == "ㄴ":
        before.final = first or "ㄴ"
    elif initial == "ㅎ":
        joined = {"ㄱ": "ㄱ", "ㄺ": "ㄱ", "ㄳ": "ㄱ", "ㅂ": "ㅂ", "ㄼ": "ㅂ", "ㅄ": "ㅂ", "ㅈ": "ㅈ", "ㄵ": "ㅈ"}.get(
            final
        )
        if joined is None and _ALONE.get(final, final) == "ㄷ":
            joined = "ㅈ" if after.vowel == "ㅣ" and final == "ㄷ" else "ㄷ"
        if joined is not None:
            before.final, after.initial = (first if final in ("ㄺ", "ㄼ", "ㄵ") else ""), _ASPIRATE[joined]
    elif final in ("ㄺ",) and initial == "ㄱ":
        before.final, after.initial = "ㄹ", "ㄲ"
    elif final in ("ㄼ", "ㄾ", "ㄵ", "ㄻ") and initial in _TENSE:
        after.initial = _TENSE[initial]


def _assimilate(before: _Block, after: _Block) -> None:
    """What neighbours of seven finals do."""
    final, initial = before.final, after.initial
    if final in _NASAL and initial in _TENSE:
        after.initial = _TENSE[initial]
    elif final in _NASAL and initial in "ㄴㅁ":
        before.final = _NASAL[final]
    elif final in _NASAL and initial == "ㄹ":
        before.final, after.initial = _NASAL[final], "ㄴ"
    elif final in ("ㅁ", "ㅇ") and initial == "ㄹ":
        after.initial = "ㄴ"
    elif (final, initial) in (("ㄴ", "ㄹ"), ("ㄹ", "ㄴ")):
        before.final, after.initial = "ㄹ", "ㄹ"
