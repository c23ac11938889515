"""Rows <-> Parquet tables that exist under their final name if and only if they are complete.

A table is written to a temporary file, with its counts and fingerprint as metadata, and committed in one step (see
autosing.storage.store). Rejects are committed first and carry the fingerprint of their table, so the table is the
commit marker of both, and rejects of another attempt are recognised.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from autosing.audio.encoded import Descriptor, FileBytes, Scratch
from autosing.errors import InputError
from autosing.schemas.base import arrow_schema, from_row, to_row
from autosing.stage import Rejected
from autosing.storage.cells import as_columns, as_table, layout
from autosing.storage.pages import Read, Span, value_offsets
from autosing.storage.remote import READ_BYTES, Remote
from autosing.storage.store import Place, attempt, digest_of, put

if TYPE_CHECKING:
    import polars as pl

R = TypeVar("R")
P = TypeVar("P", Path, Remote, Place)

_META = b"autosing"
_ROW_GROUP_BYTES = 16 << 20
FEW_BYTES = 1 << 16
"""Smallest read from a store for metadata or a narrow column; larger values still come in one request."""
_PIECE = 1 << 20
"""Bytes copied from a store at a time."""
_SCRATCH_BYTES = 64 << 20
"""Copied values share temporary files of this size, each deleted with its last row; one a value would be too many."""


@dataclass(frozen=True)
class TableMeta:
    """Metadata of a committed table. rows_in = sources + rejected; `rows` are those in the table."""

    stage: str
    version: int
    fingerprint: str
    rows_in: int
    sources: int
    rows: int
    rejected: int
    details: dict[str, Any]
    """Resolved config, digests of weights and fingerprints of inputs: what the fingerprint is computed from."""


def find_partitions(corpus: Place) -> list[int]:
    """The numbers of a corpus's partitions, in order; none where there is no corpus.

    Raises InputError for a numbered folder that holds tables, but not as one index.parquet: its songs would be skipped
    silently.
    """
    if not corpus.is_dir():
        return []
    numbered = [p for p in corpus.iterdir() if p.name.isdecimal()]
    whole = {p.name for p in numbered if (p / "index.parquet").is_file()}
    for folder in (p for p in numbered if p.name not in whole and p.is_dir()):
        if tables := sorted(p.name for p in folder.iterdir() if p.name.endswith(".parquet")):
            found = "a folder of part files" if "index.parquet" in tables else f"no index.parquet, but {tables[0]}"
            raise InputError(
                f"corpus {corpus}: partition {folder.name} has {found}; need one file {folder.name}/index.parquet with "
                "the columns id and audio: join the parts, or rename the file"
            )
    if odd := [name for name in sorted(whole) if name != str(int(name))]:
        raise InputError(f"corpus {corpus}: partition {odd[0]} must be called {int(odd[0])}; rename the folder")
    return sorted(map(int, whole))


def partitions(corpus: Place) -> list[int]:
    """The numbers of a corpus's partitions, in order. Raises InputError where there are none."""
    found = find_partitions(corpus)
    if not found:
        what = "no <k>/index.parquet in it" if corpus.is_dir() else "no such folder"
        raise InputError(f"corpus {corpus}: {what}; make one with 'autosing import SOURCE {corpus}'")
    return found


def table_path(corpus: P, partition: int, stage: str) -> P:
    return corpus / str(partition) / f"{stage}.parquet"


def rejects_path(corpus: P, partition: int, stage: str) -> P:
    return corpus / str(partition) / f"{stage}.rejects.parquet"


def fingerprint(details: dict[str, Any]) -> str:
    """32 hex digits that change when anything in `details` does."""
    return hashlib.sha256(json.dumps(details, sort_keys=True).encode()).hexdigest()[:32]


@contextmanager
def open_table(path: Place, at_once: int = READ_BYTES) -> Iterator[pq.ParquetFile]:
    """Open a committed table; from a store each request reads at least `at_once` bytes.

    Raises an InputError with the table's name where Parquet cannot read it.
    """
    try:
        with pq.ParquetFile(path if isinstance(path, Path) else path.open(at_once=at_once)) as file:
            yield file
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise broken_table(path, error) from None
    except OSError as error:  # a truncated file; on a store it is the network
        if not isinstance(path, Path):
            raise
        raise broken_table(path, error) from None


def read_meta(path: Place) -> TableMeta | None:
    """The metadata of a committed table; None where there is none. A foreign index gets a digest of its bytes."""
    if not path.is_file():
        return None
    with open_table(path, FEW_BYTES) as file:
        held = file.metadata
    text = (held.metadata or {}).get(_META)
    if text is not None:
        try:
            return TableMeta(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise broken_table(path, error) from None
    found = path.stat()
    digest = _digest(path, found.st_size, found.st_mtime)
    return TableMeta(path.stem, 0, digest, held.num_rows, held.num_rows, held.num_rows, 0, {})


@lru_cache(maxsize=4096)
def _digest(path: Place, size: int, changed: float) -> str:
    """Digest of a file without our metadata, cached until its size or time changes."""
    return digest_of(path)[:32]


def read_rejects(corpus: Place, partition: int, stage: str) -> "pl.DataFrame":
    """Rejected rows of a committed table (id, reason, measurement). Rejects without a table, or of another attempt than
    it, are ignored."""
    import polars as pl

    held, path = read_meta(table_path(corpus, partition, stage)), rejects_path(corpus, partition, stage)
    if held is None or not held.rejected or not _belong(path, held):
        return pl.DataFrame(schema=dict.fromkeys(arrow_schema(Rejected).names, pl.String))
    return read_frame(path, Rejected)


def has_rejects(corpus: Place, partition: int, stage: str, held: TableMeta) -> bool:
    """Whether the rejects file belongs to this table. It does not if a run was killed between the two commits."""
    return _belong(rejects_path(corpus, partition, stage), held)


def _belong(path: Place, table: TableMeta) -> bool:
    if not path.is_file():
        return False
    with open_table(path, FEW_BYTES) as file:
        held = file.metadata
    owner = (held.metadata or {}).get(_META, table.fingerprint.encode())
    return bool(owner.decode() == table.fingerprint and held.num_rows == table.rejected)


def read_rows(path: Place, record: type[R], batch_rows: int = 8) -> Iterator[R]:
    """The rows of a table as records, in order, a few at a time; only the columns that the record names are read."""
    with open_table(path) as file:
        names = named_columns(path, file, record)
        for batch in file.iter_batches(batch_size=batch_rows, columns=names):
            for row in as_columns(batch):
                yield from_row(record, row)


def read_frame(path: Place, record: type) -> "pl.DataFrame":
    """The columns of a table that a record names, whole: for columns of few bytes."""
    import polars as pl

    with open_table(path) as file:
        return pl.DataFrame(file.read(columns=named_columns(path, file, record)))


def columns_bytes(file: pq.ParquetFile, names: Collection[str], compressed: bool = False) -> int:
    """Size of some columns in bytes, from the table's footer: uncompressed in memory, or `compressed` in the file."""
    total = 0
    for group in (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)):
        for column in (group.column(i) for i in range(file.metadata.num_columns)):
            if column.path_in_schema.split(".")[0] in names:
                total += column.total_compressed_size if compressed else column.total_uncompressed_size
    return total


def named_columns(path: Place, file: pq.ParquetFile, record: type) -> list[str]:
    """The columns of an open table that a record names. Raises InputError where one is missing or of another kind."""
    held = file.schema_arrow
    names = [name for name in arrow_schema(record).names if name in held.names]
    missing = [f.name for f in arrow_schema(record) if not f.nullable and f.name not in names]
    if missing:
        raise InputError(f"table {path}: columns {', '.join(missing)} missing; it holds {', '.join(held.names)}")
    check_kinds(path, held, kinds_of(record))
    return names


def open_cells(path: Place, file: pq.ParquetFile, name: str) -> Iterator[FileBytes | None] | None:
    """The values of a column of encoded audio as ranges of its file; values of a store are copied to a temporary file.

    None: the column has another encoding, so its values must be read by Parquet. To be used, and raises, within
    `open_table`.
    """
    read, lying = _on_disk(path) if isinstance(path, Path) else _in_store(path)
    found = value_offsets(read, file, name)
    return None if found is None else (None if where is None else lying(where) for where in found)


def _on_disk(path: Path) -> tuple[Read, Callable[[Span], FileBytes]]:
    held = Descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    return lambda offset, count: os.pread(held.fileno(), count, offset), lambda where: FileBytes(held, *where)


def _in_store(path: Remote) -> tuple[Read, Callable[[Span], FileBytes]]:
    stream, scratch = path.open(), Scratch()

    def read(offset: int, count: int) -> bytes:
        stream.seek(offset)
        return stream.read(count)

    def copied(where: Span) -> FileBytes:
        nonlocal scratch
        if len(scratch) > _SCRATCH_BYTES:
            scratch = Scratch()
        offset, length = where
        return scratch.put(read(offset + at, min(_PIECE, length - at)) for at in range(0, length, _PIECE))

    return read, copied


def broken_table(path: Place, error: Exception) -> InputError:
    remedy = "import again" if path.stem == "index" else "remove it and run the same command again"
    found = str(error).splitlines()[0].removesuffix(".") if str(error) else type(error).__name__
    return InputError(f"table {path}: not a whole Parquet table ({found}); {remedy}", "broken_table")


def kind_of(held: pa.DataType) -> str:
    """A column's type in a word: text, bytes, number, null (fits any), or Arrow's own name."""
    is_a = pa.types
    if is_a.is_dictionary(held):
        return kind_of(held.value_type)
    if is_a.is_string(held) or is_a.is_large_string(held) or is_a.is_string_view(held):
        return "text"
    if is_a.is_binary(held) or is_a.is_large_binary(held) or is_a.is_binary_view(held):
        return "bytes"
    if is_a.is_integer(held) or is_a.is_floating(held):
        return "number"
    return "bytes" if is_a.is_fixed_size_binary(held) else str(held)


def kinds_of(record: Any) -> dict[str, str]:
    """column -> the kind that a record needs, of those columns whose kind is a word."""
    kinds = {field.name: kind_of(field.type) for field in arrow_schema(record)}
    return {name: kind for name, kind in kinds.items() if kind in ("text", "bytes", "number")}


def check_kinds(path: Place, held: pa.Schema, wanted: Mapping[str, str]) -> None:
    """Raises InputError where a column is there twice or holds another kind (a text for audio would be a path)."""
    for name, kind in wanted.items():
        indices = held.get_all_field_indices(name)
        if len(indices) > 1:
            raise InputError(f"table {path}: {len(indices)} columns are called {name}; need one; import again")
        if indices and kind_of(held.field(indices[0]).type) not in (kind, "null"):
            found = held.field(indices[0]).type
            raise InputError(f"table {path}: column {name} holds {found}, need {kind}; import again", "wrong_type")


def _num_bytes(value: Any) -> int:
    """What a cell takes, where that is much."""
    return value.nbytes if isinstance(value, np.ndarray) else len(value) if isinstance(value, (bytes, FileBytes)) else 0


class TableWriter:
    """Collects a stage's results for one partition. Only `commit` makes them visible."""

    def __init__(self, path: Place, record: type, rejects: Place | None = None) -> None:
        self._path, self._rejects_path = path, rejects
        self._record, self._schema = record, arrow_schema(record)
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self._rejects: list[Rejected] = []
        self.sources = self.rows = 0
        self._open = ExitStack()

    def __enter__(self) -> "TableWriter":
        self._attempt = self._open.enter_context(attempt(self._path))
        self._writer = self._open.enter_context(
            pq.ParquetWriter(self._attempt / "table", self._schema, **layout(self._schema))
        )
        return self

    def __exit__(self, *raised: Any) -> None:
        self._open.__exit__(*raised)  # the attempt turns a full disk into an InputError

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
            self._bytes += sum(map(_num_bytes, row.values())) + 1024
            if self._bytes >= _ROW_GROUP_BYTES:
                self._flush()

    def commit(self, stage: str, version: int, rows_in: int, details: dict[str, Any]) -> TableMeta:
        """Check the counts, put the rejects, then the table. Returns its metadata."""
        rejected = len(self._rejects)
        assert rows_in == self.sources + rejected, (
            f"{self._path}: {rows_in} rows in, {self.sources} out, {rejected} rejected"
        )
        self._flush()
        meta = TableMeta(stage, version, fingerprint(details), rows_in, self.sources, self.rows, rejected, details)
        self._writer.add_key_value_metadata({_META.decode(): json.dumps(vars(meta), sort_keys=True)})
        self._writer.close()
        if self._rejects_path is not None:
            schema = arrow_schema(Rejected).with_metadata({_META: meta.fingerprint.encode()})
            table = pa.Table.from_pylist([vars(r) for r in self._rejects], schema=schema)
            pq.write_table(table, self._attempt / "rejects")
            put(self._attempt / "rejects", self._rejects_path, "rejects")
        put(self._attempt / "table", self._path, "table")
        return meta

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(as_table(self._rows, self._schema))
            self.rows += len(self._rows)
            self._rows, self._bytes = [], 0
