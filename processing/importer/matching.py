"""File names as a table writes them -> the songs that they name. A name that fits several songs is given to none.

A table may come from another machine, so its paths need not exist here; then the ends of the paths are compared.
"""

import posixpath
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True)
class Found:
    """A song and how well it fits: `exact` if by its path, and the number of parts that agree at the paths' ends."""

    name: str
    exact: bool
    parts: int


@dataclass(frozen=True)
class Missed:
    """Why a name is given to no song."""

    reason: str
    measurement: str


class Songs:
    """Finds the songs of a folder by their names in a table."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        self._roots = dict.fromkeys(str(path) for path in (root.absolute(), root.resolve()))
        self._parts: dict[str, tuple[str, ...]] = {name: _parts(name) for name in names}
        self._whole = {"/".join(parts): name for name, parts in self._parts.items()}
        self._by_end: dict[str, list[str]] = {}
        for name, parts in self._parts.items():
            for end in {parts[-1], _stem(parts[-1])}:
                self._by_end.setdefault(end, []).append(name)

    def find(self, written: str, folder: str = "") -> Found | Missed:
        """written: a path, absolute, relative to `folder` or to the root; or a name without its suffix.

        Paths are compared from their ends: exactly one song may share the longest end. If the names agree and the
        folders above them do not, that is only enough if one of the two paths has no folder.
        """
        for path in self._as_paths(written, folder):
            name = path if path in self._parts else self._whole.get(_composed(path))
            if name is not None:
                return Found(name, True, len(self._parts[name]))
        parts = _parts(written.replace("\\", "/"))
        candidates = self._by_end.get(parts[-1], []) if parts else []
        if not candidates:
            return Missed("listed_but_absent", "no such audio in the source")
        shared = {name: _shared(parts, self._parts[name]) for name in candidates}
        longest = max(shared.values())
        names = [name for name, length in shared.items() if length == longest]
        if len(names) > 1:
            some = f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
            found = f"{len(names)} songs have such a path: {some}; write the path relative to the source"
            return Missed("listed_ambiguously", found)
        if longest == 1 < min(len(parts), len(self._parts[names[0]])):
            found = f"only {names[0]} has its name, in another folder; write the path relative to the source"
            return Missed("listed_elsewhere", found)
        return Found(names[0], False, longest)

    def holds(self, folder: str) -> Callable[[str], bool]:
        """Whether a name, written in a table of this folder, is one song's."""
        return lambda written: isinstance(self.find(written, folder), Found)

    def _as_paths(self, written: str, folder: str) -> Iterable[str]:
        """The paths, relative to the root, that `written` may stand for."""
        if not posixpath.isabs(written):
            yield posixpath.normpath(posixpath.join(folder, written))
            yield posixpath.normpath(written)
            return
        path = PurePosixPath(posixpath.normpath(written))
        yield from (str(path.relative_to(root)) for root in self._roots if path.is_relative_to(root))


def assign(
    rows: Sequence[tuple[str, Row]], songs: Songs, folder: str
) -> tuple[dict[str, list[Row]], dict[str, Missed]]:
    """(song -> its rows, written name -> why no song has it). If two names fit one song, the better fit gets it."""
    claims: dict[str, list[tuple[Found, str, Row]]] = {}
    missed: dict[str, Missed] = {}
    for written, row in rows:
        found = songs.find(written, folder)
        if isinstance(found, Missed):
            missed[written] = found
        else:
            claims.setdefault(found.name, []).append((found, written, row))
    owned: dict[str, list[Row]] = {}
    for name, claimed in claims.items():
        best = max((found.exact, found.parts) for found, _, _ in claimed)
        first = [(written, row) for found, written, row in claimed if (found.exact, found.parts) == best]
        owners = {written for written, _ in first}
        for written in (written for _, written, _ in claimed if written not in owners):
            missed[written] = Missed("listed_but_absent", f"{name}, whose path ends alike, belongs to another row")
        if best[0] or len(owners) == 1:
            owned[name] = [row for _, row in first]
        else:
            missed |= {w: Missed("listed_ambiguously", f"several names of the table fit {name}") for w, _ in first}
    return owned, missed


def _parts(path: str) -> tuple[str, ...]:
    composed = _composed(posixpath.normpath(path))
    return tuple(part for part in composed.split("/") if part not in ("", ".", ".."))


def _composed(text: str) -> str:
    """macOS writes é as two characters."""
    return unicodedata.normalize("NFC", text)


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _shared(written: Sequence[str], own: Sequence[str]) -> int:
    """How many parts the two paths share at their ends; the last may be written without its suffix."""
    count = 1
    while count < min(len(written), len(own)) and written[-count - 1] == own[-count - 1]:
        count += 1
    return count
