"""The files of one output: their names, and out.json, the record of the files that `sing` wrote.

`sing` replaces only files that it wrote. out.json holds the sha256 of each; a file with another digest belongs to the
user. Before the first file is replaced, out.json is marked `unfinished` and holds the digests of the old and of the new
files, so a killed run can be repeated, and no reader takes its files for complete.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosing.checkpoint import DESCRIPTION, WEIGHTS
from autosing.errors import InputError
from autosing.storage.store import attempt, digest_of

MADE_BY = "autosing sing"


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


def check_inputs(files: Files, inputs: Mapping[str, Path]) -> None:
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


def check_owned(files: Files, force: bool = False) -> None:
    """Raises InputError where a file exists that `sing` did not write or that was changed since, unless `force`."""
    held = _read(files.record)
    foreign = [path for path in files if path.exists() and not _stands(held, path)]
    if files.record.exists() and held is None:
        foreign.append(files.record)
    if folders := [path for path in (*files, files.record) if path.is_dir()]:
        raise InputError(f"--out: {folders[0]} is a folder, need its name for a file; give --out another name")
    if foreign and not force:
        changed = held is not None and foreign[0].name in _digests(held)
        found = f"was changed since '{MADE_BY}' wrote it" if changed else f"is there, and '{MADE_BY}' did not write it"
        more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
        raise InputError(f"--out: {foreign[0]} {found}{more}; give --out another name, or --force to replace it")


def check_writable(out: Path) -> None:
    """Raises InputError where no file can be made there. Creates nothing."""
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"--out {out}: {folder} is a file, need a folder; give --out another folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--out {out}: no permission to write in {folder}; give --out another folder")


def put_all(files: Files, data: Mapping[Path, bytes], facts: Mapping[str, Any]) -> None:
    """Write all files to a temporary folder, mark the record unfinished, move them into place, then finish the record.

    `check_owned` must have been called before.
    """
    old, names = _digests(_read(files.record)), [path.name for path in data]
    new = {path.name: hashlib.sha256(held).hexdigest() for path, held in data.items()}
    # Unchanged files of earlier runs with more candidates stay in the record.
    folder = files.record.parent
    kept = {
        name: digest_of(folder / name)
        for name in old
        if name not in names and _stands_with(old[name], folder / name)
    }  # fmt: skip
    with attempt(files.record) as beside:
        for number, held in enumerate(data.values()):
            (beside / f"{number}").write_bytes(held)
        claim = {"made_by": MADE_BY, "unfinished": True, "files": kept | new, "replaces": old}
        _replace(files.record, beside, claim)
        for number, path in enumerate(data):
            (beside / f"{number}").replace(path)
        _replace(files.record, beside, {"made_by": MADE_BY, **facts, "files": kept | new})


def read_record(mix: Path) -> dict[str, Any]:
    """The record of a mix: of out.wav, or of one of several candidates, out.1.wav.

    Raises InputError: no such file, no record that names it, or one that was not finished.
    """
    records = dict.fromkeys((mix.with_suffix(".json"), mix.with_name(re.sub(r"\.\d+$", "", mix.stem) + ".json")))
    for path in records if mix.is_file() else ():
        record = _read(path)
        if record is not None and record.get("unfinished"):
            raise InputError(f"{path}: '{MADE_BY}' did not finish it; run the same command again")
        if record is not None and mix.name in [Path(row["file"]).name for row in record["candidates"]]:
            return record
    names = " or ".join(path.name for path in records)
    raise InputError(f"{mix}: no such file, or no record of it ({names}) in its folder; make both with '{MADE_BY}'")


def _read(path: Path) -> dict[str, Any] | None:
    """A record of `sing`; None where there is no file, or another JSON file."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError):
        return None
    ours = isinstance(held, dict) and (held.get("made_by") == MADE_BY or {"sm2a", "lines", "candidates"} <= held.keys())
    return held if ours else None


def _replace(path: Path, beside: Path, facts: Mapping[str, Any]) -> None:
    (beside / "record").write_bytes(json.dumps(facts, ensure_ascii=False, indent=1).encode())
    (beside / "record").replace(path)


def _digests(record: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Name -> the digests that a file of `sing` may have: after a killed run the old one or the new one."""
    found: dict[str, list[str]] = {name: list(held) for name, held in (record or {}).get("replaces", {}).items()}
    for name, digest in (record or {}).get("files", {}).items():
        found[name] = sorted({*found.get(name, []), digest})
    return found


def _stands(record: Mapping[str, Any] | None, path: Path) -> bool:
    return _stands_with(_digests(record).get(path.name, []), path)


def _stands_with(digests: list[str], path: Path) -> bool:
    """Whether the file exists with one of these digests."""
    return bool(digests) and path.is_file() and digest_of(path) in digests


def _same_file(a: Path, b: Path) -> bool:
    if a.exists() and b.exists():
        return a.samefile(b)
    return a.resolve() == b.resolve()
