"""Corpus -> dataset: join, split, shuffle, write; a folder that is there whole or not at all.

The dataset is built beside its name and renamed, so no reader ever sees a part of it. Its fingerprint is of the
inputs' fingerprints and the config: built again from the same, nothing is done.
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from autosing.errors import InputError
from autosing.schemas.sample import CodecRecord, DatasetIndex, SemanticRecord, SplitRecord
from autosing.shards import files_of
from autosing.tables import fingerprint, partitions, table_path
from dataset_builder.books import codec_of, semantic_of
from dataset_builder.card import write_card
from dataset_builder.config import BuildConfig
from dataset_builder.join import TABLES, ClipKey, clip_files, clip_keys, sources
from dataset_builder.shards import Shuffler, num_buckets, order_of
from dataset_builder.split import Part, assign_songs

VERSION = 1
"""Counted up whenever the same tables would give another dataset."""
Say = Callable[[str], None]
_ABANDONED_S = 24 * 3600
"""What a build left beside the dataset is a dead build's once it is so old."""


@dataclass(frozen=True)
class Plan:
    """Which clips go where, known before any sample is read."""

    clips: dict[str, list[ClipKey]]
    """Split -> its clips."""
    dropped: dict[str, int]
    rows_in: int


def build(corpus: Path, dataset: Path, config: BuildConfig, say: Say = lambda line: None) -> list[dict[str, Any]]:
    """Build the dataset, unless it is there already. Returns one summary row a split.

    Raises InputError: no corpus, a stage missing or stale, no clip left, `dataset` holding something else.
    """
    groups = tuple(dict.fromkeys(("meta", *config.members)))
    files_of(groups)
    _check_place(dataset)
    made_from = sources(corpus, groups)
    wanted = fingerprint({
        "version": VERSION, "config": config.dump(),
        "tables": [[source.partition, source.table, source.meta.fingerprint] for source in made_from],
    })  # fmt: skip
    held = _standing(dataset, wanted)
    if held is not None:
        say(f"dataset {dataset}: made from the same tables and config; nothing to do")
        return summary_rows(held, "already done")
    plan = make_plan(corpus, groups, config)
    codec = codec_of(made_from) if "acoustic" in groups else None
    semantic = semantic_of(made_from) if "semantic" in groups else None
    dataset.parent.mkdir(parents=True, exist_ok=True)
    _sweep(dataset)
    beside = dataset.with_name(f".{dataset.name}.{uuid4().hex[:12]}.part")
    try:
        index = _write(corpus, beside, plan, groups, config, wanted, codec, semantic)
        write_card(beside, corpus, index, plan.clips, made_from)
        (beside / "index.json").write_text(index.model_dump_json(indent=1) + "\n", encoding="utf-8")
        _put(beside, dataset)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return summary_rows(index, "built")


def make_plan(corpus: Path, groups: Sequence[str], config: BuildConfig) -> Plan:
    """Read the ids of all partitions; drop and count what lacks a member; split the rest."""
    dropped: Counter[str] = Counter()
    kept: list[ClipKey] = []
    for partition in partitions(corpus):
        for clip, reason in clip_keys(corpus, partition, groups):
            if reason is None:
                kept.append(clip)
            else:
                dropped[reason] += 1
    if not kept:
        why = ", ".join(f"{reason} {count}" for reason, count in sorted(dropped.items())) or "segment gave none"
        raise InputError(f"corpus {corpus}: no clip has all of {', '.join(groups)} ({why}); see 'autosing status'")
    twice = [id for id, count in Counter(clip.id for clip in kept).items() if count > 1]
    if twice:
        raise InputError(f"corpus {corpus}: clip {twice[0]} is in it twice; run 'autosing import' to make ids unique")
    parts = [Part(clip.song, clip.singer, clip.duration_s) for clip in kept]
    split_of = assign_songs(parts, {"valid": config.valid, "test": config.test}, config.seed)
    clips: dict[str, list[ClipKey]] = {"train": [], "valid": [], "test": []}
    for clip in kept:
        clips[split_of[clip.song]].append(clip)
    return Plan(clips, dict(sorted(dropped.items())), len(kept) + sum(dropped.values()))


def _write(
    corpus: Path, out: Path, plan: Plan, groups: Sequence[str], config: BuildConfig, wanted: str,
    codec: CodecRecord | None, semantic: SemanticRecord | None,
) -> DatasetIndex:  # fmt: skip
    tables = [
        table_path(corpus, k, t) for k in partitions(corpus) for t in ("segment", *TABLES) if t in (*groups, "segment")
    ]
    buckets = num_buckets(tables, config.shuffle_mb << 20)
    place = {clip.id: split for split, clips in plan.clips.items() for clip in clips}
    shufflers = {
        split: Shuffler(order_of((clip.id for clip in clips), split, config.seed), out / f".{split}", buckets)
        for split, clips in plan.clips.items()
    }
    wide = semantic is not None and semantic.size > 1 << 15
    for partition in partitions(corpus):
        for id, files in clip_files(corpus, partition, groups, place.keys(), wide):
            shufflers[place[id]].add(id, files)
    splits = {}
    for split, shuffler in shufflers.items():
        clips = plan.clips[split]
        shards = shuffler.finish(out, split, config.shard_mb << 20, config.shard_rows)
        rows = sum(shard.rows for shard in shards)
        assert rows == len(clips), f"split {split}: {len(clips)} clips planned, {rows} written"
        splits[split] = SplitRecord(
            shards=tuple(shards), rows=rows, seconds=round(sum(clip.duration_s for clip in clips), 3),
            songs=len({clip.song for clip in clips}), singers=len({clip.singer for clip in clips} - {None}),
        )  # fmt: skip
    return DatasetIndex(
        fingerprint=wanted, members=tuple(groups), codec=codec, semantic=semantic, splits=splits,
        rows_in=plan.rows_in, dropped=plan.dropped,
    )  # fmt: skip


def summary_rows(index: DatasetIndex, status: str) -> list[dict[str, Any]]:
    """One row a split, and one for what was dropped."""
    rows: list[dict[str, Any]] = [
        {
            "split": name, "clips": split.rows, "minutes": round(split.seconds / 60, 2), "songs": split.songs,
            "singers": split.singers, "shards": len(split.shards), "status": status,
        }
        for name, split in index.splits.items()
    ]  # fmt: skip
    return rows + [{"split": f"dropped ({reason})", "clips": count} for reason, count in index.dropped.items()]


def _check_place(dataset: Path) -> None:
    if dataset.exists() and not (
        dataset.is_dir() and ((dataset / "index.json").is_file() or not any(dataset.iterdir()))
    ):
        raise InputError(f"dataset {dataset}: holds something that is no dataset; give an empty or new folder")


def _standing(dataset: Path, wanted: str) -> DatasetIndex | None:
    """The index of a dataset that is as wanted, its shards all there."""
    if not (dataset / "index.json").is_file():
        return None
    index = DatasetIndex.load(dataset)
    shards = [shard for split in index.splits.values() for shard in split.shards]
    paths = [dataset / shard.path for shard in shards]
    whole = all(p.is_file() and p.stat().st_size == s.bytes for p, s in zip(paths, shards, strict=True))
    return index if index.fingerprint == wanted and whole else None


def _sweep(dataset: Path) -> None:
    """Take away what builds that were killed long ago left beside the dataset."""
    for left in dataset.parent.glob(f".{dataset.name}.*.part"):
        if time.time() - left.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)


def _put(beside: Path, dataset: Path) -> None:
    """The new dataset takes the old one's name; the old one goes last."""
    old = dataset.with_name(f".{dataset.name}.{uuid4().hex[:12]}.old.part")
    if dataset.exists():
        dataset.rename(old)
    beside.rename(dataset)
    shutil.rmtree(old, ignore_errors=True)
