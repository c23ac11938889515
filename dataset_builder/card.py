"""A dataset's index and tables -> card.md: singers, hours, licences, and how the dataset was made."""

import json
from collections.abc import Iterable, Sequence

import polars as pl

from autosing.schemas.features import FEATURES
from autosing.schemas.sample import DatasetIndex
from autosing.storage.store import Place
from autosing.storage.tables import partitions, read_rejects
from dataset_builder.join import Source

CONSENT = (
    "These are voices of people. Train and share models of a voice only with the consent of the singer and within the "
    "licences of the songs above."
)
_WITHOUT_LICENCE = "not given"


def card_text(corpus: Place, index: DatasetIndex, clips: pl.DataFrame, made_from: Sequence[Source]) -> str:
    """The text of card.md. No date and no path of this machine: equal inputs give an equal card.

    `clips`: the clips of all splits, with the columns of ClipKey.
    """
    total_s = sum(split.seconds for split in index.splits.values())
    lines = [
        f"# Dataset {index.fingerprint}",
        f"{index.rows} clips, {total_s / 3600:.3f} h, members {', '.join(index.members)}.",
        "## Splits",
        "No song and no singer is in two splits." if index.apart == "singers" else "No song is in two splits.",
        *_table(
            ("split", "clips", "hours", "songs", "singers", "shards"),
            [
                (name, s.rows, f"{s.seconds / 3600:.3f}", s.songs, s.singers, len(s.shards))
                for name, s in index.splits.items()
            ],
        ),
        *_features(index),
        *_hours("Licences", clips, pl.col("licence").replace("", None).fill_null(_WITHOUT_LICENCE)),
        *_hours("Languages", clips, pl.col("language")),
        *_hours("Singers", clips, pl.col("singer").replace("", None).fill_null("unknown"), limit=50),
        "## Left out",
        *_rejects(corpus, index),
        "## How it was made",
        *_origin(index, made_from),
        "## Consent",
        CONSENT,
    ]
    return "\n".join(_spaced(lines)) + "\n"


def _features(index: DatasetIndex) -> Iterable[str]:
    if index.features:
        yield "## Features"
        head = ("feature", "what", "member", "frames a second", "type", "made with (digest)")
        yield from _table(head, [
            (name, FEATURES[name].about, member, held.rate_hz or "-", held.dtype, record.digest[:12])
            for name, record in index.features.items() for member, held in record.members.items()
        ])  # fmt: skip


def _rejects(corpus: Place, index: DatasetIndex) -> Iterable[str]:
    yield f"{index.rows_in} clips came in, {sum(index.dropped.values())} lacked a member."
    ends = ".rejects.parquet"
    found = [
        read_rejects(corpus, partition, path.name.removesuffix(ends)).select(
            "reason", stage=pl.lit(path.name.removesuffix(ends))
        )
        for partition in partitions(corpus)
        for path in (corpus / str(partition)).iterdir()
        if path.name.endswith(ends)
    ]
    rows = list(pl.concat(found).group_by("stage", "reason").len().sort("stage", "reason").iter_rows()) if found else []
    rows += [("build", reason, count) for reason, count in index.dropped.items()]
    if rows:
        yield from _table(("stage", "reason", "rows"), rows)


def _origin(index: DatasetIndex, made_from: Sequence[Source]) -> Iterable[str]:
    if index.codec:
        yield f"Codec {index.codec.name}, digest {index.codec.digest}."
    if index.semantic:
        yield f"Semantic codebook of {index.semantic.size} codes, digest {index.semantic.digest}."
    seen = dict.fromkeys(
        (s.table, s.meta.version, json.dumps(s.meta.details.get("config", {}), sort_keys=True)) for s in made_from
    )
    yield from _table(
        ("stage", "version", "config"), [(table, version, f"`{config}`") for table, version, config in seen]
    )


def _hours(title: str, clips: pl.DataFrame, what: pl.Expr, limit: int = 1000) -> list[str]:
    """Hours by `what`, the most first. Summed in the clips' order, so that equal inputs give equal digits."""
    grouped = clips.group_by(name=what, maintain_order=True).agg("duration_s")
    seconds = {name: sum(held) for name, held in grouped.iter_rows()}
    most = sorted(seconds.items(), key=lambda item: (-item[1], item[0]))
    rows = [(name, f"{value / 3600:.3f}") for name, value in most[:limit]]
    if len(most) > limit:
        rows.append((f"{len(most) - limit} more", f"{sum(value for _, value in most[limit:]) / 3600:.3f}"))
    return [f"## {title}", *_table((title.lower(), "hours"), rows)]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    def line(cells: Sequence[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [line(head), line(["---"] * len(head)), *(line(row) for row in rows)]


def _spaced(lines: Iterable[str]) -> Iterable[str]:
    """With an empty line between all lines except the rows of a table."""
    before = ""
    for line in lines:
        if before and not (before.startswith("|") and line.startswith("|")):
            yield ""
        yield line
        before = line
