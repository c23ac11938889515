"""A tar -> the byte ranges of each sample's files: from its headers, or from the offsets file written with it.

Parsing and checking every header takes most of a first epoch. The offsets file, `<tar's name>.offsets.json`, holds the
same ranges, and its digest is in the index. It only saves time: a dataset without it is read by its headers. As JSON:

    layouts  [file, bytes, bytes before its numbers, shape, type, order] for each kind of member; of what is no array
             the last three are null
    rows     [clip id, begin and end of its meta.json, then a layout's number and where the member begins, for each]
"""

import hashlib
import json
import math
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from autosing.errors import InputError
from autosing.schemas.sample import META, array_layout
from autosing.storage.remote import Remote
from autosing.storage.store import Place
from autosing.storage.tars import Member, members_of

P = TypeVar("P", Path, Remote, Place)
MAX_FILES = 16
"""Most files of one sample."""


class Row(NamedTuple):
    """The byte ranges of a sample's files: its meta, its arrays, and the others.

    Arrays are flat tuples of the arguments of numpy's constructor: headers are parsed once, memory stays small, and the
    garbage collector does not track them.
    """

    key: str
    meta: tuple[int, int]
    arrays: tuple[tuple[str, int, *tuple[Any, ...]], ...]
    """(file, size in bytes, *Layout)."""
    others: tuple[tuple[str, int, int], ...]
    """(file, first byte, end)."""

    def sizes(self) -> dict[str, int]:
        """File -> its size in bytes, without meta."""
        return {file: size for file, size, *_ in self.arrays} | {file: end - begin for file, begin, end in self.others}


def rows_of_headers(path: Place, tar: memoryview, files: Collection[str] | None, max_rows: int) -> list[Row]:
    """The rows of the tar, of each the wanted files (None: all). Raises InputError for a tar that is not plain."""
    rows: list[Row] = []
    seen: set[str] = set()
    held: dict[str, Member] = {}
    last: str | None = None
    for member in members_of(path, tar, max_rows * MAX_FILES):
        if member.key != last:
            if last is not None:
                rows.append(_row(path, tar, last, held, files))
            if member.key in seen:
                raise _twice(path, member)
            if len(rows) == max_rows:
                raise InputError(f"shard {path}: sample {member.key} is one too many, {max_rows} are promised or read")
            last, held = member.key, {}
            seen.add(last)
        if held.setdefault(member.file, member) is not member:
            raise _twice(path, member)
    if last is not None:
        rows.append(_row(path, tar, last, held, files))
    return rows


def rows_of_offsets(path: Place, total: int, digest: str, files: Collection[str] | None) -> list[Row] | None:
    """The same rows from the offsets file of a tar of `total` bytes; None where there is no such file.

    Raises InputError where its digest differs from `digest`, or a range is invalid.
    """
    beside = offsets_path(path)
    if not beside.is_file():
        return None
    with beside.open("rb") as stream:
        data = stream.read()
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"offsets {beside}: its digest is not the one in the index; run 'autosing verify'")
    try:
        held = json.loads(data, parse_float=_no_fraction, parse_constant=_no_fraction)
        kinds = [_Kind.of(total, files, *layout) for layout in held["layouts"]]
        return [_row_at(kinds, total, *row) for row in held["rows"]]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise InputError(f"offsets {beside}: not as 'autosing build' writes them ({error}); build it again") from None


def offsets_path(tar: P) -> P:
    """The offsets file of a tar."""
    return tar.parent / f"{tar.name.removesuffix('.tar')}.offsets.json"


def offsets_text(rows: Collection[Row]) -> bytes:
    """The offsets file of a tar with these rows."""
    numbers: dict[tuple[Any, ...], int] = {}
    lines = []
    for row in rows:
        line: list[Any] = [row.key, *row.meta]
        for file, size, shape, dtype, first, order in row.arrays:
            head = size - math.prod(shape) * dtype.itemsize
            line += [numbers.setdefault((file, size, head, shape, dtype.str, order), len(numbers)), first - head]
        for file, begin, end in row.others:
            line += [numbers.setdefault((file, end - begin, 0, None, None, None), len(numbers)), begin]
        lines.append(line)
    return json.dumps({"layouts": list(numbers), "rows": lines}, separators=(",", ":")).encode()


class _Kind(NamedTuple):
    """The common properties of members of one layout."""

    file: str
    size: int
    head: int
    shape: tuple[int, ...]
    dtype: np.dtype | None
    order: str
    last: int
    """Largest possible first byte of such a member."""
    wanted: bool

    @classmethod
    def of(
        cls, total: int, files: Collection[str] | None,
        file: str, size: int, head: int, shape: list[int] | None, dtype: str | None, order: str | None,
    ) -> "_Kind":  # fmt: skip
        wanted = files is None or file in files
        if dtype is None or shape is None:
            return cls(sys.intern(file), size, 0, (), None, "C", total - size, wanted)
        kind = np.dtype(dtype)
        if kind.kind not in "biuf" or order not in ("C", "F") or min(shape, default=0) < 0 or head < 0:
            raise ValueError(f"{file} of type {dtype}, shape {shape}")
        if head + math.prod(shape) * kind.itemsize != size:
            raise ValueError(f"{file} of {size} bytes, its shape asks for others")
        return cls(sys.intern(file), size, head, tuple(shape), kind, str(order), total - size, wanted)


def _row_at(kinds: list[_Kind], total: int, key: str, begin: int, end: int, *members: int) -> Row:
    if not isinstance(key, str) or not 0 <= begin <= end <= total:
        raise ValueError(f"sample {key} lies beyond its tar's end")
    arrays: list[Any] = []
    others: list[Any] = []
    for number, start in zip(members[::2], members[1::2], strict=True):
        file, size, head, shape, dtype, order, last, wanted = kinds[number]
        if not 0 <= start <= last:
            raise ValueError(f"{key}.{file} lies beyond its tar's end")
        if not wanted:
            continue
        if dtype is None:
            others.append((file, start, start + size))
        else:
            arrays.append((file, size, shape, dtype, start + head, order))
    return Row(key, (begin, end), tuple(arrays), tuple(others))


def _no_fraction(text: str) -> int:
    raise ValueError(f"{text} is no whole number")


def _twice(path: Place, member: Member) -> InputError:
    return InputError(
        f"shard {path}: sample {member.key} is there twice ({member.key}.{member.file}); build the dataset again"
    )


def _row(path: Place, tar: memoryview, key: str, held: dict[str, Member], files: Collection[str] | None) -> Row:
    meta = held.pop(META, None)
    if meta is None:
        raise InputError(f"shard {path}: sample {key} has no {META}; build the dataset again")
    arrays, others = [], []
    for _, file, begin, end in held.values():
        if files is not None and file not in files:
            continue
        if file.endswith(".npy"):
            layout = array_layout(tar, begin, end, f"shard {path}: {key}.{file}")
            arrays.append((sys.intern(file), end - begin, *layout))
        else:
            others.append((sys.intern(file), begin, end))
    return Row(key, (meta.start, meta.end), tuple(arrays), tuple(others))
