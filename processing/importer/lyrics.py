"""Text beside a song -> its lyrics and what is known of it.

Three kinds: `song.lrc` and `song.txt`; a JSON file of the song's name (labels or metadata); and tables (CSV, TSV, JSON
list, JSONL) with one row a song, keyed by file name.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from autosing.errors import InputError

_STAMP = re.compile(r"^\s*\[\d+:\d+([.:]\d+)?\]", re.MULTILINE)
_ALIASES = {
    "raw_lyrics": ("raw_lyrics", "lyrics", "text"),
    "lrc_lyrics": ("lrc_lyrics", "lrc"),
    "artist": ("artist", "singer", "speaker"),
    "title": ("title",),
    "language": ("language", "lang"),
    "licence": ("licence", "license"),
}
"""Our column -> what it is called in people's files."""
_FILE_KEYS = ("file", "file_name", "filename", "path", "audio", "song", "id")
TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl")


@dataclass(frozen=True)
class Facts:
    """What is known of a song beside its audio."""

    raw_lyrics: str | None = None
    lrc_lyrics: str | None = None
    artist: str | None = None
    title: str | None = None
    language: str | None = None
    licence: str | None = None

    def over(self, other: "Facts") -> "Facts":
        """These facts, and the other's where these are silent."""
        return Facts(**{f.name: getattr(self, f.name) or getattr(other, f.name) for f in fields(Facts)})


def read_text(path: Path) -> str:
    """UTF-8 (with or without a mark) or UTF-16 with its mark. Raises InputError on others: nothing is guessed."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from None
    if "\0" in text:  # UTF-16 without its mark reads as UTF-8, with a null beside each letter
        raise InputError(f"{path}: not UTF-8 text (null at character {text.index(chr(0))}); save it as UTF-8")
    return text


def facts_beside(files: Mapping[str, Path]) -> Facts:
    """The facts in the files that share a song's name; `files` maps a suffix (".lrc") to the file."""
    facts = Facts()
    if ".lrc" in files:
        facts = facts.over(Facts(lrc_lyrics=read_text(files[".lrc"]).strip() or None))
    if ".txt" in files:
        facts = facts.over(lyrics_of(read_text(files[".txt"])))
    if ".json" in files:
        values = _parse_json(files[".json"], read_text(files[".json"]))
        if isinstance(values, dict):
            facts = facts.over(facts_of(values))
    return facts


def lyrics_of(text: str) -> Facts:
    """Plain lyrics, or LRC where the lines carry stamps."""
    text = text.strip()
    return Facts(lrc_lyrics=text) if _STAMP.search(text) else Facts(raw_lyrics=text or None)


def facts_of(values: Mapping[str, Any]) -> Facts:
    """Facts out of a JSON object or a table's row: our columns by any of their names; labels give the lyrics' lines."""
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
            raise InputError(f"{column} {text[:40]!a}: holds half a character; write it whole")
    return facts


def read_table(path: Path) -> Iterator[tuple[str, Facts]]:
    """(file name as written, facts) for each row. Raises InputError where no column names the file."""
    for number, row in enumerate(_table_rows(path), start=1):
        lowered = {str(key).strip().lower(): value for key, value in row.items()}
        key = next((k for k in _FILE_KEYS if isinstance(lowered.get(k), str) and lowered[k].strip()), None)
        if key is None:
            raise InputError(
                f"{path}: row {number} names no file (columns: {', '.join(map(str, row))}); "
                f"need one of {', '.join(_FILE_KEYS)}"
            )
        yield lowered[key].strip(), facts_of(row)


def is_table(path: Path) -> bool:
    """CSV, TSV and JSONL are tables; a JSON file is one if it is a list of objects that name files."""
    if path.suffix.lower() != ".json":
        return path.suffix.lower() in TABLE_SUFFIXES
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(v, dict) and any(isinstance(v.get(k), str) for k in _FILE_KEYS) for v in values)
    )


def _table_rows(path: Path) -> list[Mapping[str, Any]]:
    suffix, text = path.suffix.lower(), read_text(path)
    if suffix in (".csv", ".tsv"):
        try:
            return list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if suffix == ".tsv" else ","))
        except csv.Error as error:
            raise InputError(f"{path}: not readable as a table ({error}); mend the file") from None
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
        raise InputError(f"{path}: not readable as JSON ({error}); mend the file") from None


def _lines_of_labels(values: Mapping[str, Any]) -> str | None:
    """Lyrics out of timed labels: "lines": [{text}], or "words"/"syllables": [{text or word, line}] by their line.

    Without line numbers all is one line. Syllables carry the space before a word in their text; words do not.
    """
    lines = values.get("lines")
    if isinstance(lines, list) and all(isinstance(x, dict) and isinstance(x.get("text"), str) for x in lines):
        return "\n".join(x["text"].strip() for x in lines) or None
    for key, glue in (("words", " "), ("syllables", "")):
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
            return "\n".join(glue.join(grouped[line]).strip() for line in sorted(grouped))
    return None
