"""An Ogg stream -> the same stream with serial number 0, so that equal audio is equal bytes.

libsndfile draws the number anew for each file. It stands in the header of every page and counts in the page's checksum.
Source: RFC 3533.
"""

import zlib
from pathlib import Path
from typing import BinaryIO

_HEADER = 27
_SERIAL, _CHECKSUM, _SEGMENTS = 14, 22, 26
"""Offsets in a page's header."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def zero_serial(file: BinaryIO | Path) -> None:
    """In a file of one encoded stream, page by page."""
    if isinstance(file, Path):
        with file.open("r+b") as opened:
            zero_serial(opened)
        return
    at = 0
    while header := _read_at(file, at, _HEADER):
        assert header[:4] == b"OggS", at
        segments = _read_at(file, at + _HEADER, header[_SEGMENTS])
        page = bytearray(_read_at(file, at, _HEADER + len(segments) + sum(segments)))
        page[_SERIAL : _SERIAL + 4] = bytes(4)
        page[_CHECKSUM : _CHECKSUM + 4] = bytes(4)
        page[_CHECKSUM : _CHECKSUM + 4] = _checksum(page).to_bytes(4, "little")
        file.seek(at)
        file.write(page)
        at += len(page)


def _read_at(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _checksum(page: bytes | bytearray) -> int:
    """Ogg's CRC-32: zlib's polynomial with the bits in the other order, from 0, and not inverted."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
