"""The files of one output: their names, and out.json, the record of the files that a command wrote.

`sing`, `convert` and `render` replace only files that they wrote. out.json holds the sha256 of each; a file with
another digest belongs to the user. Before the first file is replaced, out.json is marked `unfinished` and holds the
digests of the old and of the new files, so a killed run can be repeated, and no reader takes its files for complete.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from autosing.checkpoint import DESCRIPTION, WEIGHTS
from autosing.errors import InputError
from autosing.storage.store import attempt, digest_of

FORMATS = (".wav", ".flac", ".ogg", ".mp3")
"""Formats that decode to exactly the number of samples that were encoded."""
MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
MADE_BY = "autosing sing"


class Outputs(Protocol):
    """Every file of an output but its record, which lies in the first one's folder."""

    @property
    def made_by(self) -> str: ...
    @property
    def record(self) -> Path: ...
    def __iter__(self) -> Iterator[Path]: ...


@dataclass(frozen=True)
class Take:
    """The files of one candidate."""

    mix: Path
    vocals: Path
    codes: Path | None


@dataclass(frozen=True)
class Files:
    """Every file of an output: out.wav, or out.1.wav, out.2.wav ... of several candidates, and what goes with them."""

    takes: tuple[Take, ...]
    lyrics: Path
    record: Path
    made_by: str = MADE_BY

    @classmethod
    def of(cls, out: Path, candidates: int = 1, codes: bool = False) -> "Files":
        def take(mix: Path) -> Take:
            return Take(mix, vocals_of(mix), mix.with_suffix(".npz") if codes else None)

        numbered = [out.with_suffix(f".{number}{out.suffix}") for number in range(1, candidates + 1)]
        mixes = [out] if candidates == 1 else numbered
        return cls(tuple(take(mix) for mix in mixes), out.with_suffix(".lrc"), out.with_suffix(".json"))

    def __iter__(self) -> Iterator[Path]:
        """All but the record."""
        for take in self.takes:
            yield from (path for path in (take.mix, take.vocals, take.codes) if path)
        yield self.lyrics


def vocals_of(mix: Path) -> Path:
    """The path of the vocals that belong to a mix."""
    return mix.with_suffix(f".vocals{mix.suffix}")


def check_rate(out: Path, sample_rate_hz: int | None) -> None:
    """Raises InputError where the format cannot hold that rate."""
    if sample_rate_hz is not None and out.suffix.lower() == ".mp3" and sample_rate_hz not in MP3_RATES_HZ:
        raise InputError(
            f"--out {out}: an mp3 of {sample_rate_hz} Hz, need one of {', '.join(map(str, MP3_RATES_HZ))}; "
            "give another --rate, or another format"
        )


def check_inputs(files: Outputs, inputs: Mapping[str, Path]) -> None:
    """`inputs`: option -> a file or run folder that is read. Raises InputError where one of them would be replaced."""
    read = [
        (option, path)
        for option, named in inputs.items()
        for path in ((named / WEIGHTS, named / DESCRIPTION) if named.is_dir() else (named,))
    ]
    for written in (*files, files.record):
        for option, path in read:
            if _same_file(written, path):
                raise InputError(
                    f"--out: {written} would replace what is read as {option} {path}; give --out another name or folder"
                )


def check_owned(files: Outputs, force: bool = False) -> None:
    """Raises InputError where a file is there that the command did not write, or was changed since, unless `force`."""
    record, made_by = files.record, files.made_by
    held = _read(record, made_by)
    foreign = [path for path in files if path.exists() and not _stands(held, record, path)]
    if record.exists() and held is None:
        foreign.append(record)
    if folders := [path for path in (*files, record) if path.is_dir()]:
        raise InputError(f"--out: {folders[0]} is a folder, need its name for a file; give --out another name")
    if foreign and not force:
        changed = held is not None and _key(record, foreign[0]) in _digests(held)
        found = f"was changed since '{made_by}' wrote it" if changed else f"is there, and '{made_by}' did not write it"
        more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
        raise InputError(f"--out: {foreign[0]} {found}{more}; give --out another name, or --force to replace it")


def check_writable(out: Path) -> None:
    """Raises InputError where no file can be made there. Creates nothing."""
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"--out {out}: {folder} is a file, need a folder; give --out another folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--out {out}: no permission to write in {folder}; give --out another folder")


class Writing:
    """Files that are written beside their places, and take these together."""

    def __init__(self, files: Outputs, stack: ExitStack) -> None:
        self._files, self._stack = files, stack
        self._beside = stack.enter_context(attempt(files.record))
        self._written: dict[Path, Path] = {}

    def at(self, target: Path) -> Path:
        """Where to write what is to become `target`."""
        same = target.parent == self._files.record.parent
        folder = self._beside if same else self._stack.enter_context(attempt(target))
        self._written[target] = folder / f"{len(self._written)}{target.suffix}"
        return self._written[target]

    def commit(self, facts: Mapping[str, Any]) -> None:
        """Mark the record unfinished, move all files to their places, then finish the record."""
        record, made_by = self._files.record, self._files.made_by
        old = _digests(_read(record, made_by))
        new = {_key(record, target): digest_of(path) for target, path in self._written.items()}
        # Unchanged files of earlier runs with more candidates stay in the record.
        kept = {
            name: digest_of(record.parent / name)
            for name in old
            if name not in new and _stands_with(old[name], record.parent / name)
        }
        claim = {"made_by": made_by, "unfinished": True, "files": kept | new, "replaces": old}
        _replace(record, self._beside, claim)
        for target, path in self._written.items():
            path.replace(target)
        _replace(record, self._beside, {"made_by": made_by, **facts, "files": kept | new})


@contextmanager
def writing(files: Outputs) -> Iterator[Writing]:
    """`check_owned` must have been called before. What is not committed leaves nothing."""
    with ExitStack() as stack:
        yield Writing(files, stack)


def read_record(mix: Path) -> dict[str, Any]:
    """The record of a mix: of out.wav, or of one of several candidates, out.1.wav.

    Raises InputError: no such file, no record that names it, or one that was not finished.
    """
    records = dict.fromkeys((mix.with_suffix(".json"), mix.with_name(re.sub(r"\.\d+$", "", mix.stem) + ".json")))
    for path in records if mix.is_file() else ():
        record = _read(path, MADE_BY)
        if record is not None and record.get("unfinished"):
            raise InputError(f"{path}: '{MADE_BY}' did not finish it; run the same command again")
        if record is not None and mix.name in [Path(row["file"]).name for row in record["candidates"]]:
            return record
    names = " or ".join(path.name for path in records)
    raise InputError(f"{mix}: no such file, or no record of it ({names}) in its folder; make both with '{MADE_BY}'")


@dataclass(frozen=True)
class Standing:
    """What a record beside a file says of it."""

    record: Path
    made_by: str
    finished: bool
    same: bool
    """Whether the file has the digest that the record holds."""


def standing_of(path: Path) -> Standing | None:
    """By the record of any command that lies beside a file and names it; None where there is none."""
    stems = [path.stem]
    while "." in stems[-1].lstrip("."):  # out.1.vocals.wav: out.1.json, out.json
        stems.append(stems[-1].rpartition(".")[0])
    for record in (path.with_name(f"{stem}.json") for stem in stems):
        held = _read(record, None)
        if held is not None and _key(record, path) in _digests(held):
            return Standing(record, held["made_by"], not held.get("unfinished"), _stands(held, record, path))
    return None


def _read(path: Path, made_by: str | None) -> dict[str, Any] | None:
    """A record of that command (None: of any that says so); None where there is no file, or another JSON file."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError):
        return None
    if not isinstance(held, dict):
        return None
    if made_by is None:
        tables = held.get("files"), held.get("replaces", {})
        whole = all(isinstance(table, dict) for table in tables)
        return held if whole and str(held.get("made_by", "")).startswith("autosing ") else None
    of_before = made_by == MADE_BY and {"sm2a", "lines", "candidates"} <= held.keys()
    return held if of_before or held.get("made_by") == made_by else None


def _key(record: Path, path: Path) -> str:
    """The name under which a record holds a file: its path from the record's folder."""
    return os.path.relpath(path, record.parent)


def _replace(path: Path, beside: Path, facts: Mapping[str, Any]) -> None:
    (beside / "record").write_bytes(json.dumps(facts, ensure_ascii=False, indent=1).encode())
    (beside / "record").replace(path)


def _digests(record: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Name -> the digests that a file of the command may have: after a killed run the old one or the new one."""
    found: dict[str, list[str]] = {name: list(held) for name, held in (record or {}).get("replaces", {}).items()}
    for name, digest in (record or {}).get("files", {}).items():
        found[name] = sorted({*found.get(name, []), digest})
    return found


def _stands(held: Mapping[str, Any] | None, record: Path, path: Path) -> bool:
    return _stands_with(_digests(held).get(_key(record, path), []), path)


def _stands_with(digests: list[str], path: Path) -> bool:
    """Whether the file exists with one of these digests."""
    return bool(digests) and path.is_file() and digest_of(path) in digests


def _same_file(a: Path, b: Path) -> bool:
    if a.exists() and b.exists():
        return a.samefile(b)
    return a.resolve() == b.resolve()
