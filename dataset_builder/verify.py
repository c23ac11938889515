"""A dataset -> one row a split, or an InputError that lists the promises it breaks.

Checked: digests and sizes of shards, counts, unique ids, members, shapes against the clip's length, codes within their
codebooks, words within the clip, and that no song and no singer is in two splits.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autosing.errors import InputError
from autosing.schemas.sample import GROUPS, OPTIONAL, DatasetIndex, Sample, ShardRecord
from autosing.shards import digest_of, read_shard
from autosing.timebase import PITCH_RATE_HZ, SEMANTIC_RATE_HZ

SINGER_SIZE = 256
_SHOWN = 10


def verify(dataset: Path) -> list[dict[str, Any]]:
    """Open every shard and check every promise. Raises InputError with the first broken ones and their number."""
    index = DatasetIndex.load(dataset)
    broken: list[str] = []
    seen: dict[str, str] = {}
    rows = []
    owner: dict[str, str] = {}
    for split, record in index.splits.items():
        count = 0
        for shard in record.shards:
            damage = _shard_damage(dataset, shard)
            broken += damage
            if damage:
                continue
            in_shard = 0
            for _, sample in read_shard(dataset / shard.path):
                in_shard += 1
                broken += [f"{shard.path}: {sample.id}: {text}" for text in sample_damage(sample, index)]
                if sample.id in seen:
                    broken.append(f"{shard.path}: {sample.id} is also in {seen[sample.id]}")
                seen[sample.id] = shard.path
                for kind, name in (("song", sample.meta.song), ("singer", sample.meta.singer)):
                    if name is not None and owner.setdefault(f"{kind} {name}", split) != split:
                        broken.append(f"{kind} {name} is in {owner[f'{kind} {name}']} and in {split}")
            if in_shard != shard.rows:
                broken.append(f"{shard.path}: has {in_shard} samples, the index promises {shard.rows}")
            count += in_shard
        if count != record.rows:
            broken.append(f"split {split}: has {count} samples, the index promises {record.rows}")
        rows.append({"split": split, "shards": len(record.shards), "clips": count})
    promised = index.rows + sum(index.dropped.values())
    if index.rows_in != promised:
        broken.append(f"index.json: {index.rows_in} clips came in, {promised} are in splits or counted as dropped")
    if broken:
        broken = list(dict.fromkeys(broken))
        more = f" (and {len(broken) - _SHOWN} more)" if len(broken) > _SHOWN else ""
        raise InputError(f"dataset {dataset}: {'; '.join(broken[:_SHOWN])}{more}; build it again")
    return rows


def _shard_damage(dataset: Path, shard: ShardRecord) -> list[str]:
    path = dataset / shard.path
    if not path.is_file():
        return [f"{shard.path}: missing"]
    if path.stat().st_size != shard.bytes:
        return [f"{shard.path}: has {path.stat().st_size} bytes, the index promises {shard.bytes}"]
    if digest_of(path) != shard.sha256:
        return [f"{shard.path}: its digest is not the one in the index"]
    return []


def sample_damage(sample: Sample, index: DatasetIndex) -> Iterator[str]:
    """What is wrong with one sample, in words."""
    for group in index.members:
        for file in GROUPS[group]:
            if group != "meta" and file not in OPTIONAL and not sample.has(file.partition(".")[0]):
                yield f"{file} is missing"
    duration_s = sample.meta.duration_s
    for word in sample.meta.words:
        if not -0.01 <= word.start_s <= word.end_s <= duration_s + 0.01:
            yield f"word {word.text!r} at {word.start_s:.2f}-{word.end_s:.2f} s is outside its {duration_s:.2f} s"
    if index.semantic and sample.has("semantic"):
        codes = sample.array("semantic")
        yield from _length("semantic", len(codes), float(duration_s * SEMANTIC_RATE_HZ), 1)
        yield from _range("semantic", codes, index.semantic.size)
    if sample.has("pitch"):
        yield from _length("pitch", len(sample.array("pitch")), float(duration_s * PITCH_RATE_HZ), 2)
    if sample.has("singer"):
        voice = sample.array("singer")
        norm = float(np.linalg.norm(voice))
        if voice.shape != (SINGER_SIZE,) or not abs(norm - 1) < 1e-3:
            yield f"singer has shape {list(voice.shape)} and norm {norm:.3f}, need [{SINGER_SIZE}] and 1"
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
