"""A run and a form -> a folder that other programs use (`autosing export`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from autosing.checkpoint import WEIGHTS, describe_model
from autosing.errors import InputError
from inference.export.manifest import MANIFEST, made_by_us
from inference.export.weights import MADE_BY

Form = Literal["safetensors", "onnx", "openutau"]


@dataclass(frozen=True)
class Wanted:
    """What the forms but safetensors may be told."""

    vocoder: Path | None = None
    """A run of 'autosing train vocoder', for a model in the space log_mel."""
    steps: int | None = None
    """Of the flow; None: 4, or those it was distilled to."""
    singers: Sequence[str] = ()
    """openutau: the voices in it, as --singer names them; none: those of the run."""
    languages: Sequence[str] = ()
    """openutau: those whose phones it has."""


def export(run: Path, out: Path, form: Form = "safetensors", wanted: Wanted | None = None) -> list[dict[str, Any]]:
    """Writes into the folder `out`; returns a summary row for each file. A second time, the same again.

    Raises InputError where the run cannot be had in that form, an option means nothing to it, or `out` holds what this
    did not write.
    """
    wanted = wanted or Wanted()
    _check_out(run, out)
    kind = describe_model(run).kind
    if form == "safetensors":
        from inference.export.weights import export_weights

        _refuse(form, vocoder=wanted.vocoder, steps=wanted.steps, singer=wanted.singers, language=wanted.languages)
        return export_weights(run, out)
    from inference.export.onnx_file import check_packages

    check_packages()
    if form == "onnx":
        from inference.export.onnx_models import export_onnx

        _refuse(form, singer=wanted.singers, language=wanted.languages)
        return export_onnx(run, kind, out, wanted.vocoder, wanted.steps)
    from inference.export.openutau.package import export_openutau

    return export_openutau(run, kind, out, wanted.vocoder, wanted.steps, wanted.singers, wanted.languages)


def _refuse(form: Form, **options: object) -> None:
    for name, value in options.items():
        if value:
            raise InputError(f"--{name}: means nothing with --as {form}; leave it out")


def _check_out(run: Path, out: Path) -> None:
    if out.resolve() == run.resolve():
        raise InputError(f"--out {out}: is the run; give another folder")
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; give a folder")
    if not out.is_dir() or not any(out.iterdir()) or made_by_us(out / MANIFEST):
        return
    if not (out / WEIGHTS).exists() or describe_model(out).extra.get("made_by") != MADE_BY:
        raise InputError(f"--out {out}: holds files that '{MADE_BY}' did not write; give another folder")
