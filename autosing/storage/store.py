"""A place, here or in an object store -> files that are there whole or not at all, whoever is killed when.

The commit. An attempt writes into a folder of its own, which no reader looks into. `put` makes one finished file
visible in one step: by a rename on a file system, by one upload of the whole object on a store. What consists of
several files has one that says so: it is put last, and readers trust only what it names. The others carry what ties
them to it (a fingerprint, a digest), so that one left by a killed attempt is not taken for part of it. Attempts of the
same work may run side by side: they put the same bytes, so it does not matter which one is last.

An attempt's folder is locked while its process lives (the kernel lets go of the lock at any death), so what the dead
left is told from what is being written without looking at a clock. For a store the folder lies in $TMPDIR: the store
itself never holds a part of a file.

`POINTS` lists everything that becomes visible or vanishes; `watch` lets a test stand just before and after each.
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
_QUESTIONS = 32
"""So many are asked of a store at once."""

POINTS = {
    "attempt": "an attempt's folder is made",
    "rejects": "<stage>.rejects.parquet; belongs to the table with its fingerprint",
    "table": "<stage>.parquet: the sign that table and rejects are there",
    "run": "_runs/<run>.json",
    "import": "_import.json",
    "claim": "a dataset's unfinished-<fingerprint>.json: its files are this build's",
    "shard": "one tar, under a name that no committed index holds with other bytes",
    "card": "card.md",
    "index": "index.json: the switch from one whole dataset to another",
    "sweep": "a file that no index names is taken away",
}
"""Commit points: each is passed as "before NAME" and "after NAME"."""
watch: Callable[[str], None] = lambda passed: None  # noqa: E731
"""Called at each passage. For tests, which count, or end the process there."""


def place(address: str | Path | Remote) -> Place:
    """A path, or what an s3:// address names. Raises InputError for an address that cannot be one."""
    if isinstance(address, str) and address.startswith(f"{SCHEME}://"):
        return Remote.parse(address)
    return Path(address) if isinstance(address, str) else address


@contextmanager
def commit_point(name: str) -> Iterator[None]:
    """Around one visible effect."""
    assert name in POINTS, name
    watch(f"before {name}")
    yield
    watch(f"after {name}")


def put(file: Path, target: Place, point: str) -> None:
    """A finished local file takes its place in one step, whatever was there before. `file` is gone afterwards."""
    if isinstance(target, Remote):
        with commit_point(point):
            target.upload(file)
        file.unlink()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with commit_point(point):
        _take_name(file, target)


def put_bytes(data: bytes, target: Place, point: str) -> None:
    """A small file, whole and in one step."""
    with attempt(target) as folder:
        (folder / "data").write_bytes(data)
        put(folder / "data", target, point)


def take_away(target: Place) -> None:
    """Delete a file, and on a file system the folders that it leaves empty."""
    with commit_point("sweep"):
        target.unlink(missing_ok=True)


def files_in(folder: Place) -> dict[str, tuple[int, float]]:
    """Name below the folder -> (bytes, time of its last change in s), of every file under it."""
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
    """`ask` of each item, in order: of a store many at a time, as each waits for the network."""
    if isinstance(where, Path):
        yield from map(ask, items)
        return
    with ThreadPoolExecutor(_QUESTIONS) as pool:
        yield from pool.map(ask, items)


@contextmanager
def attempt(target: Place) -> Iterator[Path]:
    """An empty folder to write `target` in: on its file system, or in $TMPDIR where it lies in a store.

    What killed processes left beside it is swept. Gone at the end, with what was not put. Raises InputError where the
    disk is full.
    """
    with ExitStack() as stack:
        with commit_point("attempt"):
            folder = stack.enter_context(_locked_folder(target))
        yield folder


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which takes the name `path` at the end: whole, or not at all.

    What killed processes left beside it is swept. Raises InputError where the disk is full.
    """
    with _locked_folder(path) as folder:
        yield folder / path.name
        _take_name(folder / path.name, path)


def write_whole(path: Path, data: bytes) -> None:
    """The file under its name is the old one or the new one, never a part."""
    with replacing(path) as file:
        file.write_bytes(data)


@contextmanager
def _locked_folder(target: Place) -> Iterator[Path]:
    """Beside the target, locked while this process lives, gone at the end."""
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
    except (OSError, RuntimeError) as error:  # torch raises its own out of the system's
        if not is_full(error):
            raise
        raise InputError(_full_disk(target, home), "disk_full") from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def is_full(error: BaseException | None) -> bool:
    """Whether the system said that there is no room, in this error or the one it arose from."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        error = error.__cause__ or error.__context__
    return False


def _full_disk(target: Place, home: Path) -> str:
    """Which of the disks that were written to is full, as far as can be told afterwards."""
    folders = dict.fromkeys([home, Path(tempfile.gettempdir())])
    free = [f"{folder}: {shutil.disk_usage(folder).free / 1e6:.0f} MB free" for folder in folders]
    return (
        f"{target}: not written, the disk is full or a quota or limit of file sizes is reached ({'; '.join(free)}); "
        "nothing of it is left behind. Make room, then run the same command again"
    )


def others_at_work(target: Path, mine: Path) -> bool:
    """Whether another process writes this target. Exact: the folders of dead ones are swept first."""
    sweep_dead(target.parent)
    return any(folder.name.startswith(f".{target.name}.") and folder != mine for folder in _attempts(target.parent))


def sweep_dead(home: Place, patience_s: float = 0.0) -> None:
    """Take away the attempts in a folder that no living process holds. In a store there are none.

    `patience_s`: so long those that are held are waited for: who was killed lets go of them only once it is gone.
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
            raise InputError(f"{home}: belongs to somebody else; set TMPDIR to a folder of your own")
        return home, f".{target.name}."
    return target.parent, f".{target.name}."


def _attempts(home: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return sorted(path for path in home.iterdir() if re.fullmatch(r"\..+\.[a-z0-9_]{8}\.part", path.name))
    return []


def _lock(folder: Path, unless_held: bool = False) -> int | None:
    """A descriptor that holds the folder's lock. None: another has it, or the folder is gone or not ours.

    `unless_held`: a file system without locks will do; nobody can lock there, so nothing is ever swept.
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
    """The file, then its new name reach the disk. Some network file systems refuse to sync a folder: they need not."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    file.replace(target)
    held = os.open(target.parent, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(held)
    finally:
        os.close(held)
