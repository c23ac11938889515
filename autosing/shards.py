"""Samples <-> one tar. Equal samples give equal bytes; reading never extracts, and refuses what is not plain.

A hostile tar can hold links, devices, absolute names, `..`, too many members, or members of absurd size. None of these
is skipped in silence: the shard is refused whole, by name, before any member is read (see autosing.tars).
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np

from autosing.errors import InputError
from autosing.ids import check_id
from autosing.remote import Remote
from autosing.schemas.sample import GROUPS, META, Sample, ShardRecord
from autosing.store import Place
from autosing.tars import BLOCK, Member, members_of

MAX_ROWS = 100_000
MAX_FILES = 16
"""Of one sample."""
_GAP_BYTES = 16 * BLOCK
"""Members that lie no farther apart are read together."""
Run = tuple[int, int, list[tuple[str, int, int]]]
"""(start, bytes, [(file, begin, end) within them]): what one read brings."""


class ShardFile:
    """Writes one tar: members in a fixed order, no times, no owners. `close` tells its size and digest."""

    def __init__(self, path: Path) -> None:
        from webdataset.writer import TarWriter

        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._stream = path.open("wb")
        self._tar = TarWriter(self._stream, user="", group="", mode=0o644, mtime=0, encoder=False)
        self.rows = self.bytes = 0

    def add(self, id: str, files: Mapping[str, bytes]) -> None:
        """One sample: file name ("meta.json", "semantic.npy" ...) -> bytes."""
        assert META in files, (id, sorted(files))
        self.bytes += self._tar.write({"__key__": check_id(id), **files})
        self.rows += 1

    def close(self, name: str = "") -> ShardRecord:
        """End the tar. `name`: what the index calls it, its path within the dataset."""
        self._tar.close()
        self._stream.close()
        return ShardRecord(path=name, rows=self.rows, bytes=self._path.stat().st_size, sha256=digest_of(self._path))


def digest_of(path: Place) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_of(groups: Collection[str]) -> frozenset[str]:
    """Member groups -> the files they bring, meta always. Raises InputError for an unknown group."""
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise InputError(f"members {', '.join(unknown)}: unknown; need some of {', '.join(GROUPS)}")
    return frozenset(file for group in {"meta", *groups} for file in GROUPS[group])


class Shard:
    """An open tar: one pass over its headers, then any row with one read (two, where much unwanted lies between).

    `files`: those that samples shall have (all by default). `rows`: as many as the index promises. `soon`: most of it
    will be read, so the system may fetch it ahead, in order.
    Raises InputError for a shard that is not plain, not whole, or not as promised.
    """

    def __init__(
        self, path: Place, files: Collection[str] | None = None, rows: int | None = None, soon: bool = False
    ) -> None:
        if not path.is_file():
            raise InputError(f"shard {path}: no such file; build the dataset again")
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY) if isinstance(path, Path) else _fetched(path)
        if soon:
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        try:
            self._rows = _index(path, self._descriptor, files, MAX_ROWS if rows is None else rows)
            if rows is not None and len(self._rows) != rows:
                raise InputError(
                    f"shard {path}: has {len(self._rows)} samples, the index promises {rows}; run 'autosing verify'"
                )
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def sample(self, row: int) -> Sample:
        """The row's sample; nothing in it is decoded yet."""
        key, runs = self._rows[row]
        files = {}
        for start, length, members in runs:
            # Not bytes: arrays of a sample can be written to, and share this memory.
            buffer = np.empty(length, np.uint8)
            if os.preadv(self._descriptor, [buffer.data], start) != length:
                raise InputError(f"shard {self._path}: cut while it was read; build the dataset again")
            view = buffer.data
            for file, begin, end in members:
                files[file] = view[begin:end]
        return Sample(key, files.pop(META), files)

    @property
    def share(self) -> float:
        """The part of the tar's bytes that reading every row brings."""
        wanted = sum(length for _, runs in self._rows for _, length, _ in runs)
        return wanted / max(1, os.fstat(self._descriptor).st_size)

    def sizes(self, file: str) -> list[int]:
        """The file's bytes in each row, 0 where there is none."""
        return [
            sum(end - begin for _, _, members in runs for name, begin, end in members if name == file)
            for _, runs in self._rows
        ]


def read_shard(
    path: Place, files: Collection[str] | None = None, rows: int | None = None
) -> Iterator[tuple[int, Sample]]:
    """(row, sample with the wanted files and its meta read) for each row. Raises InputError for a bad shard."""
    with Shard(path, files, rows) as shard:
        for row in range(len(shard)):
            sample = shard.sample(row)
            try:
                _ = sample.meta
            except InputError as error:
                raise InputError(f"shard {path}: {error}") from None
            yield row, sample


def _fetched(path: Remote) -> int:
    """A store's shard as an unnamed local file: rows are read in any order, and a store answers each read slowly."""
    with tempfile.TemporaryFile() as local, path.open() as stream:
        shutil.copyfileobj(stream, local, 1 << 20)
        local.flush()
        return os.dup(local.fileno())


def _index(path: Place, descriptor: int, files: Collection[str] | None, max_rows: int) -> list[tuple[str, list[Run]]]:
    rows: list[tuple[str, list[Run]]] = []
    seen: set[str] = set()
    held: dict[str, Member] = {}
    last: str | None = None
    for member in members_of(path, descriptor, max_rows * MAX_FILES):
        if member.key != last:
            if last is not None:
                rows.append((last, _runs(path, held, files)))
            if member.key in seen:
                raise _twice(path, member)
            if len(rows) == max_rows:
                raise InputError(f"shard {path}: sample {member.key} is one too many, {max_rows} are promised or read")
            last, held = member.key, {}
            seen.add(last)
        if held.setdefault(member.file, member) is not member:
            raise _twice(path, member)
    if last is not None:
        rows.append((last, _runs(path, held, files)))
    return rows


def _twice(path: Place, member: Member) -> InputError:
    return InputError(
        f"shard {path}: sample {member.key} is there twice ({member.key}.{member.file}); build the dataset again"
    )


def _runs(path: Place, held: Mapping[str, Member], files: Collection[str] | None) -> list[Run]:
    """The wanted members of one sample, those that lie close together in one run."""
    if META not in held:
        key = next(iter(held.values())).key
        raise InputError(f"shard {path}: sample {key} has no {META}; build the dataset again")
    runs: list[Run] = []
    for file, member in held.items():
        if files is not None and file not in files and file != META:
            continue
        start, end = member.start, member.start + member.size
        if runs and start - (runs[-1][0] + runs[-1][1]) <= _GAP_BYTES:
            first, _, members = runs[-1]
            members.append((file, start - first, end - first))
            runs[-1] = (first, end - first, members)
        else:
            runs.append((start, member.size, [(file, 0, member.size)]))
    return runs
