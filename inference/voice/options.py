"""Options that the commands which sing with a voice share. Loads nothing heavy."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Option

SingerOverTime = Annotated[Path | None, Option(help="CSV of time_s and a column of weights a voice: who sings when.")]
Shift = Annotated[float | None, Option(help="Semitones higher, fractions too (default 0).")]
Temperature = Annotated[float | None, Option(help="Of the flow's noise; 0: the likeliest (default 1).")]
Seed = Annotated[int | None, Option(help="Same seed, same bytes (default 0).")]
Vocoder = Annotated[Path | None, Option(help="A run of 'autosing train vocoder', for a model in the space log_mel.")]
Device = Annotated[Literal["auto", "cpu", "cuda"] | None, Option(help="auto, cpu or cuda.")]
Watermark = Annotated[
    bool | None, Option("--watermark/--no-watermark", help="Mark the sound (default: on, where it is installed).")
]
ConfigFile = Annotated[Path | None, Option(help="YAML of the same options; those given here come first.")]
Settings = Annotated[list[str] | None, Option(help="key=value of the config.")]
AsJson = Annotated[bool, Option("--json", help="The summary as JSON on stdout.")]
