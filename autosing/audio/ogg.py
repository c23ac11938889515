"""An Ogg stream -> the same stream with serial number 0, so that equal audio is equal bytes.

libsndfile draws the number anew for each file. It stands in the header of every page and counts in the page's checksum.
Source: RFC 3533.
"""

import zlib

_HEADER = 27
_SERIAL, _CHECKSUM, _SEGMENTS = 14, 22, 26
"""Offsets in a page's header."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def with_serial_zero(stream: bytes) -> bytes:
    """The pages of one encoded stream, in order."""
    out, at = bytearray(stream), 0
    while at < len(out):
        assert out[at : at + 4] == b"OggS", at
        segments = out[at + _SEGMENTS]
        end = at + _HEADER + segments + sum(out[at + _HEADER : at + _HEADER + segments])
        out[at + _SERIAL : at + _SERIAL + 4] = bytes(4)
        out[at + _CHECKSUM : at + _CHECKSUM + 4] = bytes(4)
        out[at + _CHECKSUM : at + _CHECKSUM + 4] = _checksum(out[at:end]).to_bytes(4, "little")
        at = end
    return bytes(out)


def _checksum(page: bytes | bytearray) -> int:
    """Ogg's CRC-32: zlib's polynomial with the bits in the other order, from 0, and not inverted."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
