"""A path or s3:// address -> files that are complete or absent, even if processes are killed at any moment.

The commit protocol. An attempt writes into a folder of its own, which readers ignore. `put` makes one finished file
visible in one step: by a rename on a file system, by one upload of the whole object on a store. A result of several
files has one commit marker: it is put last, and readers trust only the files that it names. The others carry its
fingerprint or digest, so that a file of a killed attempt is not taken for a part of it. Attempts at the same work may
run at the same time: they put the same bytes, so their order does not matter.

An attempt's folder is locked while its process lives (the kernel releases the lock when the process dies), so folders
of dead processes are recognised without a clock. For a store the folder is in $TMPDIR: the store itself never holds a
part of a file.

`POINTS` lists every change that readers can see; `watch` lets a test stop just before and after each.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias, TypeVar

from autosing.errors import InputError
from autosing.storage.remote import SCHEME, Remote

Place: TypeAlias = Path | Remote
A = TypeVar("A")
B = TypeVar("B")
_CONCURRENT_REQUESTS = 32
"""To a store."""

POINTS = {
    "attempt": "an attempt's folder is created",
    "rejects": "<stage>.rejects.parquet; belongs to the table with its fingerprint",
    "table": "<stage>.parquet: commit marker of table and rejects",
    "run": "_runs/<run>.json",
    "import": "_import.json",
    "claim": "a dataset's unfinished-<fingerprint>.json: names the files of this build",
    "shard": "one tar, under a name that no committed index holds with other bytes",
    "offsets": "the offsets file of a tar; the tar's record in the index holds its digest",
    "card": "card.md",
    "index": "index.json: commit marker of a dataset, replaces the one before",
    "sweep": "a file that no index names is deleted",
}
"""Commit points: `watch` gets "before NAME" and "after NAME" of each."""
watch: Callable[[str], None] = lambda passed: None  # noqa: E731
"""Called before and after each commit point, for tests that count them or kill the process there."""


def place(address: str | Path | Remote) -> Place:
    """A path, or a Remote for an s3:// address. Raises InputError for an invalid address."""
    if isinstance(address, str) and address.startswith(f"{SCHEME}://"):
        return Remote.parse(address)
    return Path(address) if isinstance(address, str) else address


@contextmanager
def commit_point(name: str) -> Iterator[None]:
    """Encloses one visible change."""
    assert name in POINTS, name
    watch(f"before {name}")
    yield
    watch(f"after {name}")


def put(file: Path, target: Place, point: str) -> None:
    """Move a finished local file to `target` in one step, replacing what is there."""
    if isinstance(target, Remote):
        with commit_point(point):
            target.upload(file)
        file.unlink()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with commit_point(point):
        _take_name(file, target)


def put_bytes(data: bytes, target: Place, point: str) -> None:
    """Write a small file in one step."""
    with attempt(target) as folder:
        (folder / "data").write_bytes(data)
        put(folder / "data", target, point)


def take_away(target: Place) -> None:
    """Delete a file; a missing one is no error."""
    with commit_point("sweep"):
        target.unlink(missing_ok=True)


def files_in(folder: Place) -> dict[str, tuple[int, float]]:
    """Name relative to the folder -> (size in bytes, time of modification in s) of every file under it."""
    if isinstance(folder, Remote):
        return folder.files()
    found = {}
    for path in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = (path.stat().st_size, path.stat().st_mtime)
    return found


def digest_of(file: Place) -> str:
    """sha256 of its bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_each(items: Iterable[A], ask: Callable[[A], B], where: Place) -> Iterator[B]:
    """ask(item) for each item, in order; for a store in threads, as each call waits for the network."""
    if isinstance(where, Path):
        yield from map(ask, items)
        return
    with ThreadPoolExecutor(_CONCURRENT_REQUESTS) as pool:
        yield from pool.map(ask, items)


@contextmanager
def attempt(target: Place) -> Iterator[Path]:
    """An empty folder to write `target` in: on its file system, or in $TMPDIR for a store. It is deleted at the end.

    Folders of dead processes beside it are deleted first. Raises InputError where the disk is full.
    """
    with ExitStack() as stack:
        with commit_point("attempt"):
            folder = stack.enter_context(_locked_folder(target))
        yield folder


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file to write, which is renamed to `path` at the end.

    Folders of dead processes beside it are deleted first. Raises InputError where the disk is full.
    """
    with _locked_folder(path) as folder:
        yield folder / path.name
        _take_name(folder / path.name, path)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically: readers see the old one or the new one."""
    with replacing(path) as file:
        file.write_bytes(data)


@contextmanager
def _locked_folder(target: Place) -> Iterator[Path]:
    """A folder beside the target, locked while this process lives, deleted at the end."""
    home, stem = _home(target)
    sweep_dead(home)
    held = folder = None
    try:
        while held is None:
            home.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(suffix=".part", prefix=stem, dir=home))
            held = _lock(folder, unless_held=True)
        assert folder is not None
        yield folder
    except (OSError, RuntimeError) as error:  # torch raises a RuntimeError from an OSError
        if not is_full(error):
            raise
        raise InputError(_full_disk(target, home), "disk_full") from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def is_full(error: BaseException | None) -> bool:
    """Whether this error, or one that it was raised from, says that the disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        error = error.__cause__ or error.__context__
    return False


def _full_disk(target: Place, home: Path) -> str:
    """The message, with the free space of the disks that were written to."""
    folders = dict.fromkeys([home, Path(tempfile.gettempdir())])
    free = [f"{folder}: {shutil.disk_usage(folder).free / 1e6:.0f} MB free" for folder in folders]
    return (
        f"{target}: not written, the disk is full or a quota or limit of file sizes is reached ({'; '.join(free)}); "
        "no part of it remains. Make room, then run the same command again"
    )


def others_at_work(target: Path, mine: Path) -> bool:
    """Whether another living process writes this target; folders of dead ones are deleted first."""
    sweep_dead(target.parent)
    return any(folder.name.startswith(f".{target.name}.") and folder != mine for folder in _attempts(target.parent))


def sweep_dead(home: Place, patience_s: float = 0.0) -> None:
    """Delete the attempts in a folder whose process is dead. A store has none.

    `patience_s`: how long to wait for locked ones: a killed process releases its lock only once it has ended.
    """
    end = time.monotonic() + patience_s
    while isinstance(home, Path):
        for folder in _attempts(home):
            held = _lock(folder)
            if held is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(held)
        if time.monotonic() >= end or not _attempts(home):
            return
        time.sleep(0.05)


def _home(target: Place) -> tuple[Path, str]:
    if isinstance(target, Remote):
        home = Path(tempfile.gettempdir()) / f"autosing-{os.getuid()}"
        home.mkdir(mode=0o700, exist_ok=True)
        if home.stat().st_uid != os.getuid():
            raise InputError(f"{home}: belongs to another user; set TMPDIR to a folder of your own")
        return home, f".{target.name}."
    return target.parent, f".{target.name}."


def _attempts(home: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return sorted(path for path in home.iterdir() if re.fullmatch(r"\..+\.[a-z0-9_]{8}\.part", path.name))
    return []


def _lock(folder: Path, unless_held: bool = False) -> int | None:
    """A descriptor that holds the folder's lock. None: another process has it, or the folder is gone or not ours.

    `unless_held`: accept a file system without locks; no process can lock there, so nothing is deleted as dead.
    """
    path = folder / "lock"
    try:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(held).st_ino:  # else it was swept between open and lock
            return held
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        if unless_held:
            return held
    os.close(held)
    return None


def _take_name(file: Path, target: Path) -> None:
    """Flush the file and its rename to the disk. Some network file systems refuse fsync of a folder; their renames are
    synchronous."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    file.replace(target)
    held = os.open(target.parent, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(held)
    finally:
        os.close(held)
