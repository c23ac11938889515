"""Made songs -> a corpus of the same songs without room and band: OUT/<k>/index.parquet, ids as they were.

    autosing songs SONGS --voices natural ...
    python -m train.corpora.dry SONGS CORPUS [--without NAME ...]
    autosing process CORPUS --config configs/processing/visinger.yaml

    python -m train.corpora.dry SONGS CORPUS --lines [--without NAME ...]
    autosing process CORPUS --config configs/processing/sts.yaml

The score of each song is in the corpus: what was really sung. `--without` leaves singers out, who are then unseen in
training. Run again, the corpus is written anew, with the same bytes.

With `--lines` each line is a song (song0007_2), and the same line is there as it is spoken, too, with the times of its
words.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autosing.audio.io import decode, encode
from autosing.schemas.tables import Song
from autosing.score.cut import cut
from autosing.score.made import score_of_truth
from autosing.songs import SongTruth, truths_without
from autosing.storage import tables

LICENCE = "CC0-1.0"
VERSION = 2
SONGS_A_PARTITION = 24
_MARGIN_S, _SPEECH_MARGIN_S = 0.3, 0.12
"""Around a line, sung and spoken. Speech has pauses of a quarter of a second between lines."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--without", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--lines", action="store_true", help="each line is a song, with its score and its speech")
    given = parser.parse_args()
    written = write_dry(given.songs, given.corpus, given.without, given.lines)
    print(f"{written} songs in {given.corpus}")  # noqa: T201


def write_dry(songs: Path, corpus: Path, without: Sequence[str] = (), lines: bool = False) -> int:
    """How many songs were read. Raises InputError where `songs` holds no truth, or has no singer of a name."""
    kept = truths_without(songs, without)
    for number, first in enumerate(range(0, len(kept), SONGS_A_PARTITION)):
        some = kept[first : first + SONGS_A_PARTITION]
        path = tables.table_path(corpus, number, "index")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tables.TableWriter(path, Song) as writer:
            made = [row for truth in some for row in _rows(songs / "truth" / truth.id, truth, lines)]
            for row in made:
                writer.add(row)
            details = {"made_by": "train.corpora.dry", "songs": [truth.id for truth in some]}
            writer.commit("index", VERSION, len(made), {**details, "lines": True} if lines else details)
    return len(kept)


def _rows(home: Path, truth: SongTruth, lines: bool) -> list[Song]:
    return _lines(home, truth) if lines else [_song(home, truth)]


def _lines(home: Path, truth: SongTruth) -> list[Song]:
    """Lines whose words are all spoken one by one: some voices run words together."""
    sung, speech = decode(home / "vocals_dry.flac"), decode(home / "speech.flac")
    score = score_of_truth(truth)
    rows = []
    for number, line in enumerate(truth.lines):
        words = [word for word in truth.words if word.line == number]
        spoken = [word for word in truth.spoken_words if word.line == number]
        if [word.text for word in words] != [word.text for word in spoken]:
            continue
        start_s, end_s = max(0.0, line.start_s - _MARGIN_S), min(truth.duration_s, line.end_s + _MARGIN_S)
        said_s = max(0.0, spoken[0].start_s - _SPEECH_MARGIN_S)
        last_s = min(speech.duration_s, spoken[-1].end_s + _SPEECH_MARGIN_S)
        times_s = [time_s - said_s for word in spoken for time_s in (word.start_s, word.end_s)]
        rows.append(Song(
            id=f"{truth.id}_{number}", audio=encode(sung.cut(start_s, end_s - start_s), "flac"), lrc_lyrics=None,
            raw_lyrics=line.text, artist=truth.artist, title=line.text, language=truth.language, licence=LICENCE,
            score=cut(score, start_s, end_s).to_json().decode(),
            speech=encode(speech.cut(said_s, last_s - said_s), "flac"),
            speech_times_s=np.asarray(times_s, np.float32),
        ))  # fmt: skip
    return rows


def _song(home: Path, truth: SongTruth) -> Song:
    return Song(
        id=truth.id, audio=(home / "vocals_dry.flac").read_bytes(), lrc_lyrics=None,
        raw_lyrics="\n".join(line.text for line in truth.lines), artist=truth.artist, title=truth.lines[0].text,
        language=truth.language, licence=LICENCE, score=score_of_truth(truth).to_json().decode(),
    )  # fmt: skip


if __name__ == "__main__":
    main()
