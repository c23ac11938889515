"""The command line that joins the rooms: each command is a function of the room that does it.

Only typer and the standard library are imported here, and a room's door is opened when one of its commands is asked
for, so that `autosing --help` answers at once.
"""

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from autosing.errors import InputError

COMMANDS = {
    "demo": ("autosing.demo_cli:demo", "The main job end to end, on songs it makes itself."),
    "songs": ("autosing.songs.cli:songs", "Make songs of known truth: voices, lyrics, stems, times."),
    "import": ("processing.cli:import_songs", "A folder of songs -> a corpus of balanced partitions."),
    "process": ("processing.cli:process", "Run the stages over a corpus, on Ray."),
    "status": ("processing.cli:status", "What each stage has done: rows in, out and rejected, by reason."),
    "plan": ("processing.cli:plan", "What a corpus of any size would take: hours, bytes, wall time, what binds."),
    "build": ("dataset_builder.cli:build", "Stage tables -> a dataset of WebDataset shards."),
    "verify": ("dataset_builder.cli:verify", "Open every shard of a dataset and check every promise."),
    "train": ("train.cli:train", "Train one task: codec, semantic, t2s or sm2a."),
    "sing": ("inference.cli:sing", "Lyrics and a reference song -> singing."),
    "report": ("inference.cli:report", "One page to look at and listen to: counts, losses, songs."),
    "models": ("autosing.pretrained_cli:app", "Pretrained weights: list, fetch, where."),
}
"""name -> the function (or typer app) that does it, and the line that --help shows."""


class _Doors(TyperGroup):
    """Lists every command from COMMANDS and opens a door only when its command is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        if name not in COMMANDS:
            return None
        door, line = COMMANDS[name]
        if ctx.resilient_parsing or _lists_commands():
            return typer.main.get_command(_app(lambda: None, name, line))
        module, _, attribute = door.partition(":")
        target = getattr(importlib.import_module(module), attribute)
        return typer.main.get_command(target if isinstance(target, typer.Typer) else _app(target, name, None))


def _lists_commands() -> bool:
    """Whether the program was asked for its own help, so no command will run."""
    return len(sys.argv) < 2 or sys.argv[1] in ("--help", "-h")


def _app(function: Any, name: str, line: str | None) -> typer.Typer:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name, help=line)(function)
    return app


app = typer.Typer(cls=_Doors, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def autosing() -> None:
    """From folders of songs to models that sing."""


def main() -> None:
    """Run one command. Bad input is one clear line on stderr and exit code 2."""
    try:
        app()
    except InputError as error:
        sys.stderr.write(f"autosing: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
