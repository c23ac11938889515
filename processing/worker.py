"""One stage and one partition -> its committed table: read, apply, count, commit. Knows nothing of Ray."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow.parquet as pq

from autosing.errors import InputError
from autosing.schemas.base import arrow_schema, from_row
from autosing.stage import Rejected, Stage
from autosing.tables import (
    TableMeta,
    TableWriter,
    check_kinds,
    kinds_of,
    naming_table,
    read_meta,
    rejects_path,
    table_path,
)
from processing.pipeline import details_of, missing_input

_BATCH_ROWS = 2
"""Rows read at a time: songs with their stems take up to about 100 MB each."""
_ABANDONED_S = 3600
"""An unfinished attempt older than this belongs to a worker that died."""


@dataclass(frozen=True)
class Done:
    """What a worker tells of a partition: the committed table's own words and the seconds it took."""

    meta: TableMeta
    seconds: float


def limit_threads(threads: int) -> None:
    """Hold the arithmetic to so many threads. Before the first heavy import it also binds libraries that ask once."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


class Worker:
    """Holds the stages and loads each one's models once, when its first partition comes."""

    def __init__(self, stages: Sequence[Stage[Any, Any]], threads: int) -> None:
        limit_threads(threads)
        self._stages = {stage.name: stage for stage in stages}
        self._loaded: set[str] = set()

    def process(self, name: str, corpus: str, partition: int) -> Done:
        stage = self._stages[name]
        if name not in self._loaded:
            stage.setup()
            self._loaded.add(name)
        return process_partition(stage, Path(corpus), partition)


def process_partition(stage: Stage[Any, Any], corpus: Path, partition: int) -> Done:
    """Run a stage that is set up over one partition and commit its table and rejects.

    Every row of the driving table ends as rows or as a Rejected. An InputError out of `apply` rejects its row by the
    error's `reason`; any other exception leaves no table behind and carries a note that names partition and row.
    """
    started = time.monotonic()
    paths = {table: table_path(corpus, partition, table) for table in stage.reads}
    inputs = {}
    for table, path in paths.items():
        held = read_meta(path)
        if held is None:
            raise missing_input(corpus, partition, stage, table)
        inputs[table] = held.fingerprint
    target = table_path(corpus, partition, stage.name)
    _sweep(target)
    rows_in = 0
    with TableWriter(target, stage.gives, rejects_path(corpus, partition, stage.name)) as writer:
        for row_id, row in _joined(list(paths.values()), stage.takes):
            rows_in += 1
            with _Naming(f"stage {stage.name}, partition {partition}, row {row_id}"):
                writer.add(row if isinstance(row, Rejected) else _apply(stage, row_id, row))
        meta = writer.commit(stage.name, stage.version, rows_in, details_of(stage, inputs))
    return Done(meta, time.monotonic() - started)


def _apply(stage: Stage[Any, Any], row_id: str, row: Any) -> Any:
    try:
        return stage.apply(row)
    except InputError as error:
        return Rejected(row_id, error.reason, str(error))


class _Naming:
    """Notes on whatever passes through where it happened. Catches nothing."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            error.add_note(self._where)


def _joined(paths: list[Path], record: type) -> Iterator[tuple[str, Any]]:
    """(id, record or Rejected) for each row of the first table, the others joined by id while all are streamed.

    A column comes from the first table that has it. A null where the record needs a value is a Rejected, so one null
    row does not take its partition with it.
    """
    schema = arrow_schema(record)
    owner: dict[str, int] = {}
    held = []
    for path in paths:
        with naming_table(path):
            found = pq.read_schema(path)
        check_kinds(path, found, {**kinds_of(record), "id": "text"})
        held.append(found.names)
    for name in schema.names:
        tables = [i for i, names in enumerate(held) if name in names]
        if tables:
            owner[name] = tables[0]
        elif not schema.field(name).nullable:
            raise InputError(f"{paths[0].parent}: no column {name} in {', '.join(p.name for p in paths)}; import again")
    columns = [["id", *(name for name, i in owner.items() if i == k and name != "id")] for k in range(len(paths))]
    others = [_Finder(path, wanted) for path, wanted in zip(paths[1:], columns[1:], strict=True)]
    for number, row in enumerate(_rows(paths[0], columns[0])):
        row_id = row["id"]
        if row_id is None:
            yield f"row-{number}", Rejected(f"row-{number}", "no_id", f"row {number} of {paths[0].name} has a null id")
            continue
        for other in others:
            row = {**other.find(row_id), **row}
        null = [f.name for f in schema if not f.nullable and row.get(f.name) is None]
        yield row_id, Rejected(row_id, f"no_{null[0]}", f"{null[0]} is null") if null else from_row(record, row)


class _Finder:
    """Finds rows of a table by id. Tables keep their partition's order, so it only ever reads on."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self._path = path
        self._rows = _rows(path, columns)

    def find(self, row_id: str) -> dict[str, Any]:
        for row in self._rows:
            if row["id"] == row_id:
                return row
        raise InputError(
            f"{self._path}: no row {row_id} where it should stand; ids must be unique and in one order in all tables "
            f"of a partition; run 'autosing import' to make such a corpus"
        )


def _rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    with naming_table(path), pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            yield from batch.to_pylist()


def _sweep(target: Path) -> None:
    """Unlink what workers that died long ago left of this table."""
    for left in target.parent.glob(f".{target.name}.*.part"):
        if time.time() - left.stat().st_mtime > _ABANDONED_S:
            left.unlink(missing_ok=True)
