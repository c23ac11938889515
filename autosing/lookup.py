"""A table and an id -> the one row that has it, without reading the other rows' audio."""

from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from autosing.schemas.base import from_row
from autosing.storage.store import Place
from autosing.storage.tables import FEW_BYTES, named_columns, open_table

R = TypeVar("R")


@dataclass(frozen=True)
class _Id:
    id: str


def find_row(path: Place, record: type[R], id: str) -> R | None:
    """The row with this id; None if no row has it, or if there is no such table.

    The id column is scanned; of the other columns only the row group that holds the id is read.
    """
    if not path.is_file():
        return None
    with open_table(path, FEW_BYTES) as file:
        names, (column,) = named_columns(path, file, record), named_columns(path, file, _Id)
        for group in range(file.num_row_groups):
            ids = file.read_row_group(group, columns=[column]).column(0).to_pylist()
            if id in ids:
                rows = (
                    row
                    for batch in file.iter_batches(batch_size=8, row_groups=[group], columns=names)
                    for row in batch.to_pylist()
                )
                return from_row(record, next(islice(rows, ids.index(id), None)))
    return None


def first_id(path: Place) -> str | None:
    """The id of a table's first row; None if there is none."""
    if path.is_file():
        with open_table(path, FEW_BYTES) as file:
            for batch in file.iter_batches(batch_size=1, columns=named_columns(path, file, _Id)):
                return str(batch.column(0)[0])
    return None
