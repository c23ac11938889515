"""Rows <-> Parquet tables that exist under their final name if and only if they are whole.

A table is written beside its name, its counts and fingerprint go into its metadata, and one rename commits it.
Rejects are committed first, so the table itself is the sign that both are there.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from autosing.errors import InputError
from autosing.schemas.base import arrow_schema, from_row, to_row
from autosing.stage import Rejected

R = TypeVar("R")

_META = b"autosing"
_ROW_GROUP_BYTES = 32 << 20


@dataclass(frozen=True)
class TableMeta:
    """What a committed table says of itself. rows_in = sources + rejected; `rows` are those in the table."""

    stage: str
    version: int
    fingerprint: str
    rows_in: int
    sources: int
    rows: int
    rejected: int
    details: dict[str, Any]
    """Resolved config, weights' digests and input fingerprints: why the fingerprint is what it is."""


def partitions(corpus: Path) -> list[int]:
    """The numbers of a corpus's partitions, in order. Raises InputError where there are none."""
    if not corpus.is_dir():
        raise InputError(f"corpus {corpus}: no such folder; make one with 'autosing import SOURCE {corpus}'")
    found = sorted(int(p.name) for p in corpus.iterdir() if p.name.isdigit() and (p / "index.parquet").is_file())
    if not found:
        raise InputError(
            f"corpus {corpus}: no <k>/index.parquet in it; make one with 'autosing import SOURCE {corpus}'"
        )
    return found


def table_path(corpus: Path, partition: int, stage: str) -> Path:
    return corpus / str(partition) / f"{stage}.parquet"


def rejects_path(corpus: Path, partition: int, stage: str) -> Path:
    return corpus / str(partition) / f"{stage}.rejects.parquet"


def fingerprint(details: dict[str, Any]) -> str:
    """32 hex digits that change when anything in `details` does."""
    return hashlib.sha256(json.dumps(details, sort_keys=True).encode()).hexdigest()[:32]


def read_meta(path: Path) -> TableMeta | None:
    """The metadata of a committed table; None where there is none. A foreign index gets a digest of its bytes."""
    if not path.is_file():
        return None
    held = pq.read_metadata(path)
    text = (held.metadata or {}).get(_META)
    if text is not None:
        return TableMeta(**json.loads(text))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    return TableMeta(path.stem, 0, digest, held.num_rows, held.num_rows, held.num_rows, 0, {})


def read_rows(path: Path, record: type[R], batch_rows: int = 8) -> Iterator[R]:
    """The rows of a table as records, in order, a few at a time; only the columns that the record names are read."""
    with pq.ParquetFile(path) as file:
        names = [name for name in arrow_schema(record).names if name in file.schema_arrow.names]
        missing = [f.name for f in arrow_schema(record) if not f.nullable and f.name not in names]
        if missing:
            raise InputError(
                f"table {path}: columns {', '.join(missing)} missing; it holds {', '.join(file.schema_arrow.names)}"
            )
        for batch in file.iter_batches(batch_size=batch_rows, columns=names):
            for row in batch.to_pylist():
                yield from_row(record, row)


class TableWriter:
    """Collects a stage's results for one partition. Only `commit` makes them visible."""

    def __init__(self, path: Path, record: type, rejects: Path | None = None) -> None:
        self._path, self._rejects_path = path, rejects
        self._record, self._schema = record, arrow_schema(record)
        self._attempt = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self._rejects: list[Rejected] = []
        self.sources = self.rows = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "TableWriter":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(self._attempt, self._schema, compression="zstd")
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
        self._attempt.unlink(missing_ok=True)

    def add(self, result: Any) -> None:
        """The result of one input row: a record, several records, or a Rejected."""
        if isinstance(result, Rejected):
            self._rejects.append(result)
            return
        records: Sequence[Any] = result if isinstance(result, (list, tuple)) else [result]
        assert records, f"{self._path}: a row gave nothing; it must give a Rejected"
        self.sources += 1
        for record in records:
            row = to_row(record)
            self._rows.append(row)
            self._bytes += sum(len(v) for v in row.values() if isinstance(v, bytes)) + 1024
        if self._bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def commit(self, stage: str, version: int, rows_in: int, details: dict[str, Any]) -> TableMeta:
        """Check the counts, write rejects, then the table. Returns what the table says of itself."""
        assert self._writer is not None
        rejected = len(self._rejects)
        assert rows_in == self.sources + rejected, (
            f"{self._path}: {rows_in} rows in, {self.sources} out, {rejected} rejected"
        )
        self._flush()
        meta = TableMeta(stage, version, fingerprint(details), rows_in, self.sources, self.rows, rejected, details)
        self._writer.add_key_value_metadata({_META.decode(): json.dumps(vars(meta), sort_keys=True)})
        self._writer.close()
        self._writer = None
        if self._rejects_path is not None:
            self._commit_rejects()
        self._attempt.replace(self._path)
        return meta

    def _flush(self) -> None:
        if self._rows and self._writer is not None:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self.rows += len(self._rows)
            self._rows, self._bytes = [], 0

    def _commit_rejects(self) -> None:
        assert self._rejects_path is not None
        beside = self._rejects_path.with_name(f".{self._rejects_path.name}.{uuid4().hex[:12]}.part")
        pq.write_table(pa.Table.from_pylist([vars(r) for r in self._rejects], schema=arrow_schema(Rejected)), beside)
        beside.replace(self._rejects_path)
