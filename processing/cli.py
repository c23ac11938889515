"""The commands of this room: import, process, plan, status."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from autosing.storage.store import place

Corpus = Annotated[
    Path, typer.Argument(parser=place, help="Folder or s3:// address of partitions, each with an index.parquet.")
]
STAGES_HELP = (
    "Comma-separated names, as 'autosing status' lists them (separate, align, segment, pitch ...); all by default."
)
AsJson = Annotated[bool, typer.Option("--json", help="The summary as JSON on stdout.")]


def import_songs(
    source: Annotated[Path, typer.Argument(help="Folder of songs at any depth, one song, or an AutoSing corpus.")],
    corpus: Corpus,
    table: Annotated[Path | None, typer.Option(help="CSV, JSON or JSONL of lyrics, artist, language, licence.")] = None,
    partition_mb: Annotated[float, typer.Option(help="Largest partition, in MB of audio.", min=0.001)] = 64.0,
    singers_from: Annotated[
        Literal["folder", "tags", "none"] | None,
        typer.Option(help="folder (SOURCE/<singer>/...), tags or none; by default folder if every song lies in one."),
    ] = None,
    singer: Annotated[str | None, typer.Option(help="Who sings all of it, whatever folders and tags say.")] = None,
    as_json: AsJson = False,
) -> None:
    """Songs of any kind -> a corpus of balanced partitions. A second run keeps what is there and adds what is new."""
    from autosing.console import command, note, summary
    from processing.importer.importer import import_corpus

    report = import_corpus(source, corpus, table, partition_mb, singers_from, singer, tell=note)
    facts = {"corpus": str(corpus), "partitions": report.partitions, "report": str(corpus / "_import.json")}
    facts |= {"left_out": len(report.left_out), "remarks": len(report.remarks), "passed_over": len(report.passed_over)}
    summary(f"import {source}", report.rows(), as_json, **facts, next=command("process", corpus))


def process(
    corpus: Corpus,
    stages: Annotated[str | None, typer.Option(help=STAGES_HELP)] = None,
    config: Annotated[Path | None, typer.Option(help="YAML of what differs from the defaults.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, e.g. segment.min_s=4")] = None,
    address: Annotated[str, typer.Option(help="local, auto or HOST:PORT of a Ray; inline: without Ray.")] = "local",
    workers: Annotated[
        int | None,
        typer.Option(help="Number of workers; by default one for each core.", min=1),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the stages over a corpus, on Ray. A second run makes only what is missing or out of date, and says why."""
    from processing.process import process_corpus

    words = [*(set_ or []), *([f"workers={workers}"] if workers else [])]
    if not process_corpus(corpus, stages.split(",") if stages else None, config, words, address, as_json):
        raise typer.Exit(1)


def plan(
    corpus: Corpus,
    songs: Annotated[int, typer.Option(help="Number of songs to plan for.", min=1)],
    gpus: Annotated[int, typer.Option(help="GPUs to plan for, if stages are measured on a GPU.", min=0)] = 0,
    machines: Annotated[int, typer.Option(help="Machines like this one, if there is no GPU.", min=1)] = 1,
    stages: Annotated[str | None, typer.Option(help=STAGES_HELP)] = None,
    config: Annotated[Path | None, typer.Option(help="YAML of what differs from the defaults.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, e.g. segment.min_s=4")] = None,
    workers: Annotated[int | None, typer.Option(help="Workers on this machine; one for each core.", min=1)] = None,
    sample: Annotated[int | None, typer.Option(help="Partitions to measure; three for each worker.", min=1)] = None,
    storage_mb_s: Annotated[float | None, typer.Option(help="MB/s of the storage, shared by all.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Run the stages on a few partitions and forecast the whole run. The corpus is not changed."""
    from processing.plan import Target, plan_corpus

    words = [*(set_ or []), *([f"workers={workers}"] if workers else [])]
    chosen = stages.split(",") if stages else None
    plan_corpus(corpus, chosen, config, words, sample, Target(songs, machines, gpus, storage_mb_s), as_json)


def status(corpus: Corpus, as_json: AsJson = False) -> None:
    """What each stage has done: partitions, rows in, out and rejected, by reason; jobs running and set aside."""
    from autosing.console import summary
    from processing.engine.progress import words_of
    from processing.engine.record import last_run
    from processing.report import for_people, next_command, status

    rows, facts = status(corpus), last_run(corpus)
    following = next_command(corpus, rows)
    if as_json:
        summary(f"status of {corpus}", rows, as_json, **facts, next=following)
    else:
        summary(f"status of {corpus}", for_people(rows), False, **words_of(facts), next=following)
