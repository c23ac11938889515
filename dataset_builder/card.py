"""A dataset's index and tables -> card.md: whose songs, how much, under which licences, and how it was made."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from autosing.schemas.features import FEATURES
from autosing.schemas.sample import DatasetIndex
from autosing.storage.store import Place
from autosing.storage.tables import partitions, read_rejects, read_rows, table_path
from dataset_builder.join import ClipKey, ClipText, Source

CONSENT = (
    "These are voices of people. Train and share models of a voice only with the consent of the singer and within the "
    "licences of the songs above."
)
_WITHOUT_LICENCE = "not given"


def card_text(
    corpus: Place, index: DatasetIndex, clips: Mapping[str, Sequence[ClipKey]], made_from: Sequence[Source]
) -> str:
    """The text of card.md. No date and no path of this machine: equal inputs give an equal card."""
    split_of = {clip.id: split for split, held in clips.items() for clip in held}
    licences: dict[str, float] = defaultdict(float)
    languages: dict[str, float] = defaultdict(float)
    singers: dict[str, float] = defaultdict(float)
    for partition in partitions(corpus):
        for clip in read_rows(table_path(corpus, partition, "segment"), ClipText, batch_rows=256):
            if clip.id in split_of:
                licences[clip.licence or _WITHOUT_LICENCE] += clip.duration_s
                languages[clip.language] += clip.duration_s
                singers[clip.singer or "unknown"] += clip.duration_s
    total_s = sum(split.seconds for split in index.splits.values())
    lines = [
        f"# Dataset {index.fingerprint}",
        f"{index.rows} clips, {total_s / 3600:.3f} h, members {', '.join(index.members)}.",
        "## Splits",
        "No song and no singer is in two splits.",
        *_table(
            ("split", "clips", "hours", "songs", "singers", "shards"),
            [
                (name, s.rows, f"{s.seconds / 3600:.3f}", s.songs, s.singers, len(s.shards))
                for name, s in index.splits.items()
            ],
        ),
        *_features(index),
        *_hours("Licences", licences),
        *_hours("Languages", languages),
        *_hours("Singers", singers, limit=50),
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
    counts: Counter[tuple[str, str]] = Counter()
    for partition in partitions(corpus):
        ends = ".rejects.parquet"
        names = [p.name for p in (corpus / str(partition)).iterdir() if p.name.endswith(ends)]
        for stage in (name.removesuffix(ends) for name in sorted(names)):
            counts.update((stage, row.reason) for row in read_rejects(corpus, partition, stage))
    yield f"{index.rows_in} clips came in, {sum(index.dropped.values())} lacked a member."
    rows = [(stage, reason, count) for (stage, reason), count in sorted(counts.items())]
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


def _hours(title: str, seconds: Mapping[str, float], limit: int = 1000) -> list[str]:
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
    """An empty line between all but the rows of a table."""
    before = ""
    for line in lines:
        if before and not (before.startswith("|") and line.startswith("|")):
            yield ""
        yield line
        before = line
