"""Tables of a partition -> rows of one id side by side: the one way in which stages and the builder join them.

The tables hold the ids of a partition in one order, each with some left out, so all of them are streamed: of each only
the ids are read beforehand.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from autosing.errors import InputError
from autosing.storage.store import Place
from autosing.storage.tables import open_table

Rows = Iterable[tuple[str | None, Any]]
"""(id, row) of a table, in its order."""


def side_by_side(first: Rows, others: Sequence[tuple[Place, Rows]]) -> Iterator[tuple[str | None, list[Any]]]:
    """(id, [its row of the first table, of each other table, None where it lacks the id]) for each row of the first.

    Raises InputError where ids are not unique, or not in one order.
    """
    finders = [_Finder(path, rows) for path, rows in others]
    for id, row in first:
        found = [row, *(None if id is None else finder.find(id) for finder in finders)]
        del row  # audio that is not left where it lies may be hundreds of megabytes: one is held, not two
        yield id, found
        del found


class _Finder:
    """Finds rows of a table by id. It only ever reads on."""

    def __init__(self, path: Place, rows: Rows) -> None:
        self._path, self._rows = path, iter(rows)
        self._ids = frozenset(ids_of(path))

    def find(self, id: str) -> Any | None:
        if id not in self._ids:
            return None
        for held, row in self._rows:
            if held == id:
                return row
        raise missing_row(self._path, id)


def missing_row(path: Place, id: str) -> InputError:
    """The error for a row that a table of a partition should have."""
    return InputError(
        f"{path}: no row {id} where it should stand; ids must be unique and in one order in all tables of a partition; "
        f"run 'autosing import' to make such a corpus"
    )


def ids_of(path: Place) -> list[str | None]:
    """The column `id` of a table. Raises InputError where there is none."""
    with open_table(path) as file:
        if "id" not in file.schema_arrow.names:
            raise InputError(f"{path}: no column id; run 'autosing import' to make a corpus")
        ids: list[str | None] = file.read(columns=["id"])["id"].to_pylist()
    return ids
