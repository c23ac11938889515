"""A stage's committed tables -> counts over partitions: rows in, out and rejected, by reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from autosing.storage.store import Place, of_each
from autosing.storage.tables import TableMeta, read_meta, read_rejects, table_path


@dataclass(frozen=True)
class StageCount:
    """One stage over some partitions: rows_in = sources + rejected; `rows` are those in its tables."""

    stage: str
    tables: int
    """Partitions that have it."""
    rows_in: int
    sources: int
    rows: int
    rejected: int
    reasons: dict[str, int]


def count_stage(corpus: Place, numbers: Sequence[int], stage: str) -> StageCount:
    """Sums over the metadata of these partitions' committed tables, and the reasons of their rejects."""
    import polars as pl

    def look(partition: int) -> tuple[TableMeta | None, pl.Series]:
        return read_meta(table_path(corpus, partition, stage)), read_rejects(corpus, partition, stage)["reason"]

    found = list(of_each(numbers, look, corpus))
    metas = [meta for meta, _ in found if meta is not None]
    reasons = pl.concat([reasons for _, reasons in found]).value_counts() if found else pl.DataFrame()
    rows_in, sources, rows, rejected = (
        sum(getattr(meta, name) for meta in metas) for name in ("rows_in", "sources", "rows", "rejected")
    )
    return StageCount(stage, len(metas), rows_in, sources, rows, rejected, dict(sorted(reasons.iter_rows())))
