"""Rows -> an Arrow table whose audio is not copied, and how its columns are laid out in Parquet."""

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from autosing.audio.encoded import Encoded


def as_table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """The rows as a table. Bytes are not copied; audio that is still in a file is read here."""
    columns = []
    for field in schema:
        cells = [row.get(field.name) for row in rows]
        if pa.types.is_large_binary(field.type):
            columns.append(pa.chunked_array([_cell(cell) for cell in cells], type=field.type))
        elif any(isinstance(cell, np.ndarray) and cell.ndim == 2 for cell in cells):
            columns.append(pa.chunked_array([_matrix(cell, field.type) for cell in cells], type=field.type))
        else:
            columns.append(pa.chunked_array([pa.array(cells, type=field.type)]))
    return pa.Table.from_arrays(columns, schema=schema)


def as_columns(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a batch: lists of numbers become arrays, 1-D or 2-D, of their own memory; the rest plain values."""
    columns = [_arrays(column) if _is_series(column.type) else column.to_pylist() for column in batch.columns]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def layout(schema: pa.Schema) -> dict[str, Any]:
    """Arguments of `ParquetWriter`: encoded audio gets no compression, dictionary or statistics."""
    audio = {field.name for field in schema if pa.types.is_large_binary(field.type)}
    others = [path for path in _leaves(schema) if path not in audio]
    return {
        "compression": {**dict.fromkeys(others, "zstd"), **dict.fromkeys(audio, "none")},
        "use_dictionary": others,
        "write_statistics": others,
    }


def _cell(value: Encoded | None) -> pa.Array:
    if value is None:
        return pa.nulls(1, pa.large_binary())
    value = bytes(value)
    offsets = pa.py_buffer(b"".join(n.to_bytes(8, "little") for n in (0, len(value))))
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(value)])


def _matrix(value: np.ndarray | None, kind: Any) -> Any:
    """One value of a column of 2-D arrays: its numbers are taken as they lie."""
    if value is None:
        return pa.nulls(1, kind)
    rows, width = value.shape
    inner = kind.value_type
    numbers: Any = pa.array(np.ascontiguousarray(value).reshape(-1), type=inner.value_type)
    if pa.types.is_fixed_size_list(inner):
        lists: Any = pa.FixedSizeListArray.from_arrays(numbers, inner.list_size)
    else:
        lists = pa.ListArray.from_arrays(pa.array(np.arange(rows + 1) * width, pa.int32()), numbers, type=inner)
    return pa.ListArray.from_arrays(pa.array([0, rows], pa.int32()), lists, type=kind)


def _is_list(kind: Any) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_series(kind: Any) -> bool:
    """Lists of numbers, or lists of such lists."""
    inner = kind.value_type if _is_list(kind) else None
    leaf = inner.value_type if inner is not None and _is_list(inner) else inner
    return leaf is not None and (pa.types.is_integer(leaf) or pa.types.is_floating(leaf))


def _arrays(column: Any) -> list[Any]:
    """One array a row; None where it is null, plain lists where rows of a 2-D array are not equally long."""
    found: list[Any] = []
    for cell in column:
        if not cell.is_valid:
            found.append(None)
            continue
        values = cell.values
        width = None
        if _is_list(values.type):
            lengths = np.unique(values.value_lengths().to_numpy(zero_copy_only=False)) if len(values) else [0]
            if len(lengths) != 1 or values.null_count:
                found.append(cell.as_py())
                continue
            width, values = int(lengths[0]), values.flatten()
        if values.null_count:
            found.append(cell.as_py())
            continue
        array = np.array(values.to_numpy(zero_copy_only=False))
        found.append(array if width is None else array.reshape(-1, width) if width else array.reshape(0, 0))
    return found


@lru_cache(maxsize=64)
def _leaves(schema: pa.Schema) -> list[str]:
    """The paths of a schema's columns as Parquet names them (`words.list.element.text`)."""
    sink = io.BytesIO()
    pq.write_table(schema.empty_table(), sink)
    held = pq.ParquetFile(sink).schema
    return [held.column(i).path for i in range(len(held))]
