"""`autosing evaluate`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Option = typer.Option


def evaluate(
    data: Annotated[
        Path, typer.Argument(help="A dataset, a folder of 'autosing songs', or recordings: <singer>/*.wav.")
    ],
    out: Annotated[Path, Option(help="The .html page to write; a .json of all figures goes beside it.")],
    model: Annotated[list[Path] | None, Option(help="A run that sings; may be given again.")] = None,
    against: Annotated[
        list[Path] | None, Option(help="Another system's sounds, named as the clips are; may be given again.")
    ] = None,
    clips: Annotated[int | None, Option(help="How many (default 12).")] = None,
    seconds: Annotated[float | None, Option(help="Of a clip of songs or recordings, at most (default 15).")] = None,
    seed: Annotated[int | None, Option(help="Which clips, and the draws of the intervals (default 0).")] = None,
    split: Annotated[str | None, Option(help="Of a dataset (default: test, or valid).")] = None,
    target: Annotated[
        Literal["own", "other"] | None, Option(help="Who should sing: the clip's own singer, or another of them.")
    ] = None,
    rate: Annotated[int | None, Option(help="Resample all sounds to this rate, Hz (default: the models').")] = None,
    language: Annotated[str | None, Option(help="Of recordings (default en).")] = None,
    words: Annotated[bool | None, Option("--words/--no-words", help="Ask Whisper what it hears.")] = None,
    shown: Annotated[int | None, Option(help="Clips with players on the page (default 12).")] = None,
    sounds: Annotated[Path | None, Option(help="A folder in which all sounds stay: <system>/<clip>.wav.")] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"] | None, Option(help="auto, cpu or cuda.")] = None,
    config: Annotated[Path | None, Option(help="YAML of the same options; those given here come first.")] = None,
    set: Annotated[
        list[str] | None, Option(help="key=value of the config, e.g. convert.engine.sampling.steps=2.")
    ] = None,
    force: Annotated[
        bool, Option("--force", help="Also replace a page that 'autosing evaluate' did not write.")
    ] = False,
    json: Annotated[bool, Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Measure models and other systems on the same clips, beside the truth, resynthesis, WORLD and the source.

    Figures of a sound are kept by its digest, so that a second run measures only what is new.
    """
    given: dict[str, Any] = {
        "clips": clips, "seconds": seconds, "seed": seed, "split": split, "target": target, "rate_hz": rate,
        "language": language, "words": words, "shown": shown, "convert.device": device, "render.device": device,
        "speech.device": device,
    }  # fmt: skip

    from autosing.config import load_config
    from autosing.console import summary
    from inference.evaluate.run import EvaluateConfig, EvaluateRequest
    from inference.evaluate.run import evaluate as run

    options = [f"{name}={value}" for name, value in given.items() if value is not None]
    settings = load_config(EvaluateConfig, config, [*(set or []), *options], convert={"keep_features": False})
    facts = run(EvaluateRequest(data, out, model or [], against or [], sounds, settings, force))
    systems = facts["systems"]
    measured = dict.fromkeys(key for found in systems.values() for key in found if key != "clips")
    rows = [
        {"figure": key, **{name: found[key]["mean"] if key in found else "" for name, found in systems.items()}}
        for key in measured
    ]
    summary("evaluated", rows, as_json=json, clips=len(facts["clips"]), page=str(out), figures=facts["figures"])
