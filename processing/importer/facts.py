"""A JSON object, a table's row or a file's tags -> what is known of a song besides its audio."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from autosing.text.normalize import join_words
from processing.importer.formats.sites import written_out

_STAMP = re.compile(r"^\s*\[\d+:\d+([.:]\d+)?\]", re.MULTILINE)
ALIASES = {
    "raw_lyrics": ("raw_lyrics", "lyrics", "plainlyrics", "text", "transcription", "transcript", "sentence",
                   "normalized_text"),
    "lrc_lyrics": ("lrc_lyrics", "lrc", "syncedlyrics", "synced_lyrics"),
    "artist": ("artist", "singer", "speaker", "artistname", "artist_name", "singer_name", "speaker_name", "singer_id",
               "speaker_id"),
    "title": ("title", "trackname", "track_name"),
    "language": ("language", "lang", "locale"),
    "licence": ("licence", "license"),
}  # fmt: skip
"""Our column -> its names in people's files."""


@dataclass(frozen=True)
class Facts:
    """What is known about a song besides its audio."""

    raw_lyrics: str | None = None
    lrc_lyrics: str | None = None
    artist: str | None = None
    title: str | None = None
    language: str | None = None
    licence: str | None = None
    score: str | None = None

    def over(self, other: "Facts") -> "Facts":
        """These facts, with those of `other` for the values that are missing."""
        return Facts(**{f.name: getattr(self, f.name) or getattr(other, f.name) for f in fields(Facts)})

    @property
    def has_lyrics(self) -> bool:
        return bool(self.raw_lyrics or self.lrc_lyrics)

    def without_lyrics(self) -> "Facts":
        return replace(self, raw_lyrics=None, lrc_lyrics=None)


def has_stamps(text: str) -> bool:
    """Whether a line begins with an LRC stamp."""
    return _STAMP.search(text) is not None


def facts_of(values: Mapping[str, Any]) -> Facts:
    """Facts from a JSON object or a table's row: our columns by any of their names; timed labels give the lyrics.

    A singer may be a number.
    """
    found: dict[str, str] = {}
    lowered = {str(key).strip().lower(): value for key, value in values.items()}
    for column, names in ALIASES.items():
        texts = [text for name in names if (text := _text(lowered.get(name), column))]
        if texts:
            found[column] = texts[0]
    if found.get("language"):
        found["language"] = found["language"].lower()
    for column in ("raw_lyrics", "lrc_lyrics"):
        if column in found:
            found[column] = written_out(found[column])
    if "raw_lyrics" in found and "lrc_lyrics" not in found and has_stamps(found["raw_lyrics"]):
        found["lrc_lyrics"] = found.pop("raw_lyrics")
    return Facts(**found).over(Facts(raw_lyrics=_lines_of_labels(lowered)))


def _text(value: Any, column: str) -> str:
    if column == "artist" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def without_half_characters(facts: Facts) -> tuple[Facts, list[str]]:
    """(the facts without texts that no file can hold, why each of them is left out)."""
    halved = {
        column: f"{column} {text[:40]!a}: holds half a character (a lone surrogate); write the whole one"
        for column, text in vars(facts).items()
        if text and not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text)
    }
    return replace(facts, **dict.fromkeys(halved)), list(halved.values())


def _lines_of_labels(values: Mapping[str, Any]) -> str | None:
    """Lyrics from timed labels: "lines": [{text}], or "words"/"syllables": [{text or word, line}], grouped by line.

    Without line numbers everything is one line. The text of syllables includes the space before a word; that of words
    does not.
    """
    lines = values.get("lines")
    if isinstance(lines, list) and all(isinstance(x, dict) and isinstance(x.get("text"), str) for x in lines):
        return "\n".join(x["text"].strip() for x in lines) or None
    for key in ("words", "syllables"):
        items = values.get(key)
        if not isinstance(items, list):
            continue
        grouped: dict[int, list[str]] = {}
        for item in items:
            text = (item.get("text") or item.get("word")) if isinstance(item, dict) else None
            line = item.get("line", 0) if isinstance(item, dict) else None
            if isinstance(text, str) and text.strip() and isinstance(line, int):
                grouped.setdefault(line, []).append(text)
        if grouped:
            join = "".join if key == "syllables" else lambda words: join_words(word.strip() for word in words)
            return "\n".join(join(grouped[line]).strip() for line in sorted(grouped))
    return None
