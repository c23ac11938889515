"""A dataset -> a row for each split, or an InputError that lists what is wrong with it.

Checked: digests and sizes of shards, tars that are plain (autosing.storage.tars), their offsets, counts, unique ids,
members, their types, shapes, lengths and codes as the index declares them (MemberRecord), words within the clip, and
that no song and, unless the index says otherwise, no singer is in two splits.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from autosing.errors import InputError
from autosing.schemas.records import JSON, MemberRecord
from autosing.schemas.sample import CODES_FIELDS, DatasetIndex, Sample, ShardRecord
from autosing.storage.offsets import offsets_path
from autosing.storage.shards import offsets_of, read_shard
from autosing.storage.store import Place, digest_of

_SHOWN = 10
_AUDIO = {"vocals": False, "instrumental": True}
"""Stem -> whether a clip may lack it."""


def verify(dataset: Place) -> list[dict[str, Any]]:
    """Open every shard and check it against the index. Raises InputError with the first faults and their number."""
    index = DatasetIndex.load(dataset)
    found = _Found(dataset, index)
    for name, field in CODES_FIELDS.items():
        if name in index.members and getattr(index, field) is None:
            found.add(f"index.json: members {name} are there, but no {field} is named")
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
    """What was seen so far, and the faults found. A hostile dataset may have a fault in every byte, so few are kept."""

    def __init__(self, dataset: Place, index: DatasetIndex) -> None:
        self._dataset, self._promised, self._audio = dataset, index.promised(), "audio" in index.members
        self._singers_apart = index.apart == "singers"
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
                for text in sample_damage(sample, self._promised, self._audio):
                    self.add(f"{shard.path}: {sample.id}: {text}")
                if self._seen.setdefault(sample.id, shard.path) != shard.path:
                    self.add(f"{shard.path}: {sample.id} is also in {self._seen[sample.id]}")
                singer = sample.meta.singer if self._singers_apart else None
                for kind, name in (("song", sample.meta.song), ("singer", singer)):
                    if name is not None and self._owner.setdefault((kind, name), split) != split:
                        self.add(f"{kind} {name} is in {self._owner[kind, name]} and in {split}")
            path = self._dataset / shard.path
            if shard.offsets not in (None, hashlib.sha256(offsets_of(path, shard.rows)).hexdigest()):
                self.add(f"{shard.path}: {offsets_path(path).name} does not match where its members lie")
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
    if shard.offsets is not None:
        beside = offsets_path(path)
        if not beside.is_file():
            return f"{shard.path}: {beside.name}, which belongs beside it, is missing"
        if digest_of(beside) != shard.offsets:
            return f"{shard.path}: the digest of {beside.name} is not the one in the index"
    return None


def sample_damage(sample: Sample, promised: Mapping[str, MemberRecord], audio: bool) -> Iterator[str]:
    """What is wrong with one sample, as messages. `audio`: whether it should have audio."""
    stems = _AUDIO if audio else {}
    lacking = {record.file(name): record.optional for name, record in promised.items()}
    lacking |= {f"{name}.flac": optional for name, optional in stems.items()}
    for file in sample.files:
        if file not in lacking:
            yield f"{file} is no member of a sample of this dataset"
        lacking.pop(file, None)
    for file, optional in lacking.items():
        if not optional:
            yield f"{file} is missing"
    duration_s = sample.meta.duration_s
    for word in sample.meta.words:
        if not -0.01 <= word.start_s <= word.end_s <= duration_s + 0.01:
            yield f"word {word.text!r} at {word.start_s:.2f}-{word.end_s:.2f} s is outside its {duration_s:.2f} s"
    for name, record in promised.items():
        if record.file(name) not in sample.files:
            continue
        if record.dtype == JSON:
            yield from _score_damage(sample, duration_s)
        else:
            yield from record.damage(name, sample.array(name), duration_s)
    for name in stems:
        if sample.has(name):
            found_s = sample.audio(name).duration_s
            if abs(found_s - duration_s) > 0.05:
                yield f"{name} lasts {found_s:.2f} s, the clip {duration_s:.2f} s"


def _score_damage(sample: Sample, duration_s: float) -> Iterator[str]:
    try:
        score = sample.score()
    except InputError as error:
        yield str(error)
        return
    if abs(score.duration_s - duration_s) > 0.05:
        yield f"score lasts {score.duration_s:.2f} s, the clip {duration_s:.2f} s"
    for note in score.notes:
        if not -0.01 <= note.start_s <= note.end_s <= duration_s + 0.01:
            yield f"a note at {note.start_s:.2f}-{note.end_s:.2f} s is outside the clip's {duration_s:.2f} s"
