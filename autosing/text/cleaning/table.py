"""words.txt -> the words of a key, and patterns that match any of them."""

import re
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("words.txt")


@cache
def _words() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            key, _, words = line.partition(": ")
            found.setdefault(key, []).extend(word.strip() for word in words.split(","))
    return found


def words(*keys: str) -> list[str]:
    return [word for key in keys for word in _words()[key]]


def any_of(*keys: str) -> str:
    """A pattern of any word of these keys, the longest first; `pre-chorus` is also `pre chorus` and `prechorus`."""
    spelt = sorted(words(*keys), key=lambda word: (-len(word), word))
    return "(?:" + "|".join(re.escape(word).replace(r"\-", r"[\s\-–]?") for word in spelt) + ")"
