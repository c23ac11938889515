"""What people call a language -> its ISO 639 code; and the language that a word's letters betray."""

import re

_NAMES = {
    "english": "en", "mandarin": "zh", "chinese": "zh", "korean": "ko", "japanese": "ja", "spanish": "es",
    "french": "fr", "german": "de", "italian": "it", "portuguese": "pt", "russian": "ru", "dutch": "nl",
    "polish": "pl", "swedish": "sv", "danish": "da", "norwegian": "no", "finnish": "fi", "turkish": "tr",
    "greek": "el", "czech": "cs", "hungarian": "hu", "romanian": "ro", "ukrainian": "uk", "arabic": "ar",
    "hebrew": "he", "hindi": "hi", "indonesian": "id", "vietnamese": "vi", "thai": "th", "latin": "la",
    "cantonese": "yue", "catalan": "ca", "deutsch": "de", "español": "es", "français": "fr", "italiano": "it",
    "português": "pt", "svenska": "sv", "nederlands": "nl", "polski": "pl", "suomi": "fi", "norsk": "no",
    "dansk": "da", "türkçe": "tr", "русский": "ru", "日本語": "ja", "中文": "zh", "한국어": "ko",
}  # fmt: skip
_SCRIPTS = (
    ("ko", re.compile(r"[\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f]")),
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("zh", re.compile(r"[\u4e00-\u9fff\u3400-\u4dbf]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
)


def language_code(text: str | None) -> str:
    """`en` of "English", "en", "en-US", "English (UK)"; und where nothing is known."""
    words = re.findall(r"[^\W\d_]+", (text or "").lower())
    if not words:
        return "und"
    return _NAMES.get(words[0], words[0] if 2 <= len(words[0]) <= 3 and words[0].isascii() else "und")


def language_of_letters(text: str) -> str:
    """Where a script is one language's in songs (Hangul, kana, Han, Cyrillic ...); und for Latin letters."""
    return next((code for code, letters in _SCRIPTS if letters.search(text)), "und")
