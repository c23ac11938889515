"""A corpus's stage tables -> clips with the members asked for, one partition at a time, and why others were dropped.

The clips are those of `segment`. Each other table holds some of them, in the same order. A clip that is missing in a
table is dropped, with the reason for which that stage rejected it. Every dropped clip is counted.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from autosing.audio.io import decode, encode
from autosing.errors import InputError
from autosing.schemas.base import arrow_schema
from autosing.schemas.features import FEATURES
from autosing.schemas.records import FeatureRecord
from autosing.schemas.sample import SampleMeta, write_array
from autosing.schemas.tables import Line, Word
from autosing.storage.rows import side_by_side
from autosing.storage.store import Place, of_each
from autosing.storage.tables import (
    TableMeta,
    columns_bytes,
    open_table,
    partitions,
    read_frame,
    read_meta,
    read_rejects,
    read_rows,
    table_path,
)


@dataclass(frozen=True)
class ClipKey:
    """What the splits and the card need to know of a clip."""

    id: str
    song: str
    singer: str | None
    language: str
    licence: str | None
    duration_s: float


@dataclass(frozen=True)
class ClipText(ClipKey):
    """A clip without its audio."""

    lines: list[Line]
    words: list[Word]


@dataclass(frozen=True)
class ClipWhole(ClipText):
    """A clip with its audio."""

    vocals: bytes
    instrumental: bytes | None


@dataclass(frozen=True)
class RowId:
    id: str


@dataclass(frozen=True)
class Source:
    """One table of one partition, with its metadata."""

    partition: int
    table: str
    meta: TableMeta


def sources(corpus: Place, groups: Collection[str]) -> list[Source]:
    """The tables that the groups need. Raises InputError: one is missing, or was made from tables that have changed."""
    tables = ("segment", *_features(groups))

    def look(partition: int) -> list[Source]:
        metas = {table: read_meta(table_path(corpus, partition, table)) for table in tables}
        found = []
        for table, meta in metas.items():
            if meta is None:
                raise InputError(
                    f"corpus {corpus}: partition {partition} has no {table}.parquet; run 'autosing process {corpus}'"
                )
            for name, made_from in meta.details.get("inputs", {}).items() if table != "segment" else ():
                now = metas[name] if name in metas else read_meta(table_path(corpus, partition, name))
                if now is not None and now.fingerprint != made_from:
                    raise InputError(
                        f"corpus {corpus}: {table}.parquet of partition {partition} was made from another "
                        f"{name}.parquet than is there now; run 'autosing process {corpus}'"
                    )
            found.append(Source(partition, table, meta))
        return found

    return [source for found in of_each(partitions(corpus), look, corpus) for source in found]


def clips_of(corpus: Place, groups: Collection[str]) -> pl.DataFrame:
    """All clips, in order: the columns of ClipKey, and `lacks`: why a clip is dropped ("pitch: mostly_unvoiced"), or
    null. Reads no audio and no arrays.

    Raises InputError if a table holds clips that `segment` does not, or holds them in another order.
    """
    return pl.concat(of_each(partitions(corpus), lambda partition: _clips_of(corpus, partition, groups), corpus))


def _clips_of(corpus: Place, partition: int, groups: Collection[str]) -> pl.DataFrame:
    clips = read_frame(table_path(corpus, partition, "segment"), ClipKey)
    lacks = pl.lit(None, pl.String)
    for name in _features(groups):
        path = table_path(corpus, partition, name)
        ids = read_frame(path, RowId)["id"]
        held = clips["id"].is_in(ids.implode())
        if not (expected := clips.filter(held)["id"]).equals(ids):
            odd = next((id for id, wanted in zip(ids, expected, strict=False) if id != wanted), ids[-1])
            raise InputError(
                f"table {path}: row {odd} is no clip of segment.parquet, or not in its order; "
                "delete the table and run 'autosing process' again"
            )
        why = f"why {name}"
        rejects = read_rejects(corpus, partition, name).select("id", pl.col("reason").alias(why))
        clips = clips.join(rejects.unique("id", keep="last"), on="id", how="left", maintain_order="left")
        reason = pl.format("{}: {}", pl.lit(name), pl.col(why).fill_null("missing"))
        lacks = pl.coalesce(lacks, pl.when(~held).then(reason))
    return clips.select(*arrow_schema(ClipKey).names, lacks=lacks)


def sample_bytes(corpus: Place, partition: int, groups: Collection[str]) -> int:
    """Approximate bytes of the samples of a partition: the columns that are read, uncompressed."""
    records = {"segment": _clip_record(groups)} | {name: FEATURES[name].record for name in _features(groups)}
    total = 0
    for table, record in records.items():
        with open_table(table_path(corpus, partition, table)) as file:
            total += columns_bytes(file, arrow_schema(record).names)
    return total


def clip_files(
    corpus: Place,
    partition: int,
    groups: Collection[str],
    wanted: Collection[str],
    features: Mapping[str, FeatureRecord],
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(clip id, file -> bytes) for each wanted clip; arrays have the types that are recorded in `features`."""

    def rows(table: str, record: type, batch_rows: int) -> Iterator[tuple[str, Any]]:
        held: Iterator[Any] = read_rows(table_path(corpus, partition, table), record, batch_rows)
        return ((row.id, row) for row in held)

    names = _features(groups)
    others = [(table_path(corpus, partition, name), rows(name, FEATURES[name].record, 64)) for name in names]
    clips = rows("segment", _clip_record(groups), 4 if "audio" in groups else 64)
    for id, (clip, *found) in side_by_side(clips, others):
        if id is None or id not in wanted:
            continue
        meta = SampleMeta(
            clip.song, clip.singer, clip.language, clip.licence, clip.duration_s, list(clip.lines), list(clip.words)
        )
        files = {"meta.json": meta.to_json(), **_arrays(dict(zip(names, found, strict=True)), features)}
        if isinstance(clip, ClipWhole):
            files["vocals.flac"] = _flac(clip.vocals, clip.id)
            if clip.instrumental is not None:
                files["instrumental.flac"] = _flac(clip.instrumental, clip.id)
        yield id, files


def _features(groups: Collection[str]) -> list[str]:
    """The groups that have a table of their own; meta and audio come from `segment`."""
    return [name for name in FEATURES if name in groups]


def _clip_record(groups: Collection[str]) -> type[ClipText]:
    return ClipWhole if "audio" in groups else ClipText


def _arrays(rows: dict[str, Any], features: Mapping[str, FeatureRecord]) -> dict[str, bytes]:
    files = {}
    for name, row in rows.items():
        for member in FEATURES[name].members:
            array = getattr(row, member.column)
            if isinstance(array, str):
                files[member.file] = array.encode()
            elif array is not None:
                files[member.file] = write_array(array.astype(features[name].members[member.name].dtype))
    return files


def _flac(data: bytes, id: str) -> bytes:
    return data if data[:4] == b"fLaC" else encode(decode(data, id), "flac")
