"""Separated songs and labels of their words -> how far found onsets lie from the labelled ones, as JSON on stdout.

python benchmarks/quality/alignment.py CORPUS [--labels FOLDER] [--mode lrc] [--mode plain] [--songs N] [--set k=v]
                                       [--head RUN ...]
CORPUS has index and separate tables (`autosing process CORPUS --stages separate`). Labels are those of made songs
(CORPUS/truth/<id>/truth.json) or FOLDER/<name>.json (`words` in the order of `lyrics`, or UltraStar `syllables`).
In mode lrc the aligner is given an LRC of the labelled line starts, in mode plain the lines alone.
With --head the bundled letter head and that of each run (`autosing train ctc_head`) are measured on the same songs.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from autosing.audio.encoded import Stem
from autosing.audio.io import AudioReader
from autosing.config import load_config
from autosing.errors import InputError
from autosing.ids import clean_id
from autosing.metrics.alignment import onset_errors
from autosing.schemas.tables import Lyrics
from autosing.storage.tables import partitions, table_path
from autosing.text.lrc import LrcLine, write_lrc
from processing.engine.rows import joined
from processing.stages.align import Align, AlignConfig, SongToAlign

sys.path.append(str(Path(__file__).parents[2] / "tests"))  # `support` is not installed
from support.labels import Labels, read_labels

MODES = ("lrc", "plain")


@dataclass(frozen=True)
class Sung:
    """A separated song."""

    id: str
    language: str | None
    vocals: Stem
    instrumental: Stem | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--mode", dest="modes", action="append", choices=MODES)
    parser.add_argument("--songs", type=int)
    parser.add_argument("--head", dest="heads", action="append", default=[])
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    songs = _labelled(given.corpus, given.labels)[: given.songs]
    config = load_config(AlignConfig, None, given.overrides)
    reports = {}
    for head in dict.fromkeys([config.head, *given.heads]):
        stage = Align(config.model_copy(update={"head": head}))
        stage.setup()
        reports[head] = {mode: _measure(stage, songs, mode) for mode in given.modes or MODES}
    report = {"heads": reports} if given.heads else reports[config.head]
    print(json.dumps({"what": "word onsets", "config": config.dump(), **report}, indent=1, ensure_ascii=False))


def _labelled(corpus: Path, folder: Path | None) -> list[tuple[Sung, Labels]]:
    """The songs that have labels, in the order of their ids. Raises InputError where none has."""
    beside = {clean_id(path.stem): path for path in folder.glob("*.json")} if folder else {}
    found = []
    for k in partitions(corpus):
        for song, row in joined([table_path(corpus, k, "separate"), table_path(corpus, k, "index")], Sung):
            path = beside.get(song, corpus / "truth" / song / "truth.json")
            if path.is_file():
                labels = read_labels(path)
                found.append((row, Labels(labels.lines, labels.words, labels.language or row.language)))
    if not found:
        raise InputError(f"{corpus}: no labels for any song; give --labels FOLDER or a corpus of 'autosing songs'")
    return sorted(found, key=lambda pair: pair[0].id)


def _measure(stage: Align, songs: list[tuple[Sung, Labels]], mode: str) -> dict[str, Any]:
    rows, truth_s, found_s, minutes = [], [], [], 0.0
    for song, _ in songs:
        with AudioReader(song.vocals, song.id) as reader:
            minutes += sum(len(block_SC) for block_SC in reader.blocks()) / reader.sample_rate_hz / 60
    started = time.process_time()
    for song, labels in songs:
        lrc = write_lrc(LrcLine(t, w[0][1]) for t, w in zip(labels.lines, labels.words, strict=True))
        given = (lrc, None) if mode == "lrc" else (None, "\n".join(labels.lines))
        lyrics = stage.apply(SongToAlign(song.id, song.vocals, song.instrumental, *given, labels.language))
        if not isinstance(lyrics, Lyrics):
            raise InputError(f"song {song.id}: rejected ({lyrics.reason}: {lyrics.measurement})")
        onsets_s = [word.start_s for word in lyrics.words]
        fit = sum(line.fits for line in lyrics.lines)
        rows.append(
            {"song": song.id, **_figures(labels.onsets_s, onsets_s), "lines": len(lyrics.lines), "lines_fit": fit}
        )
        truth_s += labels.onsets_s
        found_s += onsets_s
    whole = {key: round(sum(r[key] * r["words"] for r in rows) / len(truth_s), 4) for key in ("aae_s", "pco")}
    errors = sorted(abs(a - b) for a, b in zip(truth_s, found_s, strict=True))
    cpu_s = round((time.process_time() - started) / minutes, 2)
    return {"all": {"words": len(errors), **whole, "median_s": round(errors[len(errors) // 2], 4)},
            "worst_song_pco": min(r["pco"] for r in rows), "cpu_s_per_minute": cpu_s, "songs": rows}  # fmt: skip


def _figures(true_s: list[float], found_s: list[float]) -> dict[str, float]:
    return {k: v if k == "words" else round(v, 4) for k, v in asdict(onset_errors(true_s, found_s)).items()}


if __name__ == "__main__":
    main()
