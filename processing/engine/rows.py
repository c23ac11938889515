"""A partition's tables -> the records that a stage takes, joined by id one at a time; encoded audio stays in its file.

A field of type `bytes` is read; one of type `Encoded` or `Stem` stays in its file. Stems may be stored in parts: in a
table with a column `part`, the rows numbered from 0 on belong to one song, and each of its stems is a tuple of parts.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from autosing.audio.encoded import Encoded, Stem
from autosing.clock import spent
from autosing.errors import InputError
from autosing.schemas.base import arrow_schema, columns_of, from_row
from autosing.stage import Rejected
from autosing.storage.rows import missing_row, side_by_side
from autosing.storage.store import Place
from autosing.storage.tables import broken_table, check_kinds, kinds_of, open_cells, open_table

_PART = "part"


def joined(paths: Sequence[Place], record: type, sparse: Collection[str] = ()) -> Iterator[tuple[str, Any]]:
    """(id, record or Rejected) for each row (song) of the first table, the others joined while all are streamed.

    A column comes from the first table that has it. A null where the record needs a value gives a Rejected, so that one
    null does not fail the partition. `sparse`: the tables that may lack rows; their columns are then null.
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
    first, *others = (
        _songs(path, wanted, record) if _in_parts(names, wanted, record) else _rows(path, wanted, record)
        for path, names, wanted in zip(paths, held, columns, strict=True)
    )
    for number, (row_id, found) in enumerate(side_by_side(first, list(zip(paths[1:], others, strict=True)))):
        if row_id is None:
            yield f"row-{number}", Rejected(f"row-{number}", "no_id", f"row {number} of {paths[0].name} has a null id")
            continue
        for path, part in zip(paths, found, strict=True):
            if part is None and path.stem not in sparse:
                raise missing_row(path, row_id)
        row = {name: value for part in reversed(found) for name, value in (part or {}).items()}
        null = [f.name for f in schema if not f.nullable and row.get(f.name) is None]
        yield row_id, Rejected(row_id, f"no_{null[0]}", f"{null[0]} is null") if null else from_row(record, row)
        del found, row


def _columns(path: Place, record: type) -> list[str]:
    """Raises InputError for a table that cannot be read, or whose columns are of other kinds than the record's."""
    with open_table(path) as file:
        check_kinds(path, file.schema_arrow, {**kinds_of(record), "id": "text"})
        return list(file.schema_arrow.names)


def _in_parts(held: Sequence[str], wanted: Sequence[str], record: type) -> bool:
    stems = columns_of(record, Stem).intersection(wanted)
    if not stems or _PART not in held:
        return False
    assert stems | {"id"} == set(wanted), f"{record.__name__}: a table in parts gives only stems, not {wanted}"
    return True


def _songs(path: Place, columns: Sequence[str], record: type) -> Iterator[tuple[str | None, dict[str, Any]]]:
    parts: list[dict[str, Any]] = []
    for _, row in _rows(path, [*columns, _PART], record):
        if parts and row[_PART] == 0:
            yield parts[0]["id"], _song(parts)
            parts = []
        if row[_PART] != len(parts) or (parts and row["id"] != parts[0]["id"]):
            raise broken_table(path, ValueError(f"part {row[_PART]} of {row['id']} where part {len(parts)} should be"))
        parts.append(row)
    if parts:
        yield parts[0]["id"], _song(parts)


def _song(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    stems = {name: tuple(part[name] for part in parts) for name in parts[0] if name not in ("id", _PART)}
    return {"id": parts[0]["id"], **{name: None if None in stem else stem for name, stem in stems.items()}}


def _rows(path: Place, columns: Sequence[str], record: type) -> Iterator[tuple[str | None, dict[str, Any]]]:
    with open_table(path) as file:
        encoded = columns_of(record, Encoded, Stem).intersection(columns)
        opened = {name: open_cells(path, file, name) for name in encoded}
        cells = {name: values for name, values in opened.items() if values is not None}
        batches = file.iter_batches(batch_size=1, columns=[name for name in columns if name not in cells])
        read = 0
        while True:
            with spent("tables"):
                row = next((batch.to_pylist()[0] for batch in batches), None)
                if row is None:
                    break
                row |= {name: next(values) for name, values in cells.items()}
            read += 1
            yield row["id"], row
            del row  # it may hold hundreds of megabytes of audio: free it before the next row is read
        assert read == file.metadata.num_rows, f"{path}: {file.metadata.num_rows} rows, {read} read"
