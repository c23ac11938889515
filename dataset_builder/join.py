"""A corpus's stage tables -> clips with the members asked for, one partition at a time, and why others were dropped.

The clips of `segment` drive. Each other table holds some of them, in the same order; a clip that one of them lacks
is dropped, with the reason that the stage gave when it rejected it. Nothing is dropped in silence.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from autosing.audio.io import decode, encode
from autosing.errors import InputError
from autosing.schemas.base import arrow_schema
from autosing.schemas.features import FEATURES
from autosing.schemas.sample import SampleMeta, write_array
from autosing.schemas.tables import Line, Word
from autosing.storage.store import Place, of_each
from autosing.storage.tables import (
    TableMeta,
    columns_bytes,
    open_table,
    partitions,
    read_meta,
    read_rejects,
    read_rows,
    table_path,
)

TABLES: dict[str, type] = {name: feature.record for name, feature in FEATURES.items()}
"""Group -> the record of the table of the same name. meta and audio come from `segment`."""


@dataclass(frozen=True)
class ClipText:
    """A clip without its audio."""

    id: str
    song: str
    singer: str | None
    language: str
    licence: str | None
    duration_s: float
    lines: list[Line]
    words: list[Word]


@dataclass(frozen=True)
class ClipWhole(ClipText):
    """A clip with its audio."""

    vocals: bytes
    instrumental: bytes | None


@dataclass(frozen=True)
class ClipKey:
    """A clip's name and what the split needs."""

    id: str
    song: str
    singer: str | None
    duration_s: float


@dataclass(frozen=True)
class RowId:
    id: str


@dataclass(frozen=True)
class Source:
    """One table of one partition, and what it says of itself."""

    partition: int
    table: str
    meta: TableMeta


def sources(corpus: Place, groups: Collection[str]) -> list[Source]:
    """The tables that the groups need. Raises InputError: one missing, or made from another `segment` than is there."""
    tables = ("segment", *(name for name in TABLES if name in groups))

    def look(partition: int) -> list[TableMeta | None]:
        return [read_meta(table_path(corpus, partition, table)) for table in tables]

    found: list[Source] = []
    numbers = partitions(corpus)
    for partition, metas in zip(numbers, of_each(numbers, look, corpus), strict=True):
        for table, meta in zip(tables, metas, strict=True):
            if meta is None:
                raise InputError(
                    f"corpus {corpus}: partition {partition} has no {table}.parquet; run 'autosing process {corpus}'"
                )
            if table == "segment":
                segment = meta.fingerprint
            elif meta.details.get("inputs", {}).get("segment", segment) != segment:
                raise InputError(
                    f"corpus {corpus}: {table}.parquet of partition {partition} was made from other clips than are "
                    f"there now; run 'autosing process {corpus}'"
                )
            found.append(Source(partition, table, meta))
    return found


def clip_keys(corpus: Place, partition: int, groups: Collection[str]) -> Iterator[tuple[ClipKey, str | None]]:
    """(clip, None, or why it is dropped: "pitch: mostly_unvoiced") for each clip; reads ids only."""
    tables = [name for name in TABLES if name in groups]
    readers = {name: _Finder(table_path(corpus, partition, name), RowId) for name in tables}
    rejects = {t: {row.id: row.reason for row in read_rejects(corpus, partition, t)} for t in tables}
    for clip in read_rows(table_path(corpus, partition, "segment"), ClipKey, batch_rows=1024):
        lacking = [name for name, reader in readers.items() if reader.find(clip.id) is None]
        reasons = [f"{name}: {rejects[name].get(clip.id, 'missing')}" for name in lacking]
        yield clip, reasons[0] if reasons else None
    for reader in readers.values():
        reader.check_end()


def sample_bytes(corpus: Place, partition: int, groups: Collection[str]) -> int:
    """About how many bytes the samples of a partition have: the columns that are read, as they are in memory."""
    clip: type = ClipWhole if "audio" in groups else ClipText
    total = 0
    for table, record in {"segment": clip, **{name: kind for name, kind in TABLES.items() if name in groups}}.items():
        with open_table(table_path(corpus, partition, table)) as file:
            total += columns_bytes(file, arrow_schema(record).names)
    return total


def clip_files(
    corpus: Place, partition: int, groups: Collection[str], wanted: Collection[str], wide: bool
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(clip id, file -> bytes) for each wanted clip. `wide`: semantic codes do not fit 16 bits."""
    audio = "audio" in groups
    record: type[ClipText] = ClipWhole if audio else ClipText
    readers = {
        name: _Finder(table_path(corpus, partition, name), kind) for name, kind in TABLES.items() if name in groups
    }
    for clip in read_rows(table_path(corpus, partition, "segment"), record, batch_rows=4 if audio else 64):
        rows = {name: reader.find(clip.id) for name, reader in readers.items()}
        if clip.id not in wanted:
            continue
        meta = SampleMeta(
            clip.song, clip.singer, clip.language, clip.licence, clip.duration_s, list(clip.lines), list(clip.words)
        )
        files = {"meta.json": meta.to_json(), **_arrays(rows, wide)}
        if isinstance(clip, ClipWhole):
            files["vocals.flac"] = _flac(clip.vocals, clip.id)
            if clip.instrumental is not None:
                files["instrumental.flac"] = _flac(clip.instrumental, clip.id)
        yield clip.id, files


def _arrays(rows: dict[str, Any], wide: bool) -> dict[str, bytes]:
    files = {}
    for name, row in rows.items():
        for member in FEATURES[name].members:
            if (array := member.cells(row, wide)) is not None:
                files[member.file] = write_array(array)
    return files


def _flac(data: bytes, id: str) -> bytes:
    return data if data[:4] == b"fLaC" else encode(decode(data, id), "flac")


class _Finder:
    """Finds rows by id in a table whose rows stand in the order of the clips, some left out; reads on only."""

    def __init__(self, path: Place, record: type) -> None:
        self._path = path
        self._rows: Iterator[Any] = read_rows(path, record, batch_rows=64)
        self._next = next(self._rows, None)

    def find(self, id: str) -> Any | None:
        row = self._next
        if row is None or row.id != id:
            return None
        self._next = next(self._rows, None)
        return row

    def check_end(self) -> None:
        """After the last clip nothing may be left. Raises InputError."""
        if self._next is not None:
            raise InputError(
                f"table {self._path}: row {self._next.id} is no clip of segment.parquet, or not in its order; "
                "delete the table and run 'autosing process' again"
            )
