"""Text files beside a song -> its lyrics and other facts.

Three kinds: `song.lrc` and `song.txt`; a JSON file of the song's name (labels or metadata); and tables (CSV, TSV, JSON
list, JSONL) with one row a song, keyed by file name.
"""

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from autosing.errors import InputError
from autosing.score.formats.ultrastar import parse_ultrastar
from autosing.text.files import guess_remark, read_text_file
from autosing.text.normalize import join_words

_STAMP = re.compile(r"^\s*\[\d+:\d+([.:]\d+)?\]", re.MULTILINE)
_ALIASES = {
    "raw_lyrics": ("raw_lyrics", "lyrics", "text"),
    "lrc_lyrics": ("lrc_lyrics", "lrc"),
    "artist": ("artist", "singer", "speaker"),
    "title": ("title",),
    "language": ("language", "lang"),
    "licence": ("licence", "license"),
}
"""Our column -> its names in people's files."""
_FILE_KEYS = ("file", "file_name", "filename", "path", "audio", "song", "id")
TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl")


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


def facts_in(path: Path) -> tuple[Facts, str | None]:
    """(the facts in a file beside a song, a remark on its encoding if that is a guess). Raises InputError."""
    text, encoding = read_text_file(path)
    if path.suffix.lower() == ".json":
        values = _parse_json(path, text)
        facts = facts_of(values) if isinstance(values, dict) else Facts()
    elif path.suffix.lower() == ".lrc":
        facts = Facts(lrc_lyrics=text.strip() or None)
    else:
        facts = lyrics_of(text)
    return facts, guess_remark(encoding)


def lyrics_of(text: str) -> Facts:
    """Plain lyrics, or LRC if the lines have stamps, or the words of an UltraStar file."""
    if (karaoke := parse_ultrastar(text)) is not None:
        tags = {key: karaoke.tags.get(key) for key in ("artist", "title", "language")}
        return facts_of({"lyrics": karaoke.text, **tags})
    text = text.strip()
    return Facts(lrc_lyrics=text) if _STAMP.search(text) else Facts(raw_lyrics=text or None)


def facts_of(values: Mapping[str, Any]) -> Facts:
    """Facts from a JSON object or a table's row: our columns by any of their names; timed labels give the lyrics."""
    found: dict[str, str] = {}
    lowered = {str(key).strip().lower(): value for key, value in values.items()}
    for column, names in _ALIASES.items():
        texts = [v.strip() for name in names if isinstance(v := lowered.get(name), str) and v.strip()]
        if texts:
            found[column] = texts[0]
    if found.get("language"):
        found["language"] = found["language"].lower()
    if "raw_lyrics" in found and "lrc_lyrics" not in found and _STAMP.search(found["raw_lyrics"]):
        found["lrc_lyrics"] = found.pop("raw_lyrics")
    facts = Facts(**found).over(Facts(raw_lyrics=_lines_of_labels(lowered)))
    for column, text in vars(facts).items():
        if text and not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise InputError(f"{column} {text[:40]!a}: holds half a character (a lone surrogate); write the whole one")
    return facts


@dataclass(frozen=True)
class Table:
    """A table's rows as (file name as written, facts); remarks (name, reason, what was found) on what is not used."""

    rows: list[tuple[str, Facts]]
    remarks: list[tuple[str, str, str]]


def read_table(path: Path, name: str) -> Table:
    """`name` stands for the table in remarks. Raises InputError if it cannot be read, or no column of it names files.

    Empty rows, as spreadsheets leave them, are ignored; a row that names no file is not used.
    """
    text, encoding = read_text_file(path)
    found = [row for row in _table_rows(path, text) if any(value not in (None, "", []) for value in row.values())]
    guess = guess_remark(encoding)
    table = Table([], [(name, "encoding_guessed", guess)] if guess else [])
    named = [(_file_of(row), row) for row in found]
    if not any(written for written, _ in named):
        columns = ", ".join(map(str, found[0])) if found else "none"
        raise InputError(f"{path}: names no file (columns: {columns}); need one of {', '.join(_FILE_KEYS)}")
    for number, (written, row) in enumerate(named, start=1):
        if written is None:
            table.remarks.append((name, "row_without_file", f"row {number} names no file; its facts are not used"))
            continue
        try:
            table.rows.append((written, facts_of(row)))
        except InputError as error:
            table.remarks.append((written, "lyrics_not_readable", f"{name}: {error}"))
    return table


def is_table(path: Path) -> bool:
    """CSV, TSV and JSONL are tables; a JSON file is one if it lists objects with file names (or cannot be read)."""
    if path.suffix.lower() != ".json":
        return path.suffix.lower() in TABLE_SUFFIXES
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    except OSError:
        return True
    return isinstance(values, list) and bool(values) and all(isinstance(v, dict) and _file_of(v) for v in values)


def _file_of(row: Mapping[Any, Any]) -> str | None:
    lowered = {str(key).strip().lower(): value for key, value in row.items()}
    return next((v.strip() for key in _FILE_KEYS if isinstance(v := lowered.get(key), str) and v.strip()), None)


def _table_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        try:
            return list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if suffix == ".tsv" else ","))
        except csv.Error as error:
            raise InputError(f"{path}: not readable as a table ({error}); repair the file") from None
    if suffix == ".jsonl":
        rows = [_parse_json(path, line) for line in text.splitlines() if line.strip()]
    elif suffix == ".json":
        rows = _parse_json(path, text)
    else:
        raise InputError(f"{path}: not a table; need one of {', '.join(TABLE_SUFFIXES)}")
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        raise InputError(f"{path}: need a list of objects, one a song")
    return rows


def _parse_json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}); repair the file") from None


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
