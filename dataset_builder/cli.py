"""`autosing build` and `autosing verify`."""

from pathlib import Path
from typing import Annotated

import typer

from autosing import console
from autosing.storage.store import Place, place


def build(
    corpus: Annotated[Path, typer.Argument(parser=place, help="Processed corpus: a folder or an s3:// address.")],
    dataset: Annotated[
        Path, typer.Argument(parser=place, help="Folder or s3:// address: <split>/NNNNNN.tar, card.md, index.json.")
    ],
    members: Annotated[
        str | None, typer.Option(help="Comma-separated: audio, and features (semantic, singer, acoustic, pitch ...).")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML of what differs from the defaults.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, for example valid=0.1.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Join the stages' tables into shards, split by singer and song. A second run from the same tables does nothing."""
    from autosing.config import load_config
    from dataset_builder.build import build as build_dataset
    from dataset_builder.config import BuildConfig

    words = [*(set_ or []), *([f"members=[{members}]"] if members else [])]
    rows = build_dataset(corpus, dataset, load_config(BuildConfig, config, words), console.note)
    console.summary(f"build {dataset}", rows, as_json, next=next_command(dataset))


def verify(
    dataset: Annotated[Path, typer.Argument(parser=place, help="Folder or s3:// address of 'autosing build'.")],
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Open every shard and check it against the index: digests, counts, members, shapes, splits. Changes nothing."""
    from dataset_builder.verify import verify as verify_dataset

    rows = verify_dataset(dataset)
    console.summary(f"verify {dataset}: all checks passed", rows, as_json, next=next_command(dataset))


def next_command(dataset: Place) -> str:
    """The next command: the training of a task that the dataset has all members for."""
    from autosing.schemas.sample import DatasetIndex

    members = set(DatasetIndex.load(dataset).members)
    needs = {
        "t2s": {"semantic", "acoustic"}, "svc_flow": {"audio", "pitch", "loudness", "content", "singer"},
        "sts": {"audio", "pitch", "loudness", "score", "speech", "singer"},
        "visinger": {"audio", "pitch", "loudness", "score", "singer"}, "semantic": {"audio"},
    }  # fmt: skip
    task = next((task for task, needed in needs.items() if needed <= members), None)
    if task is None:
        return console.command("build", "CORPUS", dataset)
    return console.command("train", task, "--data", dataset, "--run", f"runs/{task}")
