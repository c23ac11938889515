"""`autosing adapt`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from autosing.models.bundled import SVC_FLOW
from inference.voice.options import AsJson, ConfigFile, Settings

Option = typer.Option


def adapt(
    voice: Annotated[Path, Option(help="A folder of one person's recordings; minutes of singing, or a file of it.")],
    out: Annotated[Path, Option(help="The run: the model, its sounds, and all that is made on the way.")],
    name: Annotated[str | None, Option(help="The singer's name (default: the folder's).")] = None,
    base: Annotated[
        Path, Option(help="A run of 'autosing train svc_flow' to begin with, or the model that comes with autosing.")
    ] = Path(SVC_FLOW),
    separate: Annotated[
        bool | None, Option("--separate", help="The recordings are songs with a band: separate the voice first.")
    ] = None,
    source: Annotated[
        Path | None, Option(help="Singing that the sounds are converted from (default: a line that render sings).")
    ] = None,
    steps: Annotated[int | None, Option(help="Steps of training (default 300).")] = None,
    minutes: Annotated[float | None, Option(help="About so long it may take: as many steps as fit.")] = None,
    consent: Annotated[str | None, Option(help="Who agreed, and to what (default: asked once, on a terminal).")] = None,
    config: ConfigFile = None,
    set: Settings = None,
    json: AsJson = False,
) -> None:
    """Your own voice in minutes: recordings -> clips -> a model trained on with them -> the voice enrolled.

    An early sound comes first: OUT/early.wav. The same command again goes on where it stopped.
    """
    given: dict[str, Any] = {"steps": steps, "minutes": minutes, "separate": separate}

    from dataclasses import replace

    from autosing.config import load_config
    from autosing.console import command, summary
    from autosing.ids import clean_id
    from inference.adapt import AdaptConfig, AdaptRequest, checked
    from inference.adapt import adapt as run
    from inference.voice_cli import asked_consent

    words = [f"{key}={value}" for key, value in given.items() if value is not None]
    settings = load_config(AdaptConfig, config, [*(set or []), *words])
    request = AdaptRequest(voice, out, name or clean_id(voice.resolve().stem), base, source, settings)
    begun = checked(request)
    said = consent or begun.consent or asked_consent(f"adapt --name {request.name}", request.name)
    rows = run(request, replace(begun, consent=said))
    options = ("--source", "song.wav", "--singer", request.name, "--out", "out.wav")
    summary(
        "adapted", rows, as_json=json, run=out, singer=request.name, early=out / "early.wav", sound=out / "sung.wav",
        next=command("convert", "--model", out, *options),
    )  # fmt: skip
