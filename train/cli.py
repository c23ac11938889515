"""`autosing train`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from autosing import console
from autosing.errors import InputError
from autosing.storage.store import place


def train(
    task: Annotated[
        Literal[
            "t2s",
            "sm2a",
            "codec",
            "semantic",
            "vocoder",
            "svc_flow",
            "svc_vits",
            "refiner",
            "visinger",
            "sts",
            "ctc_head",
        ],
        typer.Argument(
            help="Lyrics to semantic tokens, these to codec tokens, the tokenizers of the two, a vocoder, a voice "
            "conversion model, a refiner of one, a model that sings scores or speech, or the aligner's head."
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(parser=place, help="Dataset of 'autosing build': folder or s3:// address.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Run folder: config, checkpoints, model, metrics, samples.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML of what differs from the defaults.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, for example task.size=tiny.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the run's last checkpoint.")] = False,
    address: Annotated[str | None, typer.Option(help="Train on Ray: auto, HOST:PORT or local.")] = None,
    ranks: Annotated[int | None, typer.Option(help="Processes on Ray; by default one for each GPU.", min=1)] = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the config that would be used, as YAML, and do nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Train one task on a dataset. A second run of the same command does nothing once the steps are done."""
    from train import launch

    if show_config:
        typer.echo(launch.show_config(task, config, set_ or []), nl=False)
        return
    if data is None or run is None:
        raise InputError(f"train {task}: --data DATASET and --run FOLDER are needed (or --show-config alone)")
    launcher = None
    if address is not None:
        from train.cluster import ray_launcher

        launcher = ray_launcher(address, ranks)
    row = launch.train(task, data, run, config, set_ or [], resume, console.note, launcher)
    warning = row.pop("warning", None)
    facts = {"run": str(run), **({"warning": warning} if warning else {}), "next": next_command(task, data, run)}
    console.summary(f"train {task}", [row], as_json, **facts)


def next_command(task: str, data: object, run: Path) -> str:
    """The next command after a run of the task."""
    if task == "t2s":
        return console.command("train", "sm2a", "--data", data, "--run", run.with_name("sm2a"))
    if task == "sm2a":
        t2s = run.with_name("t2s")
        options = ("--reference", "song.mp3", "--lyrics", "words to sing", "--out", "out.wav")
        return console.command("sing", "--t2s", t2s, "--sm2a", run, *options)
    if task in ("svc_flow", "svc_vits", "refiner"):
        options = ("--source", "song.wav", "--singer", "NAME", "--out", "out.wav")
        return console.command("convert", "--model", run, *options)
    if task == "visinger":
        options = ("--score", "song.mid", "--singer", "NAME", "--out", "out.wav")
        return console.command("render", "--model", run, *options)
    if task == "sts":
        options = ("--speech", "speech.wav", "--score", "song.mid", "--out", "out.wav")
        return console.command("speech-to-singing", "--model", run, *options)
    if task == "vocoder":
        return console.command("train", "svc_flow", "--data", data, "--run", run.with_name("svc"))
    stages = {"codec": ("acoustic", "codec"), "semantic": ("semantic", "codebook"), "ctc_head": ("align", "head")}
    stage, key = stages[task]
    return console.command("process", "CORPUS", "--set", f"{stage}.{key}={run}")
