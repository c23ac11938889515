"""A text file of lyrics or a table -> its text, and the encoding it was read as."""

from pathlib import Path

from autosing.errors import InputError

_KNOWN = {
    b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16",
}  # fmt: skip
"""Byte order mark -> encoding; UTF-32 first, whose mark begins with UTF-16's."""
_CERTAIN = ("utf-8", *_KNOWN.values())
_LATIN = ("cp1252", "cp1250", "cp1254")
_OTHERS = ("cp1251", "koi8_r", "cp932", "gb18030", "big5", "cp949", "cp1253", "cp1255", "cp1256")
"""Encodings of lyrics files, the more common first. charset-normalizer knows about 90 more (EBCDIC, DOS, old Macs), and
wrongly chooses one of those for every second short text."""


def read_text_file(path: Path) -> tuple[str, str]:
    """(text without its byte order mark, encoding). UTF-8, and UTF-16 and -32 by their marks; others are guessed.

    `guess_remark` says which encodings are guesses. Raises InputError: cannot be opened, or no encoding fits.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        raise InputError(
            f"{path}: cannot be read ({found}); give the path of a text file that you may read", "not_readable"
        ) from None
    return decode_text(data, str(path))


def decode_text(data: bytes, name: str) -> tuple[str, str]:
    """`read_text_file` for bytes."""
    encoding = next((known for mark, known in _KNOWN.items() if data.startswith(mark)), None)
    if encoding is None and b"\0" not in data:
        try:
            return data.decode("utf-8-sig"), "utf-8"
        except UnicodeDecodeError as error:
            reason = f"{error.reason} at byte {error.start}"
        encoding = _likeliest(data)
    elif encoding is None:  # UTF-16 without its mark has a null beside each Latin letter, blank and line break
        reason = f"null at byte {data.index(0)}"
        encoding = "utf-16-le" if data[1::2].count(0) >= data[::2].count(0) else "utf-16-be"
    else:
        reason = f"not {encoding} in spite of its mark"
    text = _decoded(data, encoding) if encoding else None
    if encoding is None or text is None:
        raise InputError(f"{name}: not readable as text ({reason}); save it as UTF-8", "not_text")
    return text, encoding


def guess_remark(encoding: str) -> str | None:
    """A remark on an encoding that was guessed; None if it was certain."""
    if encoding in _CERTAIN:
        return None
    return f"read as {encoding}, which is a guess; save it as UTF-8 if its letters are wrong"


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _likeliest(data: bytes) -> str | None:
    """Of the encodings that fit, the least chaotic, then the one most like a language, then the most common."""
    from charset_normalizer import from_bytes

    above = sum(byte >= 0x80 for byte in data)
    mostly_ascii = above <= sum(chr(byte).isalpha() for byte in data if byte < 0x80)
    order = _LATIN + _OTHERS if mostly_ascii else _OTHERS + _LATIN
    fitting = [
        (round(match.chaos, 1), -match.coherence, order.index(name), name)
        for match in from_bytes(data, cp_isolation=list(order))
        for name in set(match.could_be_from_charset).intersection(order)
    ]
    return min(fitting)[-1] if fitting else None
