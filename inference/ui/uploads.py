"""What a browser sends -> a form's texts, and its files in a folder, within limits of size and of length."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from aiohttp import BodyPartReader, web

from autosing.audio.encoded import FileBytes
from autosing.audio.guard import inspect_apart
from autosing.errors import InputError
from inference.ui.asked import Filled
from inference.ui.forms import UPLOADS, Field, Form
from inference.voice.singers import AUDIO_ENDINGS

_TEXT_BYTES = 200_000
_PIECE = 1 << 16


@dataclass(frozen=True)
class Limits:
    """What one job may be sent."""

    megabytes: float = 200
    """All its files together."""
    seconds: float = 600
    """Each sound."""


class TooMuchError(InputError):
    """More than may be sent."""


async def filled(request: web.Request, form: Form, folder: Path, limits: Limits) -> Filled:
    """Raises InputError: a field that the form lacks, an ending that will not do, a sound that cannot be decoded or is
    too long; TooMuchError as soon as the limit is passed."""
    fields = {field.name: field for field in form.fields}
    texts: dict[str, str] = {}
    files: dict[str, list[Path]] = {}
    names: list[str] = []
    left = round(limits.megabytes * 1e6)
    if not request.content_type.startswith("multipart/"):
        raise InputError(f"found {request.content_type}, need multipart/form-data")
    async for part in await request.multipart():
        name = part.name if isinstance(part, BodyPartReader) else None
        field = fields.get(name or "")
        if field is None or not isinstance(part, BodyPartReader):
            raise InputError(f"{form.name}: no field is called {name}; known: {', '.join(fields)}")
        if field.kind in UPLOADS:
            if part.filename:
                held = files.setdefault(field.name, [])
                held.append(folder / f"{field.name}{len(held) or ''}{_ending(field, part.filename)}")
                names.append(part.filename)
                left = await _keep(part, held[-1], left, limits)
        else:
            texts[field.name] = await _text(part, field)
    sounds = [(field.label, path) for field in form.fields if field.kind in ("sound", "sounds")
              for path in files.get(field.name, ())]  # fmt: skip
    for label, path in sounds:
        await asyncio.to_thread(_check_length, label, path, limits)
    first = [line for line in (*texts.values(), "") if line.strip()]
    return Filled(texts, files, ", ".join(names) or (first[0].strip().splitlines()[0][:80] if first else ""))


def _ending(field: Field, name: str) -> str:
    ending = Path(name).suffix
    allowed = field.choices if field.kind == "score" else AUDIO_ENDINGS
    if ending.lower() not in [one.lower() for one in allowed]:
        raise InputError(f"{field.label}: {name!r} ends in {ending or 'nothing'!r}, need {', '.join(allowed)}")
    return ending


async def _keep(part: BodyPartReader, path: Path, left: int, limits: Limits) -> int:
    """The bytes that may still come."""
    with path.open("wb") as file:
        while piece := await part.read_chunk(_PIECE):
            left -= len(piece)
            if left < 0:
                raise TooMuchError(f"more than {limits.megabytes:g} MB; send less, or start with --max-mb")
            file.write(piece)
    return left


async def _text(part: BodyPartReader, field: Field) -> str:
    held = bytearray()
    while piece := await part.read_chunk(_PIECE):
        held += piece
        if len(held) > _TEXT_BYTES:
            raise TooMuchError(f"{field.label}: more than {_TEXT_BYTES // 1000} kB of text")
    return held.decode("utf-8", "replace")


def _check_length(label: str, path: Path, limits: Limits) -> None:
    with path.open("rb") as file:
        found = inspect_apart(FileBytes(file, 0, path.stat().st_size), label)
    if found.duration_s > limits.seconds:
        raise InputError(
            f"{label}: {found.duration_s:.0f} s, at most {limits.seconds:g}; cut it, or start with --max-seconds"
        )
