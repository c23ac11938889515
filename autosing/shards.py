"""Samples <-> one tar. Equal samples give equal bytes; reading streams, never extracts, and refuses what is not plain.

A hostile tar can hold links, devices, absolute names, `..`, or members of absurd size. None of these is skipped in
silence: the shard is refused whole, by name.
"""

import hashlib
import tarfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from autosing.errors import InputError
from autosing.ids import check_id
from autosing.schemas.sample import GROUPS, Sample, SampleMeta, ShardRecord

META = "meta.json"
MAX_MEMBER_BYTES = 1 << 30
MAX_MEMBERS = 1_000_000


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


def digest_of(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_of(groups: Collection[str]) -> frozenset[str]:
    """Member groups -> the files they bring, meta always. Raises InputError for an unknown group."""
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise InputError(f"members {', '.join(unknown)}: unknown; need some of {', '.join(GROUPS)}")
    return frozenset(file for group in {"meta", *groups} for file in GROUPS[group])


def read_shard(
    path: Path, files: Collection[str] | None = None, rows: Collection[int] | None = None
) -> Iterator[tuple[int, Sample]]:
    """(row, sample) for each wanted row (all by default) with the wanted files. Raises InputError for a bad shard."""
    from webdataset.tariterators import group_by_keys

    row_of: dict[str, int] = {}
    _check_end(path)
    try:
        with tarfile.open(path, "r:") as tar:
            members = _members(tar, path, files, rows, row_of)
            for raw in group_by_keys(members, lcase=False):
                yield row_of[raw["__key__"]], _sample(raw, path)
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"shard {path}: not a whole tar ({error}); build the dataset again") from None


def _check_end(path: Path) -> None:
    """A tar ends with two empty blocks; the reader itself takes one that was cut between members for whole."""
    if not path.is_file():
        raise InputError(f"shard {path}: no such file; build the dataset again")
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1024))
        if file.read() != bytes(1024):
            raise InputError(f"shard {path}: not a whole tar (its end is missing); build the dataset again")


def _members(
    tar: tarfile.TarFile,
    path: Path,
    files: Collection[str] | None,
    rows: Collection[int] | None,
    row_of: dict[str, int],
) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    last = ""
    for count, info in enumerate(tar, 1):
        _refuse(info, path, count)
        key, _, file = info.name.partition(".")
        if info.name in seen or (key != last and key in row_of):
            raise InputError(f"shard {path}: sample {key} is there twice ({info.name}); build the dataset again")
        last = key
        seen.add(info.name)
        row = row_of.setdefault(key, len(row_of))
        if (rows is None or row in rows) and (files is None or file in files):
            content = tar.extractfile(info)
            assert content is not None, info.name
            yield {"fname": info.name, "data": content.read(), "__url__": str(path)}


def _refuse(info: tarfile.TarInfo, path: Path, count: int) -> None:
    name = PurePosixPath(info.name)
    if not info.isreg():
        wrong = "is a link, folder or device"
    elif name.is_absolute() or ".." in name.parts or len(name.parts) != 1 or "." not in info.name[1:]:
        wrong = "is not named <clip id>.<member>"
    elif info.size > MAX_MEMBER_BYTES:
        wrong = f"has {info.size} bytes, at most {MAX_MEMBER_BYTES} are read"
    elif count > MAX_MEMBERS:
        wrong = f"is one too many, at most {MAX_MEMBERS} are read"
    else:
        return
    raise InputError(f"shard {path}: member {info.name!r} {wrong}; only shards of 'autosing build' are read")


def _sample(raw: dict[str, Any], path: Path) -> Sample:
    key = raw["__key__"]
    if META not in raw:
        raise InputError(f"shard {path}: sample {key} has no {META}; build the dataset again")
    try:
        meta = SampleMeta.from_json(raw[META])
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"shard {path}: {key}.{META} is not readable ({error}); build the dataset again") from None
    files = {name: data for name, data in raw.items() if not name.startswith("__") and name != META}
    return Sample(key, meta, files)
