"""A Parquet column of bytes -> the file offset and length of each value, so that large values need not be read.

pyarrow gives the offset of a column chunk, not of its values. Uncompressed values in plain encoding are stored as they
are: a sequence of pages, each with a header (Thrift's compact protocol), levels that mark nulls, and the values, each
after its length.
Source: the Parquet format, Encodings.md and parquet.thrift.
"""

import io
from collections.abc import Callable, Iterator
from itertools import islice, repeat
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

Read: TypeAlias = Callable[[int, int], bytes]
"""(offset, count) -> `count` bytes of the file, fewer at its end."""
Span: TypeAlias = tuple[int, int]
"""(offset, length) of a value in its file."""
Struct: TypeAlias = dict[tuple[int, int], Any]
"""(field number, field type) -> value."""

_HEADER_BYTES = 1 << 16
"""A page header has about 30 bytes; with statistics, four more values of up to 4 KiB each."""
_DATA_PAGE, _PLAIN, _RLE = 0, 0, 3
_I32, _STRUCT = 5, 12
"""Field types of Thrift's compact protocol."""
_DEPTH = 4
"""Largest nesting of structs: a header holds a struct, which holds one of statistics."""


def value_offsets(read: Read, file: pq.ParquetFile, name: str) -> Iterator[Span | None] | None:
    """(offset, length) of each value of a column in order, None for a null. None: the column has another encoding.

    The iterator raises pyarrow.ArrowInvalid where the pages contradict the file's footer.
    """
    paths = [file.schema.column(i).path for i in range(len(file.schema))]
    if paths.count(name) != 1:
        return None
    number = paths.index(name)
    column = file.schema.column(number)
    chunks = [file.metadata.row_group(group).column(number) for group in range(file.metadata.num_row_groups)]
    lies_flat = column.physical_type == "BYTE_ARRAY" and column.max_repetition_level == 0
    if not lies_flat or column.max_definition_level > 1 or not all(_plain(read, chunk) for chunk in chunks):
        return None
    return _of_chunks(read, chunks, nullable=column.max_definition_level == 1)


def _plain(read: Read, chunk: Any) -> bool:
    if chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page or chunk.file_path:
        return False
    if not chunk.num_values:
        return True
    page, _ = _page(read, chunk.data_page_offset)
    return _is_data_page(page) and set(chunk.encodings) <= {"PLAIN", "RLE", "BIT_PACKED"}


def _is_data_page(page: Struct) -> bool:
    return page.get((1, _I32)) == _DATA_PAGE


def _of_chunks(read: Read, chunks: list[Any], nullable: bool) -> Iterator[Span | None]:
    for chunk in chunks:
        at, left = chunk.data_page_offset, chunk.num_values
        end = at + chunk.total_compressed_size
        while left > 0:
            page, at = _page(read, at)
            held, size = page.get((5, _STRUCT), {}), page.get((3, _I32), -1)
            num_values, values, levels = (held.get((field, _I32), -1) for field in (1, 2, 3))
            as_said = _is_data_page(page) and values == _PLAIN and (levels == _RLE or not nullable)
            if not as_said or not 0 < num_values <= left or not 0 <= size == page.get((2, _I32)) or at + size > end:
                raise pa.ArrowInvalid(f"a page before byte {at} is not one of plain values")
            yield from _of_page(read, at, at + size, num_values, nullable)
            at, left = at + size, left - num_values


def _of_page(read: Read, at: int, end: int, num_values: int, nullable: bool) -> Iterator[Span | None]:
    defined: Iterator[bool] = repeat(True, num_values)
    if nullable:
        size = _length(read, at, end)
        defined = _levels(read(at + 4, size), num_values)
        at += 4 + size
    for there in defined:
        if there:
            size = _length(read, at, end)
            yield at + 4, size
            at += 4 + size
        else:
            yield None
    if at != end:
        raise pa.ArrowInvalid(f"a page's values end at byte {at}, the page at {end}")


def _length(read: Read, at: int, end: int) -> int:
    """The length of the value after the four bytes at `at`, which hold it."""
    size = int.from_bytes(read(at, 4), "little")
    if at + 4 + size > end:
        raise pa.ArrowInvalid(f"{size} bytes at byte {at}, where the page has {end - at - 4}")
    return size


def _levels(data: bytes, num_values: int) -> Iterator[bool]:
    """Which values are not null, decoded from runs of one level and groups of eight bits."""
    held, left = io.BytesIO(data), num_values
    while left > 0:
        header = _varint(held)
        if header & 1:
            groups = held.read(header >> 1)
            count = min(8 * len(groups), left)
            yield from islice((bool(byte >> i & 1) for byte in groups for i in range(8)), count)
        else:
            count = min(header >> 1, left)
            yield from repeat(bool(_byte(held)), count)
        if not count:
            raise pa.ArrowInvalid("a page's levels hold an empty run")
        left -= count


def _page(read: Read, at: int) -> tuple[Struct, int]:
    """A page header, and the offset of its end."""
    data = io.BytesIO(read(at, _HEADER_BYTES))
    return _struct(data), at + data.tell()


def _struct(data: io.BytesIO, depth: int = 0) -> Struct:
    if depth > _DEPTH:
        raise pa.ArrowInvalid("a page's header has no end")
    found: Struct = {}
    field = 0
    while kind := _byte(data):
        field = field + (kind >> 4) if kind >> 4 else _zigzag(data)
        found[field, kind & 15] = _value(data, kind & 15, depth)
    return found


def _value(data: io.BytesIO, kind: int, depth: int) -> Any:
    if kind in (1, 2):
        return kind == 1
    if kind in (4, _I32, 6):
        return _zigzag(data)
    if kind == 8:
        return data.read(_varint(data))
    if kind == _STRUCT:
        return _struct(data, depth + 1)
    raise pa.ArrowInvalid(f"a page's header holds a field of type {kind}")


def _zigzag(data: io.BytesIO) -> int:
    number = _varint(data)
    return number >> 1 ^ -(number & 1)


def _varint(data: io.BytesIO) -> int:
    number = 0
    for shift in range(0, 70, 7):
        byte = _byte(data)
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number
    raise pa.ArrowInvalid("a page holds a number of more than ten bytes")


def _byte(data: io.BytesIO) -> int:
    byte = data.read(1)
    if not byte:
        raise pa.ArrowInvalid("a page ends in the middle of a number")
    return byte[0]
