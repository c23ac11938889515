"""`autosing render`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from autosing.models.bundled import VISINGER
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


def render(
    out: OutWithScore,
    score: Annotated[
        Path | None,
        Option(
            help="A .mid, .musicxml, .ustx, .ds, UltraStar .txt, .TextGrid or score .json. Without one, a tune is "
            "composed for --lyrics, another for each --seed."
        ),
    ] = None,
    model: Annotated[
        Path, Option(help="A run of 'autosing train visinger', or the model that comes with autosing.")
    ] = Path(VISINGER),
    band: Annotated[
        bool | None, Option("--band", help="Lay the voice over a band; for a tune that is composed.")
    ] = None,
    singer: Annotated[
        list[str] | None,
        Option(
            help="A singer of the run (default: its first) or an enrolled voice by name, a wav, or a blend, given "
            "several times: a=0.5."
        ),
    ] = None,
    singer_over_time: SingerOverTime = None,
    lyrics: Annotated[
        str | None,
        Option(help="Words in place of the score's, or a .txt: a syllable a note, - holds one over another."),
    ] = None,
    language: Language = None,
    shift: Shift = None,
    key: Annotated[
        Literal["keep", "octave", "auto"] | None,
        Option(help="octave: into the singer's range by whole octaves; auto: by whole semitones (default keep)."),
    ] = None,
    tempo_factor: Annotated[float | None, Option(help="So many times as fast (default 1).")] = None,
    from_: Annotated[float | None, Option("--from", help="Seconds of the score to begin at.")] = None,
    to: Annotated[float | None, Option("--to", help="Seconds of the score to end at.")] = None,
    pitch: Annotated[Path | None, Option(help="The .pitch.csv of an earlier run, edited: sung as it stands.")] = None,
    vibrato: Vibrato = None,
    track: Track = None,
    highest: Highest = None,
    steps: Steps = None,
    temperature: Temperature = None,
    guidance: Annotated[float | None, Option(help="How hard to follow score and singer; 1 is off.")] = None,
    seed: Seed = None,
    vocoder: Vocoder = None,
    watermark: Watermark = None,
    device: Device = None,
    config: ConfigFile = None,
    set: Settings = None,
    force: Annotated[bool, Option("--force", help="Also replace files that 'autosing render' did not write.")] = False,
    json: AsJson = False,
) -> None:
    """Sing a score in a singer's voice, the vowels on the beat. The pitch may be edited and sung again.

    Inputs are never replaced; files that 'autosing render' did not write are replaced only with --force.
    """
    given: dict[str, Any] = {
        "shift": shift, "key": key, "tempo_factor": tempo_factor, "from_s": from_, "to_s": to, "vibrato": vibrato,
        "band": band, "device": device, "engine.sampling.steps": steps, "engine.sampling.temperature": temperature,
        "engine.sampling.guidance": guidance, "engine.sampling.seed": seed, "score.track": track,
        "score.highest": highest, "score.language": language, "vocoder": vocoder, "watermark": watermark,
    }  # fmt: skip

    from autosing.config import load_config
    from autosing.console import summary
    from inference.lyrics_plan import lyrics_file
    from inference.render import RenderConfig, RenderRequest, render_score
    from inference.voice.singers import asked_voice

    words = [f"{name}={value}" for name, value in given.items() if value is not None]
    settings = load_config(RenderConfig, config, [*(set or []), *words])
    asked = asked_voice(singer, singer_over_time, model, or_first=True)
    read = {"--config": config, "--lyrics": lyrics_file(lyrics) if lyrics is not None else None, **asked.files}
    others = {option: path for option, path in read.items() if path}
    row = render_score(
        RenderRequest(
            model, score, out, asked.voice, lyrics, asked.over_time, pitch, settings, force=force, read=others
        )
    )
    summary("rendered", [row], as_json=json)
