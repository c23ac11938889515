"""A dataset -> one row a split, or an InputError that lists the promises it breaks.

Checked: digests and sizes of shards, tars that are plain (autosing.storage.tars), counts, unique ids, members, shapes
against the clip's length, codes within their codebooks, words within the clip, and that no song and no singer is in two
splits.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from autosing.errors import InputError
from autosing.schemas.features import FEATURES
from autosing.schemas.sample import GROUPS, OPTIONAL, DatasetIndex, Sample, ShardRecord
from autosing.storage.shards import read_shard
from autosing.storage.store import Place, digest_of

_SHOWN = 10
_KNOWN = frozenset(file for files in GROUPS.values() for file in files)


def verify(dataset: Place) -> list[dict[str, Any]]:
    """Open every shard and check every promise. Raises InputError with the first broken ones and their number."""
    index = DatasetIndex.load(dataset)
    found = _Found(dataset, index)
    rows = []
    for split, record in index.splits.items():
        for shard in record.shards:
            found.shard(split, shard)
        rows.append({"split": split, "shards": len(record.shards), "clips": record.rows})
    promised = index.rows + sum(index.dropped.values())
    if index.rows_in != promised:
        found.add(f"index.json: {index.rows_in} clips came in, {promised} are in splits or counted as dropped")
    if found.broken:
        shown = list(found.broken)[:_SHOWN]
        more = f" (and {found.count - len(shown)} more)" if found.count > len(shown) else ""
        raise InputError(f"dataset {dataset}: {'; '.join(shown)}{more}; build it again")
    return rows


class _Found:
    """What was seen so far, and what was broken; a hostile dataset can break a promise a byte, so few are held."""

    def __init__(self, dataset: Place, index: DatasetIndex) -> None:
        self._dataset, self._index = dataset, index
        self._seen: dict[str, str] = {}
        self._owner: dict[tuple[str, str], str] = {}
        self.broken: dict[str, None] = {}
        self.count = 0

    def add(self, text: str) -> None:
        if text in self.broken:
            return
        self.count += 1
        if self.count <= 10 * _SHOWN:
            self.broken[text] = None

    def shard(self, split: str, shard: ShardRecord) -> None:
        damage = _shard_damage(self._dataset, shard)
        if damage:
            self.add(damage)
            return
        try:
            for _, sample in read_shard(self._dataset / shard.path, rows=shard.rows):
                for text in sample_damage(sample, self._index):
                    self.add(f"{shard.path}: {sample.id}: {text}")
                if self._seen.setdefault(sample.id, shard.path) != shard.path:
                    self.add(f"{shard.path}: {sample.id} is also in {self._seen[sample.id]}")
                for kind, name in (("song", sample.meta.song), ("singer", sample.meta.singer)):
                    if name is not None and self._owner.setdefault((kind, name), split) != split:
                        self.add(f"{kind} {name} is in {self._owner[kind, name]} and in {split}")
        except InputError as error:
            self.add(str(error))


def _shard_damage(dataset: Place, shard: ShardRecord) -> str | None:
    path = dataset / shard.path
    if not path.is_file():
        return f"{shard.path}: missing"
    if path.stat().st_size != shard.bytes:
        return f"{shard.path}: has {path.stat().st_size} bytes, the index promises {shard.bytes}"
    if digest_of(path) != shard.sha256:
        return f"{shard.path}: its digest is not the one in the index"
    return None


def sample_damage(sample: Sample, index: DatasetIndex) -> Iterator[str]:
    """What is wrong with one sample, in words."""
    for file in sample.files:
        if file not in _KNOWN:
            yield f"{file} is no member of a sample"
    for group in index.members:
        for file in GROUPS[group]:
            if group != "meta" and file not in OPTIONAL and not sample.has(file.partition(".")[0]):
                yield f"{file} is missing"
    duration_s = sample.meta.duration_s
    for word in sample.meta.words:
        if not -0.01 <= word.start_s <= word.end_s <= duration_s + 0.01:
            yield f"word {word.text!r} at {word.start_s:.2f}-{word.end_s:.2f} s is outside its {duration_s:.2f} s"
    for member in (member for feature in FEATURES.values() for member in feature.members if sample.has(member.name)):
        yield from member.damage(sample.array(member.name), duration_s)
    for record in index.features.values():
        for name, held in record.members.items():
            if sample.has(name) and sample.array(name).dtype.name != held.dtype:
                yield f"{name} is of type {sample.array(name).dtype.name}, the index promises {held.dtype}"
            if held.rate_hz and held.width and sample.has(name) and sample.array(name).shape[1:] != held.width:
                found = list(sample.array(name).shape)
                yield f"{name} has shape {found}, the index promises {list(held.width)} a frame"
    if index.semantic and sample.has("semantic"):
        yield from _range("semantic", sample.array("semantic"), index.semantic.size)
    for name in ("vocals_codes", "instrumental_codes"):
        if sample.has(name):
            yield from _codes(name, sample.array(name), duration_s, index)
    for name in ("vocals", "instrumental"):
        if sample.has(name):
            found_s = sample.audio(name).duration_s
            if abs(found_s - duration_s) > 0.05:
                yield f"{name} lasts {found_s:.2f} s, the clip {duration_s:.2f} s"


def _codes(name: str, flat: np.ndarray, duration_s: float, index: DatasetIndex) -> Iterator[str]:
    if index.codec is None:
        yield f"{name} is there, but the index names no codec"
        return
    spec = index.codec.spec
    try:
        levels = spec.unflatten(flat)
    except ValueError as error:
        yield f"{name}: {error}"
        return
    blocks = duration_s * spec.sample_rate_hz / spec.block_samples
    yield from _length(f"{name} (blocks)", len(levels[0]), blocks, 1)
    for level, (codes, size) in enumerate(zip(levels, spec.codebook_sizes, strict=True)):
        yield from _range(f"{name}, level {level}", codes, size)


def _length(name: str, found: int, wanted: float, slack: float) -> Iterator[str]:
    if abs(found - wanted) > slack:
        yield f"{name} has length {found}, its clip's length asks for {wanted:.1f}"


def _range(name: str, codes: np.ndarray, size: int) -> Iterator[str]:
    if len(codes) and not (codes.min() >= 0 and codes.max() < size):
        yield f"{name} holds codes {codes.min()} to {codes.max()}, the codebook has {size}"
