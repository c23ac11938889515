"""`autosing convert` and `autosing voices`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from autosing.models.bundled import SVC_FLOW
from inference.voice.options import (
    AsJson,
    ConfigFile,
    Device,
    Seed,
    Settings,
    Shift,
    SingerOverTime,
    Temperature,
    Vocoder,
    Watermark,
)

Option = typer.Option
voices = typer.Typer(no_args_is_help=True, help="Singers from wavs: enrol, list, mix.")


def convert(
    source: Annotated[Path, Option(help="Singing: a file, or a folder of files.")],
    out: Annotated[Path, Option(help="The .wav, .flac, .ogg or .mp3 to write; a folder for a folder.")],
    model: Annotated[
        Path, Option(help="A run of 'autosing train svc_flow' or 'svc_vits', or the model that comes with autosing.")
    ] = Path(SVC_FLOW),
    singer: Annotated[
        list[str] | None,
        Option(help="An enrolled voice, a singer of the run, a wav, or a blend: several times, a=0.5 b=0.5."),
    ] = None,
    singer_over_time: SingerOverTime = None,
    shift: Shift = None,
    key: Annotated[Literal["auto", "keep"] | None, Option(help="auto: into the singer's range.")] = None,
    pitch: Annotated[Path | None, Option(help="CSV of time_s, hz, voiced that is sung instead.")] = None,
    pitch_out: Annotated[Path | None, Option(help="Write the pitch that was sung as such a CSV.")] = None,
    over_music: Annotated[
        bool | None, Option("--over-music", help="Separate the song, convert its voice, mix again.")
    ] = None,
    steps: Annotated[
        int | None, Option(help="Steps of the flow (default: the model's usual ones, or those it was distilled to).")
    ] = None,
    method: Annotated[str | None, Option(help="Solver: euler, heun, midpoint, dpm++1 to 3, ml-sde.")] = None,
    temperature: Temperature = None,
    guidance: Annotated[float | None, Option(help="How hard to follow content and singer; 1 is off.")] = None,
    guidance_singer: Annotated[
        float | None, Option(help="How hard to follow the singer alone; 1 is off (default: as is usual of the model).")
    ] = None,
    seed: Seed = None,
    carry_pitch: Annotated[
        bool | None, Option("--carry-pitch/--no-carry-pitch", help="Pitch through unvoiced frames (USP).")
    ] = None,
    silence_db: Annotated[float | None, Option(help="Below this level of the source nothing sounds (-60).")] = None,
    fade_ms: Annotated[float | None, Option(help="Fades at the edges of silence (20).")] = None,
    chunk_s: Annotated[float | None, Option(help="Seconds sung at once (10).")] = None,
    vocoder: Vocoder = None,
    watermark: Watermark = None,
    device: Device = None,
    config: ConfigFile = None,
    set: Settings = None,
    force: Annotated[bool, Option("--force", help="Also replace files that 'autosing convert' did not write.")] = False,
    json: AsJson = False,
) -> None:
    """Sing a recording again in another voice: the same words, melody and dynamics, exactly as long.

    Inputs are never replaced; files that 'autosing convert' did not write are replaced only with --force.
    """
    given: dict[str, Any] = {
        "shift": shift, "key": key, "over_music": over_music, "device": device, "engine.sampling.steps": steps,
        "engine.sampling.method": method, "engine.sampling.temperature": temperature,
        "engine.sampling.guidance": guidance, "engine.sampling.guidance_singer": guidance_singer,
        "engine.sampling.seed": seed, "engine.carry_pitch": carry_pitch, "engine.silence_db": silence_db,
        "engine.fade_ms": fade_ms, "engine.chunk_s": chunk_s, "vocoder": vocoder, "watermark": watermark,
    }  # fmt: skip

    from autosing.config import load_config
    from autosing.console import summary
    from inference.voice.convert import ConvertConfig, Request
    from inference.voice.convert import convert as run
    from inference.voice.singers import asked_voice

    words = [f"{name}={value}" for name, value in given.items() if value is not None]
    settings = load_config(ConvertConfig, config, [*(set or []), *words])
    asked = asked_voice(singer, singer_over_time, model)
    others = asked.files if config is None else {"--config": config, **asked.files}
    rows = run(Request(model, source, out, asked.voice, asked.over_time, pitch, pitch_out, settings, force, others))
    bad = sum("error" in row for row in rows)
    summary("converted", rows, as_json=json, bad=bad)
    if bad:
        raise typer.Exit(2)


@voices.command("enrol")
def enrol(
    name: Annotated[str, typer.Argument(help="Letters, digits, '_' and '-'.")],
    files: Annotated[list[Path], typer.Argument(help="Audio of the singer, alone; or folders of it.")],
    consent: Annotated[str | None, Option(help="Who agreed, and to what (default: asked once, on a terminal).")] = None,
    json: AsJson = False,
) -> None:
    """Keep a singer under a name: the mean voice of some recordings, where it sings, and who agreed to it.

    The same recordings again under the same name keep the consent that is recorded.
    """
    from autosing.console import summary
    from inference.voice.singers import consent_given
    from inference.voice.singers import enrol as run

    recorded = consent_given(name, files)
    if consent is None:
        consent = recorded or asked_consent(f"voices enrol {name}", name)
    summary("enrolled", [_row(run(name, files, consent))], as_json=json)


@voices.command("list")
def list_voices(
    model: Annotated[Path | None, Option(help="A run: the singers it was trained on, too.")] = None,
    json: AsJson = False,
) -> None:
    """The voices that are enrolled, and those of a run."""
    from autosing.console import summary
    from inference.voice.singers import enrolled, voices_of_run

    rows = [{**_row(voice), "from": "enrolled"} for voice in enrolled()]
    rows += [{**_row(voice), "from": str(model)} for voice in (voices_of_run(model) if model else [])]
    summary("voices", rows, as_json=json)


@voices.command("mix")
def mix(
    name: Annotated[str, typer.Argument(help="The new voice's name.")],
    parts: Annotated[list[str], typer.Argument(help="NAME=WEIGHT, two or more.")],
    model: Annotated[Path | None, Option(help="A run whose singers may be named, too.")] = None,
    json: AsJson = False,
) -> None:
    """Keep a blend of voices under a name."""
    from autosing.console import summary
    from inference.voice.singers import keep, parse_singers

    summary("mixed", [_row(keep(name, parse_singers(parts, run=model)))], as_json=json)


@voices.command("index")
def index(
    name: Annotated[str, typer.Argument(help="The .npy is written under this name, beside the voices.")],
    dataset: Annotated[Path, typer.Argument(help="A dataset with the member content in which the singer sings.")],
    singer: Annotated[str, Option(help="The singer's name in the dataset.")],
    json: AsJson = False,
) -> None:
    """Keep a singer's own content frames, for 'autosing convert --set index=FILE'."""
    from autosing.console import summary
    from inference.voice.singers import index_singer

    path, frames = index_singer(name, dataset, singer)
    summary("index", [{"file": str(path), "frames": frames}], as_json=json)


def asked_consent(asks: str, name: str) -> str:
    """What is typed. `asks`: the command, for errors. Raises InputError where there is no terminal to ask on."""
    from autosing.errors import InputError
    from inference.voice.singers import CONSENT_EXAMPLE

    if not sys.stdin.isatty():
        raise InputError(
            f"{asks}: no consent given, and no terminal to ask on; give --consent with who agreed, and to "
            f"what, as in {CONSENT_EXAMPLE!r}"
        )
    said: str = typer.prompt(f"Voices belong to people. Who agreed that {name} is enrolled, and to what?", err=True)
    return said


def _row(voice: Any) -> dict[str, Any]:
    from inference.voice.singers import NOT_RECORDED

    span = voice.range
    return {
        "name": voice.name, "seconds": round(voice.seconds, 1), "files": len(voice.sources),
        "range_hz": f"{span.low_hz:.0f}-{span.high_hz:.0f}" if span else "",
        "middle_hz": round(span.middle_hz, 1) if span else "", "consent": voice.consent or NOT_RECORDED,
    }  # fmt: skip
