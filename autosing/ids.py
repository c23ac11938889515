"""Ids that survive file systems and tars: letters, digits, `_` and `-` only, so no dot can split a shard's key."""

import hashlib
import re
import unicodedata

from autosing.errors import InputError

_VALID = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 120
"""In bytes. Clips and members add some 40, and the name of a file has at most 255."""


def clean_id(text: str) -> str:
    """Any name -> a valid id of at most 120 bytes. If characters are lost, digits of the name's digest are added."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    cleaned = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_")
    if cleaned and cleaned == text and len(cleaned) <= _LONGEST:
        return cleaned
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{cleaned[: _LONGEST - 9]}_{digest}" if cleaned else digest


def check_id(text: str) -> str:
    """The id itself, or an InputError saying what is wrong with it."""
    if not isinstance(text, str) or not _VALID.fullmatch(text):
        raise InputError(
            f"id {text!r}: only letters, digits, '_' and '-' are allowed; run 'autosing import' to map ids"
        )
    return text


def clip_id(song: str, start_s: float) -> str:
    """`<song>-<start in ms>`."""
    return f"{song}-{round(start_s * 1000)}"


def seed_of(*parts: str | int) -> int:
    """A 63-bit seed that is a function of its parts alone, the same on every machine and in every process."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
