"""`autosing ui`."""

from pathlib import Path
from typing import Annotated

import typer

from autosing.storage.store import place

Option = typer.Option


def ui(
    out: Annotated[Path, Option(help="Folder of what is made, a folder a job.")] = Path("autosing-ui"),
    runs: Annotated[Path, Option(help="Folder of runs, whose models the page offers.")] = Path("runs"),
    corpus: Annotated[
        Path | None, Option(parser=place, help="Folder or s3:// address: its clips and rejects are shown, too.")
    ] = None,
    port: Annotated[int, Option(min=0, max=65535, help="Of this computer; 0: any that is free.")] = 8765,
    browser: Annotated[bool, Option("--browser/--no-browser", help="Open the page.")] = True,
    max_mb: Annotated[float, Option(min=0.001, help="Megabytes that one job may be sent.")] = 200,
    max_seconds: Annotated[float, Option(min=1, help="Length of a sound that is sent.")] = 600,
) -> None:
    """Serve a page to this computer's browser, and to no other, until it is interrupted (Ctrl-C).

    Jobs run one after another and can be cancelled. What they made stays in --out.
    """
    import webbrowser

    from inference.ui.server import Settings, serve
    from inference.ui.uploads import Limits

    def ready(address: str) -> None:
        typer.echo(f"{address} (Ctrl-C ends it)")
        if browser:
            webbrowser.open(address)

    serve(out, port, Settings(runs, Limits(max_mb, max_seconds), corpus, out / "corrected"), ready)
