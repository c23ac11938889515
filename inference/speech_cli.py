"""`autosing speech-to-singing`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from autosing.models.bundled import STS
from inference.score_options import Highest, Language, OutWithScore, Steps, Track, Vibrato
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


def speech_to_singing(
    speech: Annotated[Path, Option(help="A recording of the words, spoken.")],
    out: OutWithScore,
    model: Annotated[Path, Option(help="A run of 'autosing train sts', or the model that comes with autosing.")] = Path(
        STS
    ),
    score: Annotated[Path | None, Option(help="A .mid, .musicxml, .ustx, .ds ...: its words, or notes alone.")] = None,
    melody: Annotated[Path | None, Option(help="A recording that is hummed or sung: its pitch is sung.")] = None,
    pitch: Annotated[Path | None, Option(help="CSV of time_s, hz, voiced; with --score, in place of its own.")] = None,
    lyrics: Annotated[
        str | None, Option(help="The spoken words, or a .txt; else the score's, or what is heard.")
    ] = None,
    singer: Annotated[
        list[str] | None,
        Option(help="Another voice: of the run or enrolled, a wav, or a blend: several times, a=0.5."),
    ] = None,
    singer_over_time: SingerOverTime = None,
    language: Language = None,
    shift: Shift = None,
    vibrato: Vibrato = None,
    consonants: Annotated[float | None, Option(help="So many times as long as spoken (default 1.25).")] = None,
    track: Track = None,
    highest: Highest = None,
    steps: Steps = None,
    temperature: Temperature = None,
    guidance: Annotated[float | None, Option(help="How hard to follow speech and singer; 1 is off.")] = None,
    seed: Seed = None,
    vocoder: Vocoder = None,
    watermark: Watermark = None,
    device: Device = None,
    config: ConfigFile = None,
    set: Settings = None,
    force: Annotated[bool, Option("--force", help="Also replace files that this command did not write.")] = False,
    json: AsJson = False,
) -> None:
    """Sing what is spoken, in the speaker's voice or another, on a composed tune, a score or a hummed melody.

    Inputs are never replaced; files that 'autosing speech-to-singing' did not write are replaced only with --force.
    """
    given: dict[str, Any] = {
        "shift": shift, "vibrato": vibrato, "consonants": consonants, "watermark": watermark,
        "device": device,
        "engine.sampling.steps": steps, "engine.sampling.temperature": temperature,
        "engine.sampling.guidance": guidance, "engine.sampling.seed": seed, "score.track": track,
        "score.highest": highest, "score.language": language, "vocoder": vocoder,
    }  # fmt: skip

    from autosing.config import load_config
    from autosing.console import summary
    from inference.lyrics_plan import lyrics_file
    from inference.speech_to_singing import SpeechConfig, SpeechRequest, sing_speech
    from inference.voice.singers import asked_voice

    words = [f"{name}={value}" for name, value in given.items() if value is not None]
    settings = load_config(SpeechConfig, config, [*(set or []), *words])
    asked = asked_voice(singer, singer_over_time, model) if singer or singer_over_time else None
    read = {"--config": config, "--lyrics": lyrics_file(lyrics) if lyrics is not None else None}
    others = {option: path for option, path in read.items() if path} | (asked.files if asked else {})
    request = SpeechRequest(
        model, speech, out, score, melody, pitch, lyrics, asked.voice if asked else None,
        asked.over_time if asked else None, settings, force=force, read=others,
    )  # fmt: skip
    summary("sung", [sing_speech(request)], as_json=json)
