"""Rows -> an Arrow table whose audio is not copied, and how its columns are laid out in Parquet."""

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

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
        else:
            columns.append(pa.chunked_array([pa.array(cells, type=field.type)]))
    return pa.Table.from_arrays(columns, schema=schema)


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


@lru_cache(maxsize=64)
def _leaves(schema: pa.Schema) -> list[str]:
    """The paths of a schema's columns as Parquet names them (`words.list.element.text`)."""
    sink = io.BytesIO()
    pq.write_table(schema.empty_table(), sink)
    held = pq.ParquetFile(sink).schema
    return [held.column(i).path for i in range(len(held))]
