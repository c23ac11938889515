"""Options that the commands which sing scores share. Loads nothing heavy."""

from pathlib import Path
from typing import Annotated

from typer import Option

Vibrato = Annotated[float | None, Option(help="Depth, in the singer's own; 0: none (default 1).")]
Language = Annotated[str | None, Option(help="ISO 639 of the words, where the score does not say.")]
Track = Annotated[str | None, Option(help="Of several tracks or parts: its name, or its number from 1.")]
Highest = Annotated[bool | None, Option("--highest", help="Of chords, sing the highest note.")]
Steps = Annotated[int | None, Option(help="Evaluations of the flow (default: the model's).")]
OutWithScore = Annotated[Path, Option(help="The .wav, .flac, .ogg or .mp3 to write; its .lrc, .mid ... lie beside it.")]
