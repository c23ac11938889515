"""Made songs -> a corpus of the same songs without room and band: OUT/<k>/index.parquet, ids as they were.

    autosing songs SONGS --voices natural ...
    python -m train.corpora.dry SONGS CORPUS [--without NAME ...]
    autosing process CORPUS --config configs/processing/visinger.yaml --set score.truth=SONGS

So a song of the corpus is found in SONGS/truth by its id, and its score is what was really sung. `--without` leaves
singers out, who are then unseen in training. Run again, the corpus is written anew, with the same bytes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from autosing.schemas.tables import Song
from autosing.songs import SongTruth, truths_without
from autosing.storage import tables

LICENCE = "CC0-1.0"
VERSION = 1
SONGS_A_PARTITION = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--without", nargs="*", default=[], metavar="NAME")
    given = parser.parse_args()
    written = write_dry(given.songs, given.corpus, given.without)
    print(f"{written} songs in {given.corpus}")  # noqa: T201


def write_dry(songs: Path, corpus: Path, without: Sequence[str] = ()) -> int:
    """How many songs were written. Raises InputError where `songs` holds no truth, or has no singer of a name."""
    kept = truths_without(songs, without)
    for number, first in enumerate(range(0, len(kept), SONGS_A_PARTITION)):
        some = kept[first : first + SONGS_A_PARTITION]
        path = tables.table_path(corpus, number, "index")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tables.TableWriter(path, Song) as writer:
            for truth in some:
                writer.add(_song(songs / "truth" / truth.id, truth))
            details = {"made_by": "train.corpora.dry", "songs": [truth.id for truth in some]}
            writer.commit("index", VERSION, len(some), details)
    return len(kept)


def _song(home: Path, truth: SongTruth) -> Song:
    return Song(
        id=truth.id, audio=(home / "vocals_dry.flac").read_bytes(), lrc_lyrics=None,
        raw_lyrics="\n".join(line.text for line in truth.lines), artist=truth.artist, title=truth.lines[0].text,
        language=truth.language, licence=LICENCE,
    )  # fmt: skip


if __name__ == "__main__":
    main()
