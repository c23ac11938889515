"""A request and an output path -> files, for one song or for a folder of lyrics; models are loaded once."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autosing.console import note
from autosing.errors import InputError
from inference.files import FORMATS, Files, check_rate
from inference.load import Models, load_models
from inference.lyrics_plan import LYRICS_ENDINGS
from inference.output import check_out, write
from inference.request import ResolvedRequest, SingRequest, open_inputs, resolve
from inference.result import Sung
from inference.singing import perform


@dataclass(frozen=True)
class Job:
    """A request, and where and how its output is written."""

    request: SingRequest
    out: Path
    codes: bool = False
    remark: str = ""
    force: bool = False
    config: Path | None = None
    """The YAML that the request's config was read from: an input that must not be replaced."""

    def check(self, request: SingRequest, out: Path) -> Files:
        """The files of one song. Raises InputError as `check_out` does."""
        inputs = request.files() | ({"--config": self.config} if self.config else {})
        return check_out(out, request.config, self.codes, inputs, self.force)


def sing_one(job: Job) -> tuple[Sung, list[dict[str, Any]]]:
    """Sing one song -> the result, and a row for each candidate. Raises InputError before anything is written."""
    files = job.check(job.request, job.out)
    resolved = resolve(job.request)
    models = load_models(resolved)
    _check_codec_rate(job.out, models, job.request)
    sung = perform(resolved, models)
    return sung, write(sung, files, job.remark)


def sing_folder(job: Job, lyrics: Path, format: str = "wav") -> list[dict[str, Any]]:
    """Sing each .lrc and .txt file of a folder into the folder `job.out`.

    Returns a row for each candidate, and one with `error` for each file that could not be sung.
    Raises InputError where nothing can be sung: no such files, a bad reference, bad models.
    """
    if job.out.suffix.lower() in FORMATS or job.out.is_file():
        raise InputError(f"--out {job.out}: names a file; --lyrics {lyrics} is a folder, so give --out FOLDER")
    if job.out.is_dir() and job.out.samefile(lyrics):
        raise InputError(f"--out {job.out}: is the folder of the lyrics, which would be replaced; give another folder")
    bad: dict[Path, str] = {}
    inputs = open_inputs(job.request)
    ready: list[tuple[Path, ResolvedRequest, Files]] = []
    for path, out in _songs(lyrics, job.out, format).items():
        request = replace(job.request, lyrics=f"@{path}")
        try:
            ready.append((path, resolve(request, inputs), job.check(request, out)))
        except InputError as error:
            bad[path] = str(error)
    for path, clash in _clashes(ready).items():
        bad[path] = clash
    models: Models | None = None
    rows: list[dict[str, Any]] = []
    for path, resolved, files in ready:
        if path in bad:
            continue
        models = models or load_models(resolved)
        _check_codec_rate(files.takes[0].mix, models, job.request)
        note(f"{path.name}: singing {resolved.length_s:.2f} s")
        try:
            sung = perform(resolved, models)
        except InputError as error:
            bad[path] = str(error)
            continue
        rows += [{"lyrics": path.name, **row} for row in write(sung, files, job.remark)]
    for path, found in bad.items():
        note(f"{path.name}: {found}")
    return rows + [{"lyrics": path.name, "error": found} for path, found in bad.items()]


def _songs(lyrics: Path, out: Path, format: str) -> dict[Path, Path]:
    """Each file of lyrics -> its output. A .txt is skipped where a .lrc has the same name."""
    found = sorted(p for p in lyrics.iterdir() if p.suffix.lower() in LYRICS_ENDINGS and not p.name.startswith("."))
    timed = {path.stem for path in found if path.suffix.lower() == ".lrc"}
    songs: dict[Path, Path] = {}
    for path in found:
        if path.suffix.lower() == ".txt" and path.stem in timed:
            note(f"{path.name}: not sung, {path.stem}.lrc has the same lyrics with times")
        elif path.is_file():
            songs[path] = out / f"{path.stem}.{format}"
    if not songs:
        raise InputError(
            f"--lyrics {lyrics}: a folder without a {' or '.join(LYRICS_ENDINGS)} file; give one with some"
        )
    return songs


def _clashes(ready: list[tuple[Path, ResolvedRequest, Files]]) -> dict[Path, str]:
    """Songs whose files would replace those of an earlier one: a.vocals.txt beside a.txt."""
    owners: dict[Path, Path] = {}
    found: dict[Path, str] = {}
    for path, _, files in ready:
        for written in (*files, files.record):
            owner = owners.setdefault(written, path)
            if owner != path:
                found[path] = f"its {written.name} would replace that of {owner.name}; rename it"
    return found


def _check_codec_rate(out: Path, models: Models, request: SingRequest) -> None:
    check_rate(out, request.config.sample_rate_hz or models.codec.spec.sample_rate_hz)
