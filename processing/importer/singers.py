"""Where songs lie -> who sings them, where a folder is laid out as one folder a singer (`<singer>/<song>.wav`)."""

import unicodedata
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Literal

SingersFrom = Literal["folder", "tags", "none"]


def singer_by_folder(name: str) -> str | None:
    """The first folder on the way to a song; None for a song that lies in none."""
    parts = PurePosixPath(name).parts
    return unicodedata.normalize("NFC", parts[0]).strip() or None if len(parts) > 1 else None


def looks_like_singers(names: Collection[str]) -> bool:
    """Whether the whole shape of a source says that its folders are singers.

    Every song lies in a folder of the source itself, there are two folders or more, and each holds two songs or more.
    Folders that hold files of the same few names (`vocals.wav`, `mixture.wav`) are songs with their stems.
    """
    folders: dict[str, set[str]] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        if len(parts) != 2:
            return False
        folders.setdefault(parts[0], set()).add(PurePosixPath(name).stem.lower())
    held = list(folders.values())
    if len(held) < 2 or any(len(stems) < 2 for stems in held):
        return False
    return not _are_stems(held)


def count_songs(names: Collection[str]) -> Mapping[str, int]:
    """Singer -> how many songs lie in that folder."""
    counts: dict[str, int] = {}
    for name in names:
        singer = singer_by_folder(name)
        if singer is not None:
            counts[singer] = counts.get(singer, 0) + 1
    return counts


def _are_stems(folders: list[set[str]]) -> bool:
    """Names in words that all folders share. Numbers say nothing: each singer may have a 001."""
    shared = set.intersection(*folders)
    return any(not any(c.isdigit() for c in stem) for stem in shared) and all(f == folders[0] for f in folders)
