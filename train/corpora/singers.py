"""Synthetic songs -> a folder for each singer with their singing and speech, dry.

OUT/<singer>/<song>.flac is the song, <song>-speech.flac its lines spoken.

    autosing songs SONGS --voices natural ...
    python -m train.corpora.singers SONGS OUT [--without NAME ...]
    autosing import OUT CORPUS --singers-from folder

This is the usual layout of voices for conversion (a folder for each singer, no band), which
`configs/processing/svc.yaml` expects. `--without` leaves singers out, who are then unseen in training. Files are hard
links if the disk allows it.
"""

import argparse
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from autosing.songs import truths_without

_FILES = {"vocals_dry.flac": "{}.flac", "speech.flac": "{}-speech.flac"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--without", nargs="*", default=[], metavar="NAME")
    given = parser.parse_args()
    for singer, files in write_singers(given.songs, given.out, given.without).items():
        print(f"{singer}: {files} files")  # noqa: T201


def write_singers(songs: Path, out: Path, without: Sequence[str] = ()) -> Counter[str]:
    """Files written for each singer. Raises InputError if `songs` has no truth files, or not a singer of `without`."""
    written: Counter[str] = Counter()
    for truth in truths_without(songs, without):
        home, singer = songs / "truth" / truth.id, truth.artist
        (out / singer).mkdir(parents=True, exist_ok=True)
        for name, to in _FILES.items():
            if (home / name).is_file():
                _link(home / name, out / singer / to.format(home.name))
                written[singer] += 1
    return written


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
