"""Tables among songs (CSV of any kind, JSON, JSONL, Parquet, `id|text` lists) -> rows of (file name as written, facts).

| kind | told by |
|---|---|
| CSV, TSV | a head with a column of files; comma, semicolon, tab or bar between columns |
| JSON | a list of objects, also under a name (`"songs": [...]`), or a mapping from files to objects or lyrics |
| JSONL | an object a line (Hugging Face's `metadata.jsonl`) |
| list | no head: `file|text`, `file|speaker|text`, `file|speaker|language|text`, whose first column names songs |
"""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from autosing.errors import InputError
from autosing.text.files import guess_remark, read_text_file
from processing.importer.facts import Facts, facts_of
from processing.importer.kinds import AUDIO_SUFFIXES
from processing.importer.lyric_files import parse_json

FILE_KEYS = (
    "file", "file_name", "filename", "file_path", "filepath", "path", "audio", "audio_file", "audio_filepath",
    "audio_path", "wav", "wav_path", "mp3", "song", "id",
)  # fmt: skip
TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".list", ".parquet")
_SEPARATORS = (",", ";", "\t", "|")
_SAID = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
"""Excel's first line, which says what parts the columns."""
_LISTED = 0.5
"""A list without a head is one of songs if more of its rows begin with the name of one."""

IsSong = Callable[[str], bool]
"""Whether a name, as a table writes it, is one of the songs'."""


@dataclass(frozen=True)
class Table:
    """A table's rows as (file name as written, facts); remarks (name, reason, what was found) on what is not used."""

    rows: list[tuple[str, Facts]]
    remarks: list[tuple[str, str, str]]


def read_table(path: Path, name: str, is_song: IsSong) -> Table:
    """`name` stands for the table in remarks. Raises InputError if it cannot be read, or no column of it names files.

    Empty rows, as spreadsheets leave them, are ignored; a row that names no file is not used.
    """
    if path.suffix.lower() == ".parquet":
        rows, guess = _parquet_rows(path), None
    else:
        text, encoding = read_text_file(path)
        rows, guess = _rows(path, text, is_song), guess_remark(encoding)
    found = [row for row in rows if any(value not in (None, "", []) for value in row.values())]
    table = Table([], [(name, "encoding_guessed", guess)] if guess else [])
    named = [(_file_of(row), row) for row in found]
    if not any(written for written, _ in named):
        columns = ", ".join(map(str, found[0])) if found else "none"
        raise InputError(f"{path}: names no file (columns: {columns}); need one of {', '.join(FILE_KEYS)}")
    for number, (written, row) in enumerate(named, start=1):
        if written is None:
            table.remarks.append((name, "row_without_file", f"row {number} names no file; its facts are not used"))
        else:
            table.rows.append((written, facts_of(row)))
    return table


def is_table(path: Path, is_song: IsSong) -> bool:
    """CSV, TSV and JSONL are tables. JSON is one if it tells of files, a text if its rows begin with songs' names; or
    if they cannot be read."""
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv", ".jsonl"):
        return True
    if suffix == ".json":
        try:
            values = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return False
        except OSError:
            return True
        rows = _json_rows(values, is_song)
        return bool(rows) and all(_file_of(row) for row in rows or ())
    if suffix not in (".txt", ".list"):
        return False
    try:
        return bool(_listed(read_text_file(path)[0], is_song))
    except InputError:
        return False


def _file_of(row: Mapping[Any, Any]) -> str | None:
    """Hugging Face's `audio` may be an object with a path."""
    lowered = {str(key).strip().lower(): value for key, value in row.items()}
    for key in FILE_KEYS:
        value = lowered.get(key)
        if isinstance(value, Mapping):
            value = value.get("path")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def _rows(path: Path, text: str, is_song: IsSong) -> Sequence[Mapping[str, Any]]:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _csv_rows(path, text, is_song)
    if suffix in (".txt", ".list"):
        listed = _listed(text, is_song)
        if not listed:
            raise InputError(f"{path}: names no file; need rows `file|text`, whose first column names songs")
        return listed
    rows: Sequence[Mapping[str, Any]] | None
    try:
        if suffix == ".jsonl":
            found = [parse_json(line) for line in text.splitlines() if line.strip()]
            rows = found if all(isinstance(row, dict) for row in found) else None
        elif suffix == ".json":
            rows = _json_rows(parse_json(text), is_song)
        else:
            raise InputError(f"not a table; need one of {', '.join(TABLE_SUFFIXES)}")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if rows is None:
        raise InputError(f"{path}: need a list of objects, one a song")
    return rows


def _csv_rows(path: Path, text: str, is_song: IsSong) -> Sequence[Mapping[str, Any]]:
    said = _SAID.match(text)
    text = text[said.end() :] if said else text
    head = next((line for line in text.splitlines() if line.strip()), "")
    usual = "\t" if path.suffix.lower() == ".tsv" else ","

    def worth(separator: str) -> tuple[bool, int, bool]:
        cells = [cell.strip().strip('"').lower() for cell in head.split(separator)]
        return any(cell in FILE_KEYS for cell in cells), len(cells), separator == usual

    separator = said[1] if said else max(_SEPARATORS, key=worth)
    if not worth(separator)[0] and (rows := _listed(text, is_song)):
        return rows
    try:
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise InputError(f"{path}: not readable as a table ({error}); repair the file") from None


def _listed(text: str, is_song: IsSong) -> list[Mapping[str, Any]]:
    """Rows of a list without a head; none if it is another kind of text."""
    lines = [line for line in text.splitlines() if line.strip()]
    for separator in ("|", "\t", ";", ","):
        cells = [[cell.strip() for cell in line.split(separator)] for line in lines]
        if not cells or min(map(len, cells)) < 2 or sum(is_song(row[0]) for row in cells) <= _LISTED * len(cells):
            continue
        if len(cells[0]) == 4:
            return [dict(zip(("file", "speaker", "language", "text"), row, strict=False)) for row in cells]
        speakers = {row[1] for row in cells}
        if len(cells[0]) == 3 and (len(speakers) < len(cells) or all(map(str.isdigit, speakers))):
            return [dict(zip(("file", "speaker", "text"), row, strict=False)) for row in cells]
        return [{"file": row[0], "text": row[1]} for row in cells]
    return []


def _json_rows(values: Any, is_song: IsSong) -> Sequence[Mapping[str, Any]] | None:
    """None for another kind of JSON."""
    if isinstance(values, list):
        return values if all(isinstance(row, dict) for row in values) else None
    if not isinstance(values, dict):
        return None
    lists = [held for held in values.values() if isinstance(held, list) and held]
    if len(lists) == 1 and all(isinstance(row, dict) and _file_of(row) for row in lists[0]):
        return lists[0]
    for held in (values, *values.values()):
        if isinstance(held, dict) and held and all(isinstance(v, (dict, str)) for v in held.values()):
            named = [is_song(key) or PurePosixPath(key).suffix.lower() in AUDIO_SUFFIXES for key in held]
            if sum(named) > _LISTED * len(named):
                return [{**({"text": v} if isinstance(v, str) else v), "file": key} for key, v in held.items()]
    return None


def _parquet_rows(path: Path) -> Sequence[Mapping[str, Any]]:
    from processing.importer.rows import text_rows

    return text_rows(path)
