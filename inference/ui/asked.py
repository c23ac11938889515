"""What was filled in -> the words of a command, as they would be typed in a shell."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosing.checkpoint import WEIGHTS, describe_model, shipped
from autosing.errors import InputError
from inference.ui.forms import UPLOADS, Field, Form
from inference.voice.singers import enrolled, voices_of_run

_STAMPED = re.compile(r"^\s*\[\d+:\d", re.MULTILINE)
_MOST_MODELS = 500


@dataclass(frozen=True)
class Filled:
    """One form as it came back."""

    texts: Mapping[str, str]
    files: Mapping[str, Sequence[Path]]
    """What was uploaded, by field."""
    about: str = ""
    """In a few words, for the list of jobs."""


def words_of(form: Form, filled: Filled, inputs: Path, out: Path) -> list[str]:
    """`inputs`: a folder for what the command reads; `out`: the sound that it is to write.

    Raises InputError: a field that must be filled is not, a singer that is not known, not a number.
    """
    options, bare = [], []
    for field in form.fields:
        given = [str(path) for path in filled.files.get(field.name, ())]
        if field.kind not in UPLOADS:
            given = _given(field, filled, inputs, form.voices_of)
        if field.needed and not given:
            raise InputError(f"{field.label}: is empty; it is needed")
        if field.bare:
            bare += given
        elif field.kind == "flag":
            options += [f"--{field.name}"] if given else []
        else:
            options += [f"--{field.name}={value}" for value in given]
    if form.sound:
        options.append(f"--out={out}")
    options += [f"--{option}={out.with_suffix(ending)}" for option, ending in form.beside]
    return [*form.command, *options, "--json", *(["--", *bare] if bare else [])]


def _given(field: Field, filled: Filled, inputs: Path, voices_of: str) -> list[str]:
    text = filled.texts.get(field.name, "").strip()
    if not text:
        return []
    if field.kind == "lines":
        path = inputs / f"{field.name}.{'lrc' if _STAMPED.search(text) else 'txt'}"
        path.write_text(text + "\n", encoding="utf-8")
        return [str(path)]
    if field.kind == "words":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if field.kind == "number":
        try:
            float(text)
        except ValueError:
            raise InputError(f"{field.label}: found {text!r}, need a number") from None
    if field.kind == "choice" and text not in field.choices:
        raise InputError(f"{field.label}: found {text!r}, need {' or '.join(field.choices)}")
    if field.kind == "singer":
        _check_singer(text, filled.texts.get(voices_of, ""))
    return [text]


def _check_singer(name: str, model: str) -> None:
    """Names only: a recording is enrolled first, where consent is asked for."""
    known = [voice["name"] for voice in singers(model)]
    if name not in known:
        raise InputError(f"Singer: nobody is called {name!r}; known: {', '.join(known) or 'none'}; enrol it at Voices")


def singers(model: str) -> list[dict[str, Any]]:
    """The voices that are enrolled, and those of a model. Raises InputError where it is none."""
    found = [(voice, "enrolled") for voice in enrolled()]
    found += [(voice, model) for voice in (voices_of_run(Path(model)) if model else ())]
    return [
        {
            "name": voice.name, "from": origin, "seconds": round(voice.seconds, 1), "consent": voice.consent or "",
            "range_hz": f"{voice.range.low_hz:.0f}-{voice.range.high_hz:.0f}" if voice.range else "",
        }
        for voice, origin in found
    ]  # fmt: skip


def models(runs: Path) -> dict[str, list[str]]:
    """Kind -> names: those that come with autosing, and the runs in a folder or in folders of it."""
    found: dict[str, list[str]] = {}
    lying = sorted({path.parent for pattern in ("*", "*/*") for path in runs.glob(f"{pattern}/{WEIGHTS}")})
    for name in (*shipped(), *map(str, lying[:_MOST_MODELS])):
        try:
            found.setdefault(describe_model(Path(name)).kind, []).append(name)
        except InputError:
            continue  # a file of another program
    return found
