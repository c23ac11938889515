"""A record class <-> an Arrow schema and its rows: the columns of each table are declared once, as a dataclass."""

import dataclasses
import functools
import operator
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, Union

import numpy as np
import pyarrow as pa

from autosing.audio.encoded import Encoded, Stem

R = TypeVar("R")

_PLAIN: dict[Any, pa.DataType] = {
    str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), bytes: pa.large_binary(),
    Encoded: pa.large_binary(), Stem: pa.large_binary(),
}  # fmt: skip

Float32s = Annotated[np.ndarray, pa.float32()]
"""A 1-D float32 array, stored as list<float32>."""
Int32s = Annotated[np.ndarray, pa.int32()]
"""A 1-D int32 array, stored as list<int32>."""
Matrix = lambda kind, width: Annotated[np.ndarray, kind, width]  # noqa: E731
"""A 2-D array with a fixed number of columns, stored as list<fixed_size_list<kind>>: Matrix(pa.float16(), 512)."""
Float16Frames = Annotated[np.ndarray, pa.float16(), None]
"""A 2-D float16 array with any number of columns, stored as list<list<halffloat>>."""


def arrow_schema(record: Any) -> pa.Schema:
    """The Arrow schema of a record class: one column for each field, nullable if the field may be None."""
    return pa.schema([_field(name, kind) for name, kind in _hints(record).items()])


def to_row(record: Any) -> dict[str, Any]:
    """A record -> the plain row that `as_table` takes (arrays stay arrays; nested records become dicts)."""
    return {field.name: _plain(getattr(record, field.name)) for field in dataclasses.fields(record)}


def from_row(record: type[R], row: Mapping[str, Any]) -> R:
    """A row as Arrow gives it -> the record. Columns that the record does not name are ignored, and those that the row
    lacks have their defaults."""
    kinds: dict[str, Any] = _hints(typing.cast(Any, record))
    given = {name: _revive(kind, row.get(name)) for name, kind in kinds.items() if name in row}
    missing = {name: None for name in kinds if name not in row and name not in _defaults(typing.cast(Any, record))}
    return record(**given, **missing)


def columns_of(record: Any, *kinds: Any) -> set[str]:
    """The fields of these kinds, or None."""
    return {name for name, kind in _hints(record).items() if _without_none(kind)[0] in kinds}


@cache
def _hints(record: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(record, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(record)}


@cache
def _defaults(record: Any) -> frozenset[str]:
    return frozenset(
        field.name
        for field in dataclasses.fields(record)
        if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    )


def _without_none(kind: Any) -> tuple[Any, bool]:
    if typing.get_origin(kind) in (Union, types.UnionType):
        args = [arg for arg in typing.get_args(kind) if arg is not type(None)]
        return functools.reduce(operator.or_, args), len(args) < len(typing.get_args(kind))
    return kind, False


def _arrow_type(kind: Any) -> pa.DataType:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if typing.get_origin(kind) is Annotated:
        _, inner, *width = typing.get_args(kind)
        return pa.list_(pa.list_(inner, width[0] or -1)) if width else pa.list_(inner)
    if typing.get_origin(kind) is list:
        return pa.list_(_arrow_type(typing.get_args(kind)[0]))
    assert dataclasses.is_dataclass(kind), kind
    return pa.struct(list(arrow_schema(kind)))


def _field(name: str, kind: Any) -> pa.Field:
    inner, nullable = _without_none(kind)
    return pa.field(name, _arrow_type(inner), nullable=nullable)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return to_row(value) if dataclasses.is_dataclass(value) else value


def _revive(kind: Any, value: Any) -> Any:
    inner, _ = _without_none(kind)
    if value is None:
        return None
    if typing.get_origin(inner) is Annotated:
        _, number, *width = typing.get_args(inner)
        array = np.asarray(value, dtype=number.to_pandas_dtype())
        if not width:
            return array
        if width[0] is None:
            return array if array.ndim == 2 else array.reshape(0, 0)
        return array.reshape(-1, width[0])
    if typing.get_origin(inner) is list:
        return [_revive(typing.get_args(inner)[0], item) for item in value]
    return from_row(typing.cast(type, inner), value) if dataclasses.is_dataclass(inner) else value
