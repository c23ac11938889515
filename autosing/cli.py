"""The command line that joins the rooms: each command is a function of one room.

Only typer and the standard library are imported here. A room is imported only when one of its commands is used, so that
`autosing --help` answers at once.
"""

import difflib
import importlib
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from autosing.errors import InputError

QUIET = "--quiet"
COMMANDS = {
    "demo": ("autosing.demo_cli:demo", "The main job end to end, on songs it makes itself."),
    "songs": ("autosing.songs_cli:songs", "Make songs of known truth: voices, lyrics, stems, times."),
    "import": ("processing.cli:import_songs", "A folder of songs -> a corpus of balanced partitions."),
    "process": ("processing.cli:process", "Run the stages over a corpus, on Ray."),
    "status": ("processing.cli:status", "What each stage has done: rows in, out and rejected, by reason."),
    "plan": ("processing.cli:plan", "What a corpus of any size would take: hours, bytes, wall time, what binds."),
    "build": ("dataset_builder.cli:build", "Stage tables -> a dataset of WebDataset shards."),
    "verify": ("dataset_builder.cli:verify", "Open every shard of a dataset and check it."),
    "train": (
        "train.cli:train",
        "Train a task: codec, semantic, t2s, sm2a, svc_flow, svc_vits, refiner, visinger, sts, vocoder or ctc_head.",
    ),
    "sing": ("inference.cli:sing", "Lyrics and a reference song -> singing."),
    "convert": ("inference.voice_cli:convert", "A recording sung again in another voice."),
    "adapt": ("inference.adapt_cli:adapt", "Recordings of one person -> a model that sings in that voice."),
    "render": ("inference.render_cli:render", "A score (MIDI, MusicXML ...) and a singer -> singing."),
    "speech-to-singing": ("inference.speech_cli:speech_to_singing", "Speech and a score or a melody -> singing."),
    "voices": ("inference.voice_cli:voices", "Singers from wavs: enrol, list, mix."),
    "merge": ("inference.cli:merge", "Runs of one shape -> a model of their mean weights."),
    "export": ("inference.cli:export", "A run -> weights alone, ONNX graphs, or a singer for OpenUtau."),
    "evaluate": ("inference.evaluate_cli:evaluate", "Models on the same clips: all figures, and a page to listen to."),
    "inspect": ("inference.provenance_cli:inspect", "What made a sound: its tags, its watermark, its record."),
    "report": ("inference.cli:report", "One page to look at and listen to: counts, losses, songs."),
    "ui": ("inference.ui_cli:ui", "A page in this computer's browser: sing, convert, render, enrol."),
    "models": ("autosing.pretrained_cli:app", "Pretrained weights: list, fetch, where."),
}
"""name -> the function (or typer app) of the command, and its line in --help."""


class _LazyCommands(TyperGroup):
    """Lists every command from COMMANDS, and imports a command's module only when the command is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        """What lists of commands show of it."""
        return typer.main.get_command(_app(lambda: None, name, COMMANDS[name][1])) if name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is to run, or whose options a shell completes."""
        name, *others = args
        if name in COMMANDS:
            return name, loaded(name), others
        if ctx.resilient_parsing:
            return None, None, others
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(COMMANDS)}"
        raise InputError(f"no command {name!r}; {hint}")


def loaded(name: str) -> Any:
    """A command of COMMANDS, whose module is imported."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    target = getattr(importlib.import_module(module), attribute)
    return typer.main.get_command(target if isinstance(target, typer.Typer) else _app(target, name, None))


def _app(function: Any, name: str, line: str | None) -> typer.Typer:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=HELP)
    app.command(name, help=line)(function)
    return app


HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(cls=_LazyCommands, pretty_exceptions_enable=False, no_args_is_help=True, context_settings=HELP)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"autosing {version('autosing')}")
        raise typer.Exit


@app.callback()
def autosing(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option(QUIET, help="No notes and no progress; also behind a command. Summary and errors stay.")
    ] = False,
) -> None:
    """From folders of songs to models that sing."""
    assert not version  # handled by the callback
    if quiet:
        from autosing.console import be_quiet

        be_quiet()


def main() -> None:
    """Run one command. Bad input, or a full disk, is one clear line on stderr and exit code 2."""
    words = sys.argv[1:]
    if QUIET in words:  # also accepted behind a command, which does not declare it
        words = [QUIET, *(word for word in words if word != QUIET)]
    try:
        app(words)
    except InputError as error:
        _stop(str(error))
    except OSError as error:
        from autosing.storage.store import is_full

        if not is_full(error):
            raise
        where = error.filename or "a file"
        _stop(f"{where}: not written ({error.strerror}); make room, then run the same command again")


def _stop(message: str) -> NoReturn:
    sys.stderr.write(f"autosing: {message}\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
