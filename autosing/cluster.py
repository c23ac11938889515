"""An address -> Ray, started here or joined, and shut down or left at the end."""

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from autosing.console import note
from autosing.errors import InputError

_OBJECT_STORE_BYTES = 100 << 20
"""Small, because no audio is sent through Ray."""
_LATE = "timed out during startup"
_LONGEST_TMPDIR = 40
"""In bytes. Ray appends some 60 bytes for its sockets, and the path of a socket has at most 107."""
_SHORT = (Path("/tmp"), Path("/dev/shm"))
"""Where Ray's folder is made if $TMPDIR is too long or not ASCII."""


@contextmanager
def ray_at(address: str, log_to_driver: bool = False) -> Iterator[Any]:
    """The module ray, connected. `address`: local (a new Ray, shut down at the end), auto or HOST:PORT (joined).

    The handler of SIGTERM is kept: Ray's own would end the workers before their owner can clean up.
    Raises InputError if no Ray answers, none starts in time, or the cluster needs a token that is not on this machine.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address == "local":
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    import ray

    own = ExitStack()
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": log_to_driver}
    try:
        with _own_sigterm():
            if address == "local":
                _start(ray, quiet, own.enter_context(_ray_folder()))
            else:
                _join(ray, address, quiet)
        yield ray
    finally:
        ray.shutdown()  # ends a Ray that was started here; from a joined cluster it only disconnects
        own.close()


@contextmanager
def _ray_folder() -> Iterator[str | None]:
    """A short temporary folder if $TMPDIR is too long for sockets or not ASCII; None: Ray's own choice works.

    Raises InputError if none can be made.
    """
    wanted = tempfile.gettempdir()
    if wanted.isascii() and len(wanted) <= _LONGEST_TMPDIR:
        yield None
        return
    home = next((folder for folder in _SHORT if os.access(folder, os.W_OK | os.X_OK)), None)
    if home is None:
        raise InputError(
            f"TMPDIR {wanted}: Ray needs a temporary folder of at most {_LONGEST_TMPDIR} ASCII characters, and neither "
            f"{' nor '.join(map(str, _SHORT))} can be written to; set TMPDIR to another, or use --address inline"
        )
    folder = tempfile.mkdtemp(prefix="autosing-", dir=home)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(ray: Any, quiet: dict[str, Any], folder: str | None) -> None:
    """Start Ray. On a busy machine a node may need longer than the 30 s that Ray allows; then it is tried once more."""
    known = _children()
    for attempt in (1, 2):
        try:
            ray.init(
                "local", include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, _temp_dir=folder, **quiet
            )
            return
        except Exception as error:
            # Ray raises the base class here, so only the message tells this case from others.
            if type(error) is not Exception or _LATE not in str(error):
                raise
            ray.shutdown()
            for child in _children() - known:
                os.kill(child, signal.SIGKILL)
            if attempt == 2:
                raise InputError(
                    "Ray did not start within 30 s, twice; the machine is too busy: try again later, "
                    "or use --address inline (one worker, without Ray)"
                ) from None
            note("Ray did not start within 30 s; trying once more")


def _join(ray: Any, address: str, quiet: dict[str, Any]) -> None:
    try:
        if address != "auto":
            _check_answers(address)
        ray.init(address, **quiet)
    except ray.exceptions.AuthenticationError as error:
        raise InputError(
            f"--address {address}: the cluster needs its token ({str(error).splitlines()[0]}); copy ~/.ray/auth_token "
            "from its head node, or set RAY_AUTH_TOKEN"
        ) from None
    except (ConnectionError, OSError, ValueError) as error:
        raise InputError(f"--address {address}: no Ray answers there ({error}); use --address local") from None


def _check_answers(address: str) -> None:
    """Ray itself would wait for minutes if no one listens. Raises OSError or ValueError (no port)."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        raise ValueError("need HOST:PORT, for example head:6379")
    socket.create_connection((host, int(port)), timeout=10).close()


@contextmanager
def _own_sigterm() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, held)


def _children() -> set[int]:
    """The processes that this one has started and that are still there."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for path in lists for pid in path.read_text().split()}
