"""Paths of songs -> who sings them, if the source has one folder for each singer (`<singer>/<song>.wav`)."""

import unicodedata
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Literal

SingersFrom = Literal["folder", "tags", "none"]


def singer_by_folder(name: str) -> str | None:
    """The first folder in a song's path; None for a song that is in no folder."""
    parts = PurePosixPath(name).parts
    return unicodedata.normalize("NFC", parts[0]).strip() or None if len(parts) > 1 else None


def looks_like_singers(names: Collection[str]) -> bool:
    """Whether the layout of a source says that its folders are singers.

    Every song lies in a folder directly in the source, there are two folders or more, and each holds two songs or more.
    Folders that all hold files of the same names (`vocals.wav`, `mixture.wav`) are songs with their stems.
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
    """Singer -> number of songs in the singer's folder."""
    counts: dict[str, int] = {}
    for name in names:
        singer = singer_by_folder(name)
        if singer is not None:
            counts[singer] = counts.get(singer, 0) + 1
    return counts


def _are_stems(folders: list[set[str]]) -> bool:
    """Whether all folders hold the same names, and not only numbers: each singer may have a 001."""
    shared = set.intersection(*folders)
    return any(not any(c.isdigit() for c in stem) for stem in shared) and all(f == folders[0] for f in folders)
