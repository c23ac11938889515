"""A build's files and its index -> the dataset that readers see. index.json is the only switch.

The files of one build (its edition) have one prefix, and index.json names them. The first build in a folder uses the
plain names, `<split>/NNNNNN.tar`. A build of other tables or with another config is written beside it, under
`<fingerprint>/`. Then one put of index.json switches from the complete old edition to the complete new one, and the old
files are deleted. Before its first file a build puts a claim, unfinished-<fingerprint>.json, so that two builds never
use the same names: of any two, at least one sees the other's claim and uses its own prefix.
"""

import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autosing.errors import InputError
from autosing.schemas.sample import DatasetIndex, ShardRecord
from autosing.storage.offsets import offsets_path
from autosing.storage.store import Place, files_in, others_at_work, put, take_away

INDEX = "index.json"
_CLAIM = re.compile(r"unfinished-[0-9a-f]{16}\.json")
_OURS = re.compile(r"([0-9a-f]{16}/)?((train|valid|test)/\d{6}\.(tar|offsets\.json)|card\.md)|" + _CLAIM.pattern)
"""What a build may write beside index.json; no other file in the folder is touched."""
_ABANDONED_S = 30 * 24 * 3600
"""On a store, a claim older than this belongs to a dead build. On a file system a lock shows whether a build lives."""


@dataclass(frozen=True)
class Edition:
    """The files of one build. None of them is part of the dataset before `commit`."""

    dataset: Place
    fingerprint: str
    prefix: str
    scratch: Path

    def put(self, file: Path, name: str, point: str) -> str:
        """Put a finished file in its place; returns its path within the dataset."""
        put(file, self.dataset / f"{self.prefix}{name}", point)
        return f"{self.prefix}{name}"

    def commit(self, index: DatasetIndex) -> None:
        """Check that every file is there, switch the index to them, and delete files that the dataset no longer uses.

        Raises InputError if another build deleted some of them; then the dataset stays as it was.
        """
        if not is_whole(self.dataset, index):
            raise InputError(f"dataset {self.dataset}: another build deleted files of this one; run one at a time")
        _put_text(index.model_dump_json(indent=1) + "\n", self.dataset / INDEX, self.scratch, "index")
        sweep(self.dataset, index, self.scratch)


def check_place(dataset: Place) -> None:
    """Raises InputError if `dataset` holds something else than a dataset."""
    names = [path.name for path in dataset.iterdir()] if dataset.is_dir() else []
    if dataset.is_file() or (names and INDEX not in names and not any(map(_CLAIM.fullmatch, names))):
        raise InputError(f"dataset {dataset}: holds something that is not a dataset; give an empty or new folder")


def committed_index(dataset: Place) -> DatasetIndex | None:
    """The dataset's index.json; None if there is none."""
    return DatasetIndex.load(dataset) if (dataset / INDEX).is_file() else None


def is_whole(dataset: Place, index: DatasetIndex) -> bool:
    """Whether all files that an index names are there, and the shards have the recorded sizes."""
    sizes = {name: size for name, (size, _) in files_in(dataset).items()}
    return _named(index) <= sizes.keys() and all(sizes[shard.path] == shard.bytes for shard in _shards(index))


def begin(dataset: Place, fingerprint: str, scratch: Path) -> Edition:
    """Claim the names of a build. The same build, killed and started again, gets the same names."""
    held, own = committed_index(dataset), f"{fingerprint[:16]}/"
    _put_text(json.dumps({"fingerprint": fingerprint}) + "\n", dataset / _claim(fingerprint), scratch, "claim")
    if held is not None:
        prefix = _prefix(held) if held.fingerprint == fingerprint else own
    else:
        prefix = own if _others(dataset, fingerprint, scratch) else ""
    return Edition(dataset, fingerprint, prefix, scratch)


def sweep(dataset: Place, index: DatasetIndex, scratch: Path) -> None:
    """Delete what the index does not name: replaced editions, dead builds' files and claims, this build's own claim.

    While another build is running, only the own claim is deleted; the build that ends last deletes the rest.
    """
    named = _named(index)
    found = [name for name in files_in(dataset) if _OURS.fullmatch(name) and name not in named]
    if _others(dataset, index.fingerprint, scratch):
        found = [name for name in found if name == _claim(index.fingerprint)]
    for name in sorted(found, key=lambda name: (_CLAIM.fullmatch(name) is not None, name)):
        take_away(dataset / name)
    if isinstance(dataset, Path):
        for name in found:
            with suppress(OSError):  # not empty
                for folder in (dataset / name).parents:
                    if folder == dataset:
                        break
                    folder.rmdir()


def _others(dataset: Place, fingerprint: str, scratch: Path) -> bool:
    """Whether another build of this dataset may be running."""
    if isinstance(dataset, Path):
        return others_at_work(dataset, scratch)
    claims = {name: changed for name, (_, changed) in files_in(dataset).items() if _CLAIM.fullmatch(name)}
    own = claims.pop(_claim(fingerprint), time.time())
    return any(own - changed < _ABANDONED_S for changed in claims.values())


def _put_text(text: str, target: Place, scratch: Path, point: str) -> None:
    (scratch / point).write_text(text, encoding="utf-8")
    put(scratch / point, target, point)


def _claim(fingerprint: str) -> str:
    return f"unfinished-{fingerprint[:16]}.json"


def _shards(index: DatasetIndex) -> list[ShardRecord]:
    return [shard for split in index.splits.values() for shard in split.shards]


def _named(index: DatasetIndex) -> set[str]:
    """The files that belong to an index."""
    beside = {offsets_path(Path(shard.path)).as_posix() for shard in _shards(index) if shard.offsets is not None}
    return {shard.path for shard in _shards(index)} | beside | {f"{_prefix(index)}card.md"}


def _prefix(index: DatasetIndex) -> str:
    """The part of an index's paths before `<split>/NNNNNN.tar`."""
    return "".join(f"{part}/" for part in _shards(index)[0].path.split("/")[:-2])
