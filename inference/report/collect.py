"""A corpus, a dataset and runs on disk -> the contents of the page: counts, clips to hear, losses.

Only committed files are read (tables, index.json, metrics.jsonl), so the page shows what is on disk.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from autosing.audio.io import Audio, decode
from autosing.errors import InputError
from autosing.lookup import find_row
from autosing.schemas.features import FEATURES
from autosing.schemas.sample import DatasetIndex
from autosing.schemas.tables import Acoustic, Clip, Pitch, Semantic, Song, Word
from autosing.storage.counts import StageCount, count_stage
from autosing.storage.store import Place
from autosing.storage.tables import partitions, read_frame, table_path

ORDER = ("index", "separate", "align", "segment", *FEATURES)


@dataclass(frozen=True)
class Exhibit:
    """A clip to hear: the mix it was cut from, the separated voice, and what was found in it."""

    clip: str
    language: str
    singer: str | None
    mix: Audio
    vocals: Audio
    words: list[Word]
    f0_hz_T: np.ndarray | None


def stage_counts(corpus: Place) -> list[StageCount]:
    """One row for each stage, in processing order."""
    numbers = partitions(corpus)
    stages = {
        path.stem
        for number in numbers
        for path in (corpus / str(number)).iterdir()
        if path.name.endswith(".parquet") and not path.name.startswith(".") and "." not in path.stem
    }
    ordered = sorted(stages, key=lambda stage: (ORDER.index(stage) if stage in ORDER else len(ORDER), stage))
    return [*_imported(corpus), *(count_stage(corpus, numbers, stage) for stage in ordered if stage != "index")]


def _imported(corpus: Place) -> list[StageCount]:
    """Counts of the songs imported into the corpus, and of the files left out, by reason."""
    found = count_stage(corpus, partitions(corpus), "index")
    path = corpus / "_import.json"
    left_out = json.loads(path.read_text(encoding="utf-8")).get("left_out", []) if path.is_file() else []
    reasons = dict(sorted(Counter(item["reason"] for item in left_out).items()))
    rows_in = found.rows + len(left_out)
    return [StageCount("import", found.tables, rows_in, found.rows, found.rows, len(left_out), reasons)]


def exhibits(corpus: Place, at_most: int = 3) -> list[Exhibit]:
    """For each language, sorted by name, the clip with the largest fraction of singing."""
    paths = {number: table_path(corpus, number, "segment") for number in partitions(corpus)}
    found = [
        read_frame(path, _Singing).with_columns(number=pl.lit(number))
        for number, path in paths.items()
        if path.is_file()
    ]
    if not found:
        return []
    most = pl.concat(found).sort("singing_fraction", descending=True, maintain_order=True)
    chosen = most.unique("language", keep="first", maintain_order=True).sort("language").head(at_most)
    return [_exhibit(corpus, number, id) for number, id in chosen.select("number", "id").iter_rows()]


@dataclass(frozen=True)
class _Singing:
    """The columns that a clip is chosen by; its audio is not read."""

    id: str
    language: str
    singing_fraction: float


def _exhibit(corpus: Place, number: int, id: str) -> Exhibit:
    clip = find_row(table_path(corpus, number, "segment"), Clip, id)
    assert clip is not None, id
    song = find_row(table_path(corpus, number, "index"), Song, clip.song)
    if song is None:
        raise InputError(f"corpus {corpus}: clip {id} is of song {clip.song}, which is not in partition {number}; "
                         "run 'autosing process' again")  # fmt: skip
    pitch = find_row(table_path(corpus, number, "pitch"), Pitch, id)
    mix = decode(song.audio, song.id).cut(clip.start_s, clip.duration_s)
    f0_hz_T = None if pitch is None else pitch.f0_hz
    return Exhibit(clip.id, clip.language, clip.singer, mix, decode(clip.vocals, clip.id), clip.words, f0_hz_T)


def codes_given_back(sung: Path, clip: str, corpus: Place) -> dict[str, float]:
    """{"semantic", "codec"}: the fraction of a clip's own codes that were generated; empty where no codes were kept."""
    path = sung.with_suffix(".npz")
    if not path.is_file():
        return {}
    shares: dict[str, float] = {}
    sources: tuple[tuple[str, str, Any, str, str], ...] = (
        ("semantic", "semantic", Semantic, "codes", "semantic"),
        ("codec", "acoustic", Acoustic, "vocals", "acoustic"),
    )
    with np.load(path) as held:
        for noun, stage, record, column, name in sources:
            tables = (table_path(corpus, number, stage) for number in partitions(corpus))
            row = next((row for row in (find_row(table, record, clip) for table in tables) if row is not None), None)
            if row is not None:
                own = getattr(row, column)
                shared = min(len(own), len(held[name]))
                shares[noun] = float((own[:shared] == held[name][:shared]).sum() / max(len(own), 1))
    return shares


def split_rows(dataset: Place) -> list[dict[str, Any]]:
    """One row a split: clips, minutes, songs, singers, shards, bytes."""
    index = DatasetIndex.load(dataset)
    return [
        {
            "split": name,
            "clips": split.rows,
            "minutes": round(split.seconds / 60, 2),
            "songs": split.songs,
            "singers": split.singers,
            "shards": len(split.shards),
            "bytes": sum(shard.bytes for shard in split.shards),
        }
        for name, split in index.splits.items()
    ] + [{"split": f"left out: {reason}", "clips": count} for reason, count in index.dropped.items()]


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl. Raises InputError where there is none."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        raise InputError(f"run {run}: no metrics.jsonl in it; give a run folder of 'autosing train'")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
