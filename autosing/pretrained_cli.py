"""The commands `autosing models`: list pretrained weights, fetch them, and print where they lie."""

from typing import Annotated

import typer

from autosing.errors import InputError

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help="Pretrained weights.",
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="The same as JSON on stdout.")]


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List every known weight: licence, sources in the order they are tried, and whether it is in the cache."""
    from autosing.console import summary
    from autosing.pretrained import REGISTRY, home, where

    rows = []
    for weight in REGISTRY.values():
        row = {"name": weight.name, "here": "yes" if where(weight.name).is_file() else "no", "licence": weight.licence}
        row["sha256"] = weight.digest if as_json else weight.digest[:8]
        if as_json:
            row["about"] = weight.about
        rows.append(row | {"sources": "\n".join(str(source) for source in weight.sources)})
    summary("pretrained weights", rows, as_json, home=str(home()))


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Names of 'autosing models list'.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every weight that is used by default.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch weights into the cache and check them. Weights that are there already are only checked."""
    from autosing.console import summary
    from autosing.pretrained import REGISTRY, digest
    from autosing.pretrained import fetch as bring

    if every == bool(names):
        raise InputError("models fetch: give names of 'autosing models list', or --all")
    names = [name for name, weight in REGISTRY.items() if not weight.when_named] if every else names or []
    rows = [{"name": name, "path": str(bring(name)), "sha256": digest(name)} for name in names]
    summary("fetched", rows, as_json)


@app.command()
def where(name: str) -> None:
    """Print the path of a weight in the cache."""
    from autosing.pretrained import where as path_of

    typer.echo(path_of(name))
