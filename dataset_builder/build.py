"""Corpus -> dataset: join, split, shuffle, write, commit (see dataset_builder.commit).

A dataset's fingerprint follows from its inputs' fingerprints and the config. A second build from the same does nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from autosing.errors import InputError
from autosing.schemas.records import Codes, FeatureRecord
from autosing.schemas.sample import CODES_FIELDS, DatasetIndex, SplitRecord
from autosing.storage.shards import files_of
from autosing.storage.store import Place, attempt, of_each
from autosing.storage.tables import fingerprint, partitions
from dataset_builder.card import card_text
from dataset_builder.commit import Edition, begin, check_place, committed_index, is_whole, sweep
from dataset_builder.config import BuildConfig
from dataset_builder.feature_records import features_of
from dataset_builder.join import clip_files, clips_of, sample_bytes, sources
from dataset_builder.shards import Shuffler, num_buckets, order_of
from dataset_builder.split import Part, assign_songs

VERSION = 3
"""Increased whenever the same tables would give another dataset."""
_LONGEST_ID = 200
"""In bytes: together with a member's name it must fit into a file name (255)."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """Which clip goes into which split; known before any sample is read."""

    clips: pl.DataFrame
    """The clips that are kept: the columns of ClipKey, and `split`."""
    dropped: dict[str, int]
    rows_in: int


def build(corpus: Place, dataset: Place, config: BuildConfig, say: Say = lambda line: None) -> list[dict[str, Any]]:
    """Build the dataset, unless it is there already. Returns a summary row for each split.

    Raises InputError: no corpus, a stage missing or stale, no clip left, `dataset` holding something else.
    """
    groups = tuple(dict.fromkeys(("meta", *config.members)))
    files_of(groups)
    check_place(dataset)
    made_from = sources(corpus, groups)
    wanted = fingerprint({
        "version": VERSION, "config": config.dump(),
        "tables": [[source.partition, source.table, source.meta.fingerprint] for source in made_from],
    })  # fmt: skip
    held = committed_index(dataset)
    if held is not None and held.fingerprint == wanted and is_whole(dataset, held):
        say(f"dataset {dataset}: made from the same tables and config; nothing to do")
        with attempt(dataset) as scratch:
            sweep(dataset, held, scratch)
        return summary_rows(held, "already done")
    plan = make_plan(corpus, groups, config)
    features, codes = features_of(made_from, groups)
    with attempt(dataset) as scratch:
        edition = begin(dataset, wanted, scratch)
        index = _write(corpus, edition, plan, groups, config, features, codes)
        (scratch / "card.md").write_text(card_text(corpus, index, plan.clips, made_from), encoding="utf-8")
        edition.put(scratch / "card.md", "card.md", "card")
        if sources(corpus, groups) != made_from:
            raise InputError(f"corpus {corpus}: its tables changed while they were read; run the build again")
        edition.commit(index)
    if warning := split_warning(index, config):
        say(warning)
    return summary_rows(index, "built")


def split_warning(index: DatasetIndex, config: BuildConfig) -> str | None:
    """A warning if the splits are far from the shares asked for, because songs and singers are not divided."""
    total_s = sum(split.seconds for split in index.splits.values())
    asked = {"valid": config.valid, "test": config.test}
    off = []
    for name, share in asked.items():
        found = index.splits[name].seconds / total_s
        if share and (not found or found > 2 * share + 0.02):
            off.append(
                f"{name} is {found:.0%} of the seconds ({index.splits[name].songs} songs), asked for {share:.0%}"
            )
    if not off:
        return None
    songs = sum(split.songs for split in index.splits.values())
    return (
        f"warning: {songs} songs are few for three splits, as no song and no singer is in two: {'; '.join(off)}; "
        f"train has {index.splits['train'].songs} songs. To train on all of them: --set valid=0 --set test=0"
    )


def make_plan(corpus: Place, groups: Sequence[str], config: BuildConfig) -> Plan:
    """Read the ids of all partitions; drop and count clips that lack a member; split the rest."""
    found = clips_of(corpus, groups)
    dropped = dict(sorted(found["lacks"].drop_nulls().value_counts().iter_rows()))
    kept = found.filter(pl.col("lacks").is_null()).drop("lacks")
    if kept.is_empty():
        why = ", ".join(f"{reason} {count}" for reason, count in dropped.items()) or "segment made none"
        raise InputError(f"corpus {corpus}: no clip has all of {', '.join(groups)} ({why}); see 'autosing status'")
    twice = kept.filter(pl.col("id").is_duplicated())["id"]
    if len(twice):
        raise InputError(f"corpus {corpus}: clip {twice[0]} is in it twice; run 'autosing import' to make ids unique")
    longest = max(kept["id"], key=len)
    if len(longest) > _LONGEST_ID:
        raise InputError(
            f"clip {longest}: its id has {len(longest)} bytes, so tars of such clips cannot be unpacked; need at most "
            f"{_LONGEST_ID}; run 'autosing import {corpus} NEW_CORPUS', which shortens ids, and process that"
        )
    rows = kept.select("song", "singer", "duration_s").iter_rows()
    parts = (Part(song, singer if config.apart == "singers" else None, seconds) for song, singer, seconds in rows)
    split_of = assign_songs(parts, {"valid": config.valid, "test": config.test}, config.seed)
    return Plan(kept.with_columns(split=pl.col("song").replace_strict(split_of)), dropped, len(found))


def _write(
    corpus: Place, edition: Edition, plan: Plan, groups: Sequence[str], config: BuildConfig,
    features: dict[str, FeatureRecord], codes: dict[str, Codes],
) -> DatasetIndex:  # fmt: skip
    num_bytes = sum(of_each(partitions(corpus), lambda k: sample_bytes(corpus, k, groups), corpus))
    buckets = num_buckets(num_bytes, config.shuffle_mb << 20)
    place = dict(plan.clips.select("id", "split").iter_rows())
    parts = {split: plan.clips.filter(split=split) for split in ("train", "valid", "test")}
    shufflers = {
        split: Shuffler(order_of(clips["id"], split, config.seed), edition.scratch / split, buckets)
        for split, clips in parts.items()
    }
    for partition in partitions(corpus):
        for id, files in clip_files(corpus, partition, groups, place.keys(), features):
            shufflers[place[id]].add(id, files)
    splits = {}
    for split, shuffler in shufflers.items():
        clips = parts[split]
        shards = shuffler.finish(edition, split, config.shard_mb << 20, config.shard_rows)
        rows = sum(shard.rows for shard in shards)
        assert rows == len(clips), f"split {split}: {len(clips)} clips planned, {rows} written"
        splits[split] = SplitRecord(
            shards=tuple(shards), rows=rows, seconds=round(sum(clips["duration_s"]), 3),
            songs=clips["song"].n_unique(), singers=clips["singer"].drop_nulls().n_unique(),
        )  # fmt: skip
    code_records: dict[str, Any] = {field: codes[name] for name, field in CODES_FIELDS.items() if name in codes}
    return DatasetIndex(
        fingerprint=edition.fingerprint, members=tuple(groups), features=features, **code_records, splits=splits,
        apart=config.apart, rows_in=plan.rows_in, dropped=plan.dropped,
    )  # fmt: skip


def summary_rows(index: DatasetIndex, status: str) -> list[dict[str, Any]]:
    """A row for each split, and one for each reason why clips were dropped."""
    rows: list[dict[str, Any]] = [
        {
            "split": name, "clips": split.rows, "minutes": round(split.seconds / 60, 2), "songs": split.songs,
            "singers": split.singers, "shards": len(split.shards), "status": status,
        }
        for name, split in index.splits.items()
    ]  # fmt: skip
    return rows + [{"split": f"dropped ({reason})", "clips": count} for reason, count in index.dropped.items()]
