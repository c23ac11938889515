"""`autosing inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from inference.voice.options import AsJson


def inspect(
    file: Annotated[Path, typer.Argument(help="A sound: wav, flac, ogg, opus or mp3.")],
    json: AsJson = False,
) -> None:
    """Say where a sound comes from: its tags, its watermark, and whether the record beside it is its own.

    Tags can be taken out and forged, and a watermark can be lost: what is not found is no proof of a recording.
    """
    from autosing.console import summary
    from inference.provenance.look import look

    found = look(file)
    rows = [found.facts()] if json else found.rows()
    summary("inspected", rows, as_json=json, file=str(file), verdict=found.verdict)
