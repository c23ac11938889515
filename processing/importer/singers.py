"""Paths of songs -> who sings them, if the source has one folder for each singer (`<singer>/<song>.wav`)."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Literal

SingersFrom = Literal["folder", "tags", "none"]


_ONE_IS_ENOUGH = ("dataset_raw", "waves-raw")
"""so-vits-svc keeps singers under a folder of this name, even a single one."""
_OF_SINGERS = (*_ONE_IS_ENOUGH, "dataset", "datasets", "data", "singers", "speakers", "raw")


def singers_by_folder(names: Collection[str]) -> dict[str, str]:
    """song -> the first folder in its path, or the one in a folder of singers that all songs share; not for songs that
    lie in none."""
    above = len(_above(names))
    folders = {name: PurePosixPath(name).parts[above:-1] for name in names}
    found = {name: unicodedata.normalize("NFC", inner[0]).strip() for name, inner in folders.items() if inner}
    return {name: singer for name, singer in found.items() if singer}


def looks_like_singers(names: Collection[str], root: str = "") -> bool:
    """Whether the layout of a source says that its folders are singers.

    Every song lies in a folder directly in the source, or in a folder of singers in it; there are two folders or
    more (one in so-vits-svc's `dataset_raw`), and each holds two songs or more.
    Folders that all hold files of the same names (`vocals.wav`, `mixture.wav`) are songs with their stems.
    """
    folders: dict[str, set[str]] = {}
    above = _above(names)
    for name in names:
        parts = PurePosixPath(name).parts[len(above) :]
        if len(parts) != 2:
            return False
        folders.setdefault(parts[0], set()).add(PurePosixPath(name).stem.lower())
    held = list(folders.values())
    if len(held) < (1 if [root, *above][-1] in _ONE_IS_ENOUGH else 2) or any(len(stems) < 2 for stems in held):
        return False
    return not _are_stems(held)


def count_songs(names: Collection[str]) -> Mapping[str, int]:
    """Singer -> number of songs in the singer's folder."""
    return Counter(singers_by_folder(names).values())


def _above(names: Collection[str]) -> tuple[str, ...]:
    """The folders above those of singers, if all songs lie in a folder that is called so."""
    paths = [PurePosixPath(name).parts[:-1] for name in names]
    for depth, folder in enumerate(paths[0] if paths else ()):
        if any(len(path) <= depth or path[depth] != folder for path in paths):
            break
        if folder.lower() in _OF_SINGERS:
            return paths[0][: depth + 1]
    return ()


def _are_stems(folders: list[set[str]]) -> bool:
    """Whether all folders hold the same names, and not only numbers: each singer may have a 001."""
    shared = set.intersection(*folders)
    return any(not any(c.isdigit() for c in stem) for stem in shared) and all(f == folders[0] for f in folders)
