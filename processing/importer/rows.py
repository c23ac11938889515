"""Parquet files with a song a row (Hugging Face: `audio` is an object of bytes and path) -> songs and their facts."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from autosing.ids import clean_id
from autosing.storage.tables import kind_of, open_table
from processing.importer.facts import ALIASES, Facts, facts_of

_KNOWN = {"id", *(name for names in ALIASES.values() for name in names)}
_USUAL = "audio"


@dataclass(frozen=True)
class SongRow:
    """A row with a song: its number in the file, and its id."""

    number: int
    wanted_id: str


class SongRows:
    """A Parquet file whose rows hold audio. Raises InputError if it is no whole Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_table(path) as file:
            self._schema = file.schema_arrow
            self._rows = file.metadata.num_rows
        self._audio = _audio_column(self._schema)
        self._texts = [f.name for f in self._schema if f.name.lower() in _KNOWN and f.name != self._audio]

    @property
    def holds_audio(self) -> bool:
        """Whether it has a column of audio with bytes in it; else it may be a table that names files."""
        if self._audio is None:
            return False
        with open_table(self.path) as file:
            column = self._bytes_column()
            for batch in file.iter_batches(batch_size=64, columns=[column]):
                if any(_bytes_of(value) for value in batch.column(0).to_pylist()):
                    return True
        return False

    def entries(self) -> Iterator[SongRow]:
        stem = self.path.stem
        column = f"{self._audio}.path" if self._has_paths() else None
        with open_table(self.path) as file:
            names = [n for n in self._schema.names if n.lower() == "id"][:1] + ([column] if column else [])
            table = file.read(columns=names).to_pylist() if names else [{}] * self._rows
        for number, row in enumerate(table):
            path = (row.get(str(self._audio)) or {}).get("path") if column else None
            written = next((row[n] for n in row if n.lower() == "id" and row[n] is not None), None)
            if isinstance(path, str) and path.strip():
                wanted = PurePosixPath(path.replace("\\", "/")).stem
            else:
                wanted = str(written) if written is not None else f"{stem}_{number}"
            yield SongRow(number, clean_id(wanted))

    def load(self) -> Iterator[tuple[int, bytes | None, Facts]]:
        """(number, audio, facts) of each row, few in memory at a time."""
        with open_table(self.path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=4, columns=[self._bytes_column(), *self._texts]):
                for row in batch.to_pylist():
                    data = _bytes_of(row.pop(str(self._audio).split(".")[0]))
                    yield number, data, facts_of(_with_names(row, self._schema))
                    number += 1

    def _bytes_column(self) -> str:
        assert self._audio is not None
        held = self._schema.field(self._audio).type
        return f"{self._audio}.bytes" if pa.types.is_struct(held) else self._audio

    def _has_paths(self) -> bool:
        held = self._schema.field(str(self._audio)).type
        return pa.types.is_struct(held) and any(held.field(k).name == "path" for k in range(held.num_fields))


def text_rows(path: Path) -> list[Mapping[str, Any]]:
    """The rows of a Parquet file without their audio, whose path stays. Raises InputError."""
    with open_table(path) as file:
        schema = file.schema_arrow
        names = [f"{f.name}.path" if pa.types.is_struct(f.type) else f.name for f in schema if not _is_bytes(f.type)]
        rows: list[dict[str, Any]] = file.read(columns=names).to_pylist()
        return [_with_names(row, schema) for row in rows]


def _with_names(row: Mapping[str, Any], schema: Any) -> dict[str, Any]:
    """Hugging Face keeps the names of classes (`speaker`: 0, 1 ...) in the schema's metadata."""
    try:
        held = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = held["info"]["features"]
        names = {key: spec["names"] for key, spec in features.items() if isinstance(spec.get("names"), list)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        names = {}
    return {
        key: names[key][value] if isinstance(value, int) and key in names and 0 <= value < len(names[key]) else value
        for key, value in row.items()
    }


def _audio_column(schema: Any) -> str | None:
    found = [f.name for f in schema if _is_bytes(f.type) or _is_struct_of_bytes(f.type)]
    return _USUAL if _USUAL in found else next(iter(found), None)


def _is_struct_of_bytes(held: Any) -> bool:
    if not pa.types.is_struct(held):
        return False
    return any(held.field(k).name == "bytes" and _is_bytes(held.field(k).type) for k in range(held.num_fields))


def _is_bytes(held: Any) -> bool:
    return kind_of(held) == "bytes"


def _bytes_of(value: Any) -> bytes | None:
    found = value.get("bytes") if isinstance(value, Mapping) else value
    return found if isinstance(found, bytes) and found else None
