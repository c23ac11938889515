"""A source, or a folder of them, and --out -> which files are written, checked before: none is anybody's own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from autosing.errors import InputError
from inference.files import FORMATS, check_inputs, check_owned, check_writable
from inference.voice.singers import audio_in

MADE_BY = "autosing convert"


@dataclass(frozen=True)
class Converted:
    """The files of one conversion: out.wav, its record out.json, and the pitch that was sung where it is asked for."""

    audio: Path
    pitch: Path | None = None
    made_by: str = MADE_BY

    @property
    def record(self) -> Path:
        return self.audio.with_suffix(".json")

    def __iter__(self) -> Iterator[Path]:
        yield self.audio
        if self.pitch:
            yield self.pitch


def outputs_of(
    source: Path, out: Path, pitch: Path | None, inputs: Mapping[str, Path], force: bool
) -> list[tuple[Path, Converted]]:
    """(source, its files) in order. `inputs`: option -> what is read, and must not be replaced.

    Raises InputError: no such source, an odd ending, files of others (unless `force`) or that cannot be written, two
    sources that would become one file.
    """
    if not source.exists():
        raise InputError(f"--source {source}: no such file or folder")
    if source.is_dir():
        if out.exists() and not out.is_dir():
            raise InputError(f"--out {out}: is a file; a folder of sources needs a folder")
        pairs = [
            (path, Converted(out / path.relative_to(source).with_suffix(".wav")))
            for path in audio_in(source, "--source ")
        ]
    else:
        if out.suffix.lower() not in FORMATS:
            raise InputError(f"--out {out}: ends in {out.suffix or 'nothing'!r}, need {', '.join(FORMATS)}")
        pairs = [(source, Converted(out, pitch))]
    owners: dict[Path, Path] = {}
    for path, files in pairs:
        owner = owners.setdefault(files.audio, path)
        if owner != path:
            raise InputError(f"--source {path}: would be written over {owner.name}, as {files.audio}; rename one")
        check_writable(files.audio)
        check_inputs(files, {**inputs, "--source": path})
        check_owned(files, force)
    return pairs
