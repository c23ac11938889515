"""One stage and one partition -> its committed table: read, apply, count, commit. Knows nothing of Ray."""

import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from autosing.clock import spent, timed
from autosing.errors import InputError
from autosing.schemas.base import arrow_schema, from_row
from autosing.stage import Rejected, Stage
from autosing.store import Place, place
from autosing.tables import (
    TableMeta,
    TableWriter,
    check_kinds,
    kinds_of,
    open_table,
    read_meta,
    rejects_path,
    table_path,
)
from processing.inhand import apply_all
from processing.pipeline import details_of, missing_input


@dataclass(frozen=True)
class Done:
    """What a worker tells of a partition: the committed table's own words and the seconds it took."""

    meta: TableMeta
    seconds: float
    cpu_seconds: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    """Of the seconds, what went to decode, resample, model, encode, tables; the rest is the stage's own arithmetic.
    Where rows are in hand side by side, these are the threads' seconds together, `wait` those before the model."""
    setup_s: float = 0.0
    """Loading the stage's models, before the seconds."""
    began_at: float = 0.0
    """When the seconds began, in seconds since 1970."""

    def took(self) -> dict[str, Any]:
        """The seconds, for a run's record."""
        held = {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds, "setup_s": self.setup_s}
        return {**{key: round(value, 3) for key, value in held.items()}, "spent": self.spent}


def limit_threads(threads: int) -> None:
    """Hold the arithmetic to so many threads. Before the first heavy import it also binds libraries that ask once."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


class Worker:
    """Holds the stages and loads each one's models once, when its first partition comes."""

    def __init__(self, stages: Sequence[Stage[Any, Any]], threads: int, gpu: bool = True) -> None:
        """`gpu` False: this worker has no share of one, so its stages shall see none."""
        limit_threads(threads)
        if not gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        pa.array([0])  # the first of all loads pandas, where it is installed: 1.5 s that are no partition's
        self._stages = {stage.name: stage for stage in stages}
        self._loaded: set[str] = set()

    def name(self) -> str:
        """HOST-PID."""
        return f"{socket.gethostname()}-{os.getpid()}"

    def process(self, name: str, corpus: str, partition: int) -> Done:
        stage = self._stages[name]
        setup_s = 0.0
        if name not in self._loaded:
            started = time.monotonic()
            stage.setup()
            self._loaded.add(name)
            setup_s = time.monotonic() - started
        return replace(process_partition(stage, place(corpus), partition), setup_s=setup_s)


def process_partition(stage: Stage[Any, Any], corpus: Place, partition: int) -> Done:
    """`make_table`, with what it took."""
    began_at, started, cpu = time.time(), time.monotonic(), time.process_time()
    with timed() as ledger:
        meta = make_table(stage, corpus, partition)
    rounded = {kind: round(seconds, 4) for kind, seconds in sorted(ledger.wall_s.items())}
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    return Done(meta, seconds, cpu_seconds, rounded, began_at=began_at)


def make_table(stage: Stage[Any, Any], corpus: Place, partition: int) -> TableMeta:
    """Run a stage that is set up over one partition and commit its table and rejects.

    Every row of the driving table ends as rows or as a Rejected. An InputError out of `apply` rejects its row by the
    error's `reason`; any other exception leaves no table behind and carries a note that names partition and row.
    """
    paths = [table_path(corpus, partition, table) for table in stage.reads]
    held = _inputs(stage, corpus, partition)
    target = table_path(corpus, partition, stage.name)
    rows_in = 0
    with TableWriter(target, stage.gives, rejects_path(corpus, partition, stage.name)) as writer:
        for result in apply_all(stage, _joined(paths, stage.takes), partition):
            rows_in += 1
            with spent("tables"):
                writer.add(result)
        if _inputs(stage, corpus, partition) != held:
            raise InputError(
                f"{target}: another run put other tables in place of {', '.join(stage.reads)} while they were read; "
                "run one at a time"
            )
        assert rows_in == held[stage.reads[0]].rows, f"{paths[0]}: {held[stage.reads[0]].rows} rows, {rows_in} read"
        inputs = {table: meta.fingerprint for table, meta in held.items()}
        with spent("tables"):
            return writer.commit(stage.name, stage.version, rows_in, details_of(stage, inputs))


def _inputs(stage: Stage[Any, Any], corpus: Place, partition: int) -> dict[str, TableMeta]:
    """What the committed tables that a stage reads say of themselves. Raises InputError where one is missing."""
    inputs = {}
    for table in stage.reads:
        held = read_meta(table_path(corpus, partition, table))
        if held is None:
            raise missing_input(corpus, partition, stage, table)
        inputs[table] = held
    return inputs


def _joined(paths: Sequence[Place], record: type) -> Iterator[tuple[str, Any]]:
    """(id, record or Rejected) for each row of the first table, the others joined by id while all are streamed.

    A column comes from the first table that has it. A null where the record needs a value is a Rejected, so one null
    row does not take its partition with it.
    """
    schema = arrow_schema(record)
    owner: dict[str, int] = {}
    held = [_columns(path, record) for path in paths]
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

    def __init__(self, path: Place, columns: list[str]) -> None:
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


def _columns(path: Place, record: type) -> list[str]:
    """Raises InputError for a table that cannot be read, or whose columns are of other kinds than the record's."""
    with open_table(path) as file:
        check_kinds(path, file.schema_arrow, {**kinds_of(record), "id": "text"})
        return list(file.schema_arrow.names)


def _rows(path: Place, columns: list[str]) -> Iterator[dict[str, Any]]:
    with open_table(path) as file:
        batches = file.iter_batches(batch_size=1, columns=columns)
        while True:
            with spent("tables"):
                row = next((batch.to_pylist()[0] for batch in batches), None)
            if row is None:
                return
            yield row
            del row  # a song's audio may be hundreds of megabytes: none is held while the next is read
