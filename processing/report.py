"""A corpus or a run -> counts for people: rows in, out and rejected, by reason."""

from collections.abc import Mapping, Sequence
from typing import Any

from autosing.console import command
from autosing.schemas.features import FEATURES
from autosing.stage import Stage
from autosing.storage.counts import count_stage
from autosing.storage.store import Place, of_each
from autosing.storage.tables import partitions, table_path
from processing.engine.runner import RunResult
from processing.pipeline import STAGES, USUAL

_ROWS_ARE = {"index": "songs", "separate": "parts of up to 1 min", "segment": "clips"}
"""Stage -> what its output rows are, where they differ from its input rows."""


def status(corpus: Place) -> list[dict[str, Any]]:
    """A row for each stage, the index first: partitions done, rows in, out and rejected, counts by reason."""
    numbers = partitions(corpus)
    return [_count(corpus, numbers, name) for name in ("index", *STAGES)]


def next_command(corpus: Place, rows: Sequence[Mapping[str, Any]] = (), recipe: Sequence[str] | None = None) -> str:
    """The next command to type: `process` for the stages that some partition still lacks, else `build`.

    `rows`: from `status` or `summarize`; tables of stages that are in them are not looked up again. `recipe`: the
    stages that a config's `run` names, if it does.
    """
    wanted = USUAL if recipe is None else recipe
    numbers = partitions(corpus)
    whole = {row["stage"]: row["partitions"] == _share(len(numbers), numbers) for row in rows}

    def has(stage: str) -> bool:
        return all(of_each(numbers, lambda k: table_path(corpus, k, stage).is_file(), corpus))

    lacking = [stage for stage in wanted if not (whole[stage] if stage in whole else has(stage))]
    if lacking:
        return command("process", corpus, *(["--stages", ",".join(lacking)] if len(lacking) < len(USUAL) else []))
    members = (
        [] if recipe is None else ["--members", ",".join(["audio", *(name for name in FEATURES if name in recipe)])]
    )
    return command("build", corpus, corpus.parent / "dataset", *members)


def for_people(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows under short names that fit a terminal, reasons as words: "no_singing 2, not_audio 1"."""
    names = {"rows_in": "in", "rows_out": "out", "made_now": "made", "worker_seconds": "seconds"}
    words = [
        row
        | {"reasons": ", ".join(f"{k} {n}" for k, n in row["reasons"].items())}
        | {"rows_out": f"{row['rows_out']} {_ROWS_ARE.get(row['stage'], '')}".rstrip()}
        for row in rows
    ]
    return [{names.get(key, key): value for key, value in row.items()} for row in words]


def _count(corpus: Place, numbers: Sequence[int], name: str) -> dict[str, Any]:
    found = count_stage(corpus, numbers, name)
    return {
        "stage": name, "partitions": _share(found.tables, numbers), "rows_in": found.rows_in,
        "rows_out": found.rows, "rejected": found.rejected, "reasons": found.reasons,
    }  # fmt: skip


def _share(tables: int, numbers: Sequence[int]) -> str:
    return f"{tables}/{len(numbers)}"


def summarize(corpus: Place, stages: Sequence[Stage[Any, Any]], result: RunResult) -> list[dict[str, Any]]:
    """The status of the stages that were run, with how many partitions were made now and the seconds they took."""
    numbers = partitions(corpus)
    rows = []
    for stage in stages:
        made = [done for job, done in result.done if job.stage == stage.name]
        seconds = round(sum(done.seconds for done in made), 1)
        rows.append({**_count(corpus, numbers, stage.name), "made_now": len(made), "worker_seconds": seconds})
    return rows
