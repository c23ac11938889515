"""Samples <-> one tar. Equal samples give equal bytes; reading extracts nothing and refuses all but plain files.

A hostile tar can hold links, devices, absolute names, `..`, too many members, or members of absurd size. None of these
is skipped silently: the whole shard is refused with its name before any member is read (see autosing.storage.tars).
"""

import mmap
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from autosing.errors import InputError
from autosing.ids import check_id
from autosing.schemas.sample import GROUPS, META, Sample, ShardRecord
from autosing.storage.offsets import offsets_path, offsets_text, rows_of_headers, rows_of_offsets
from autosing.storage.store import Place, digest_of

MAX_ROWS = 100_000
_MADV_POPULATE_READ = 22
"""Since Linux 5.14; Python 3.11 has no constant for it."""


class ShardFile:
    """Writes one tar: members in a fixed order, no times, no owners. `close` writes its offsets beside it."""

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
        """End the tar, and write its offsets. `name`: its path within the dataset, for the index."""
        self._tar.close()
        self._stream.close()
        beside = offsets_path(self._path)
        beside.write_bytes(offsets_of(self._path, self.rows))
        return ShardRecord(
            path=name, rows=self.rows, bytes=self._path.stat().st_size, sha256=digest_of(self._path),
            offsets=digest_of(beside),
        )  # fmt: skip


def files_of(groups: Collection[str]) -> frozenset[str]:
    """Member groups -> their files, always with meta. Raises InputError for an unknown group."""
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise InputError(f"members {', '.join(unknown)}: unknown; need some of {', '.join(GROUPS)}")
    return frozenset(file for group in {"meta", *groups} for file in GROUPS[group])


class Shard:
    """An open tar: headers are parsed once, then any row is a view of the memory map, without a copy.

    `files`: files of the samples (all by default). `rows`: their number in the index. `soon`: most of the shard will be
    read, so the kernel loads it whole. `offsets`: digest of the offsets file, read in place of headers.
    A shard must not be truncated while it is open: builds rename finished shards into place and never write into one.
    Raises InputError for a shard that holds other members, is not complete, or has another number of rows.
    """

    def __init__(
        self,
        path: Place,
        files: Collection[str] | None = None,
        rows: int | None = None,
        soon: bool = False,
        offsets: str | None = None,
    ) -> None:
        if not path.is_file():
            raise InputError(f"shard {path}: no such file; build the dataset again")
        self._tar = _mapped(path)
        if soon:
            self.fetch()
        found = None if offsets is None else rows_of_offsets(path, len(self._tar), offsets, files)
        self._rows = found or rows_of_headers(path, self._tar, files, MAX_ROWS if rows is None else rows)
        if rows is not None and len(self._rows) != rows:
            raise InputError(
                f"shard {path}: has {len(self._rows)} samples, the index promises {rows}; run 'autosing verify'"
            )

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def num_bytes(self) -> int:
        """Size of the tar."""
        return len(self._tar)

    def fetch(self) -> None:
        """Populate the memory map in one call, where the kernel can (since Linux 5.14)."""
        self._advise(_MADV_POPULATE_READ)

    def rest(self) -> None:
        """Release the mapped pages: they no longer count as memory of this process, and are read again on access."""
        self._advise(mmap.MADV_DONTNEED)

    def _advise(self, what: int) -> None:
        if isinstance(self._tar.obj, mmap.mmap):
            with suppress(OSError):
                self._tar.obj.madvise(what)

    def sample(self, row: int) -> Sample:
        """The row's sample: arrays are views, audio is not decoded. The file stays mapped while it is in use."""
        key, (begin, end), arrays, others = self._rows[row]
        tar = self._tar
        files: dict[str, Any] = {
            file: np.ndarray(shape, dtype, tar, first, None, order) for file, _, shape, dtype, first, order in arrays
        }
        for file, first, last in others:
            files[file] = tar[first:last]
        return Sample(key, tar[begin:end], files)

    @property
    def share(self) -> float:
        """Fraction of the tar's bytes that is used when every row is read."""
        wanted = sum(row.meta[1] - row.meta[0] + sum(row.sizes().values()) for row in self._rows)
        return wanted / max(1, self.num_bytes)

    def sizes(self, file: str) -> list[int]:
        """Size in bytes of the file in each row, 0 where a row has none."""
        return [row.sizes().get(file, 0) for row in self._rows]


def offsets_of(path: Place, rows: int) -> bytes:
    """The content of a tar's offsets file, from its headers. Raises InputError for a bad shard."""
    return offsets_text(rows_of_headers(path, _mapped(path), None, rows))


def read_shard(
    path: Place, files: Collection[str] | None = None, rows: int | None = None
) -> Iterator[tuple[int, Sample]]:
    """(row, sample with the wanted files and its meta read) for each row. Raises InputError for a bad shard."""
    shard = Shard(path, files, rows)
    for row in range(len(shard)):
        sample = shard.sample(row)
        try:
            _ = sample.meta
        except InputError as error:
            raise InputError(f"shard {path}: {error}") from None
        yield row, sample


def _mapped(path: Place) -> memoryview:
    """A read-only memory map of the file.

    A store's shard is copied to an unnamed local file first: rows are read in any order, and a store answers slowly.
    """
    if isinstance(path, Path):
        with path.open("rb") as file:
            return _map(file.fileno())
    with tempfile.TemporaryFile() as local, path.open() as stream:
        shutil.copyfileobj(stream, local, 1 << 20)
        local.flush()
        return _map(local.fileno())


def announce(path: Place) -> None:
    """Tell the kernel that a local shard will be read soon, so that it reads ahead."""
    if isinstance(path, Path) and path.is_file():
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def _map(descriptor: int) -> memoryview:
    """The map outlives the descriptor, until the last view of it is gone."""
    if os.fstat(descriptor).st_size == 0:
        return memoryview(b"")
    return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
