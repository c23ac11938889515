"""Lyrics as people write them -> lines and their words, in any script; and the script of a text."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from autosing.text.letters import letters

_HEADING = re.compile(
    r"\s*[\[【<][^\]】>]*[\]】>]\s*|\s*(verse|chorus|bridge|intro|outro|pre-?chorus)\s*\d*\s*:\s*", re.IGNORECASE
)
_SMALL_KANA = set("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮー")
HELD_MARKS = "~˜∼∿〜〰～"
"""Tilde, wave dash and similar marks of a held note (`soo~n`): they are not letters, and do not separate words. A dash
separates words (`well—you`), a hyphen belongs to its word (`co-op`); letters that are repeated are sung."""
_HELD = re.compile(rf"(?<!\d)[{HELD_MARKS}]+|[{HELD_MARKS}]+(?!\d)")

_LANGUAGES = {
    "CYRILLIC": ("ru", "uk", "be", "bg", "mk", "sr", "kk", "mn", "tt", "tg", "ba", "az", "uz"),
    "GREEK": ("el",),
    "HANGUL": ("ko",),
    "CJK": ("ko", "zh", "yue", "ja"),
    "BOPOMOFO": ("zh",),
    "HIRAGANA": ("ja",),
    "KATAKANA": ("ja",),
    "ARABIC": ("ar", "fa", "ur", "ps", "sd"),
    "HEBREW": ("he", "yi"),
    "DEVANAGARI": ("hi", "mr", "ne", "sa"),
    "BENGALI": ("bn", "as"),
    "GURMUKHI": ("pa",),
    "GUJARATI": ("gu",),
    "TAMIL": ("ta",),
    "TELUGU": ("te",),
    "KANNADA": ("kn",),
    "MALAYALAM": ("ml",),
    "SINHALA": ("si",),
    "THAI": ("th",),
    "LAO": ("lo",),
    "MYANMAR": ("my",),
    "KHMER": ("km",),
    "GEORGIAN": ("ka",),
    "ARMENIAN": ("hy",),
    "TIBETAN": ("bo",),
    "ETHIOPIC": ("am",),
}
"""A script -> Whisper's languages that are written in it. Latin letters may stand for any language."""


def lines_of(text: str) -> list[str]:
    """The lines that are not blank, their spaces tidied; `[Chorus]` and similar lines stay (they have no words)."""
    return [tidy for line in text.lstrip("\ufeff").splitlines() if (tidy := " ".join(line.split()))]


def words_of(line: str) -> list[str]:
    """The words of a line that are sung, with their punctuation: split at spaces, and at each ideograph or kana.

    A heading (`[Chorus]`, `Verse 2:`) has none. Symbols without a sound (`-`, music signs) are added to the word before
    them; marks of a held note are left out.
    """
    if _HEADING.fullmatch(line):
        return []
    words: list[str] = []
    for chunk in without_held_marks(line).split():
        fresh = True
        for piece in _pieces(chunk):
            if letters(piece):
                words.append(piece)
            elif words and not fresh:
                words[-1] += piece
            fresh = False
    return words


def without_held_marks(text: str) -> str:
    """The text as it is sung; between digits (`10~20`) a tilde stays."""
    return _HELD.sub("", text)


def join_words(words: Iterable[str]) -> str:
    """Words -> a line. Text is always made of words by this function."""
    line = ""
    for word in words:
        line += joint(line, word) + word
    return line


def joint(before: str, word: str) -> str:
    """The text between two words: a space, unless there is no word before or both are written without spaces."""
    return "" if not before or (_spaceless(before[-1]) and _spaceless(word[0])) else " "


def main_script(text: str) -> str | None:
    """The script of most letters: LATIN, CJK, HANGUL, CYRILLIC ...; None if there is no letter."""
    counts = Counter(_script(char) for char in text if unicodedata.category(char)[0] == "L")
    return max(sorted(counts), key=lambda script: counts[script]) if counts else None


def written_in(language: str, script: str) -> bool:
    """Whether lyrics in a script can belong to a language. Latin letters can belong to any (romanised) language."""
    return script == "LATIN" or language in _LANGUAGES.get(script, (language,))


def languages_of(script: str) -> tuple[str, ...]:
    """Whisper's languages that are written in a script; empty for LATIN and for scripts of no known language."""
    return _LANGUAGES.get(script, ())


def has_own_script(language: str) -> bool:
    """Whether a language is written in other than Latin letters."""
    return any(language in owners for owners in _LANGUAGES.values())


def _pieces(chunk: str) -> list[str]:
    """Pieces of one ideograph or kana each; small kana and marks stay with the character before them."""
    pieces: list[str] = []
    for char in chunk:
        alone = _spaceless(char) and char not in _SMALL_KANA
        joins = pieces and not alone and (not _spaceless(pieces[-1][0]) or not letters(char) or char in _SMALL_KANA)
        if joins:
            pieces[-1] += char
        else:
            pieces.append(char)
    return pieces


def _spaceless(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF" and _script(char) != "HANGUL"


def _script(char: str) -> str:
    return unicodedata.name(char, "?").split()[0].split("-")[0]
