"""A sound's path (or nothing) and the words of a command -> the command, and picture.html beside the sound.

It ends with the process that started it: when its standard input closes.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from autosing.cli import main as run
from autosing.console import note
from autosing.storage.store import write_whole
from inference.ui.jobs import PICTURE


def main() -> None:
    """`python -m inference.ui.worker SOUND WORDS...`"""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sound, sys.argv[1:] = sys.argv[1], sys.argv[2:]
    note("loading")
    try:
        run()
    except SystemExit as stop:
        if stop.code:
            raise
    if sound:
        _draw(Path(sound))


def _draw(sound: Path) -> None:
    from inference.report.sounds import sounds

    note("drawing it")
    write_whole(sound.with_name(PICTURE), "\n".join(sounds([sound])).encode())


def _end_with_parent() -> None:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
