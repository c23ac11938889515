"""A tar -> the byte ranges of its members, which are not read; or an InputError with the reason to refuse it.

Each header is matched once, without a tarfile object. It has the one form that `autosing build` writes, or it is
examined to name the problem: a link, a device, a path, an oversized member, a header of another kind.
"""

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from autosing.errors import InputError
from autosing.storage.store import Place

BLOCK = 512
MAX_MEMBER_BYTES = 1 << 28
MAX_TAIL_BYTES = 1 << 20
_NAME = rb"([A-Za-z0-9_-]+)\.([a-z0-9_.]+)"
_PLAIN = re.compile(
    rb"(?=" + _NAME + rb"\0).{100}"
    rb".{24}([0-7]{11})[ \0].{12}([0-7]{6})\0 "  # mode and owner, size, time, checksum
    rb"[0\0]\0{100}ustar.{83}\0{155}.{12}",  # a regular file, no link, who, no prefix
    re.DOTALL,
)
_LONG_NAME = re.compile(rb"([0-9]+) path=" + _NAME + rb"\n\0*")
"""The one record that a pax header may hold: a name of 100 characters or more."""
_KINDS = {b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"5": "a folder", b"6": "a pipe",
          b"S": "a sparse file", b"x": "a pax header of more than a name"}  # fmt: skip


class Member(NamedTuple):
    """`<key>.<file>` and the bytes of the tar that hold it."""

    key: str
    file: str
    start: int
    end: int


def members_of(path: Place, tar: memoryview, max_members: int) -> Iterator[Member]:
    """The members in order; only headers are read. Raises InputError with the name of any other kind of member."""
    total = len(tar)
    at = count = 0
    long_name = None
    while True:
        plain = _PLAIN.match(tar, at)
        if plain is None:
            header = bytes(tar[at : at + BLOCK])
            if not header.strip(b"\0"):
                _check_end(path, tar, at)
                return
            if long_name is None and _kind(header) == b"x":
                long_name = _long_name(path, tar, header, at)
                at += 2 * BLOCK
                continue
            if long_name is not None:
                # The header's own name is the start of the long name; with a short one instead the rest must match.
                plain = _PLAIN.match(b"a.b".ljust(100, b"\0") + header[100:])
            if plain is None:
                _refuse(path, header, "is not named <clip id>.<member>")
        key, file, octal_size, octal_sum = plain.groups()
        if long_name is not None:
            key, file = long_name
            long_name = None
        if _sum_of(tar, at) != int(octal_sum, 8):
            raise InputError(f"shard {path}: not a whole tar (header at {at} is damaged); build the dataset again")
        size, start = int(octal_size, 8), at + BLOCK
        count += 1
        if size > MAX_MEMBER_BYTES:
            _refuse(path, bytes(tar[at:start]), f"has {size} bytes, at most {MAX_MEMBER_BYTES} are read")
        if count > max_members:
            _refuse(path, bytes(tar[at:start]), f"is one too many, at most {max_members} are read")
        at = start + _padded(size)
        if at > total:
            raise InputError(
                f"shard {path}: not a whole tar ({key.decode()}.{file.decode()} needs {at} bytes, the file has "
                f"{total}); build the dataset again"
            )
        yield Member(key.decode(), file.decode(), start, start + size)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _kind(header: bytes) -> bytes:
    return header[156:157]


def _sum_of(tar: memoryview, at: int) -> int:
    """A header's checksum: the sum of its bytes, with blanks in the checksum field: the low half of Adler-32, less 1.

    Exact below 65,521, the modulus; a valid header stays far below.
    """
    first = zlib.adler32(tar[at : at + 148])
    return (zlib.adler32(tar[at + 156 : at + BLOCK], zlib.adler32(b" " * 8, first)) & 0xFFFF) - 1


def _long_name(path: Place, tar: memoryview, header: bytes, at: int) -> tuple[bytes, bytes]:
    """(key, file) of the pax header at `at`, whose one record is in the one block after it."""
    found = _LONG_NAME.fullmatch(tar[at + BLOCK : at + 2 * BLOCK])
    length = b"%d" % (found.end(3) + 1) if found else b""
    if found is None or found[1] != length or header[124:136] != b"%011o\0" % int(length):
        _refuse(path, header, f"is {_KINDS[b'x']}")
    return found[2], found[3]


def _check_end(path: Place, tar: memoryview, at: int) -> None:
    """A tar ends with at least two empty blocks, and nothing follows them."""
    total = len(tar)
    if total - at < 2 * BLOCK:
        raise InputError(f"shard {path}: not a whole tar (its end is missing); build the dataset again")
    if total - at > MAX_TAIL_BYTES or bytes(tar[at:]).strip(b"\0"):
        raise InputError(f"shard {path}: there are bytes after its end; only shards of 'autosing build' are read")


def _refuse(path: Place, header: bytes, wrong: str) -> NoReturn:
    if len(header) < BLOCK or header[257:262] != b"ustar":
        raise InputError(f"shard {path}: not a whole tar (a header is missing); build the dataset again")
    kind = _kind(header)
    if kind not in b"0\0":
        wrong = f"is {_KINDS.get(kind, f'of kind {kind!r}')}, need a plain file"
    name = header[:100].partition(b"\0")[0].decode("utf-8", "backslashreplace")
    raise InputError(f"shard {path}: member {name!r} {wrong}; only shards of 'autosing build' are read")
