"""Made songs with lyrics files as people have them -> how well lines are placed, and whether scores tell, as JSON.

python benchmarks/quality/lyrics.py OUT [--songs 12] [--seed 4321] [--case NAME ...] [--real FOLDER] [--set k=v ...]
Makes songs in OUT (kept on a second run), separates them (Spleeter) and keeps what the encoder hears in OUT/heard, so
that a run with other costs takes a minute. `clean` songs have a verse and a chorus of three lines; `troubled` ones two
verses and three times a chorus of two lines, breaks and ad libs. FOLDER: songs with labels of their words beside them.

Of a line that is written once and sung several times, the nearest time counts. A line is off by the mean over its
words; one that nobody sings is always off. `fit_precision`: of the lines marked as fitting, the share that is off by
0.5 s at most; `fit_recall`: of these, the share that is marked. `roc_area`: of 1 - score as a sign that a line is off.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosing import console
from autosing.alignment.emissions import Emissions
from autosing.config import load_config
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.schemas.tables import Lyrics, Song
from autosing.songs import SongTruth, load_truth, make_songs
from autosing.songs.settings import SongsConfig, song_id
from autosing.songs.trouble import Trouble, WrittenLine
from autosing.songs.write import form_of, with_troubles
from autosing.storage.tables import partitions, read_rows, table_path
from processing.alignment.lyrics import read_lyrics
from processing.stages.align import Align, AlignConfig, SongToAlign
from processing.stages.separate import Separate, SeparateConfig, SongAudio

sys.path.append(str(Path(__file__).parents[2] / "tests"))  # `support` is not installed
from support.labels import read_labels
from support.lyric_files import lrc_file, page_of_a_site, plain_file, translated_lrc

OFF_S = 0.5
_CLEAN_LINES, _TROUBLED_LINES = 3, 2
_SUNG: tuple[Trouble, ...] = ("breaks", "adlibs", "refrains")
CLEAN = ("clean_lrc", "translated_lrc", "clean_plain", "site_plain")
"""Of the clean songs."""
_WRITTEN: dict[str, tuple[Trouble, ...]] = {
    "breaks": (), "refrains": ("refrains",), "missing": ("missing",), "longer": ("longer",), "verse": ("verse",),
    "wrong": ("wrong",),
}  # fmt: skip
TROUBLED = {f"{name}_{form}": troubles for name, troubles in _WRITTEN.items() for form in ("lrc", "plain")}
"""Of the songs with breaks, ad libs and a refrain sung three times: what is wrong with the lyrics beside."""
REAL = ("real_lrc", "real_plain")


@dataclass(frozen=True)
class Asked:
    """A song with a lyrics file. `lines`: those of the file that may be sung; `times`: the onsets of each one's words,
    for each time that it is sung (none: nobody sings it)."""

    key: str
    """Of its sound."""
    sound: Callable[[], bytes]
    language: str | None
    lrc: str | None
    plain: str | None
    lines: list[str]
    times: list[list[list[float]]]
    junk: int = 0
    """Other lines of the file."""


@dataclass(frozen=True)
class Placed:
    """A line, how far it is from where it is sung (by the mean over its words; infinite if nowhere), and its marks."""

    off_s: float
    errors_s: list[float]
    score: float
    fits: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--songs", type=int, default=12, help="of each kind")
    parser.add_argument("--seed", type=int, default=4321)
    parser.add_argument("--case", dest="cases", action="append", choices=[*CLEAN, *TROUBLED, *REAL])
    parser.add_argument("--real", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    stage = Align(load_config(AlignConfig, None, given.overrides))
    stage.setup()
    ears = Ears(given.out / "heard", stage)
    started, report, told = time.monotonic(), {}, list[Placed]()
    for name in given.cases or [*CLEAN, *TROUBLED, *(REAL if given.real else [])]:
        found = Counts()
        for one in _asked(name, given):
            lines, untold = match(one, aligned(stage, one, ears(one)))
            found.add(one, lines, untold)
        report[name] = found.figures()
        told += found.placed if name in TROUBLED else []
    whole = scores_tell(told) if told else None
    print(json.dumps({"what": "lyrics files", "songs": given.songs, "seed": given.seed, "config": stage.config.dump(),
                      "cases": report, "troubled": whole, "wall_s": round(time.monotonic() - started, 1)},
                     indent=1, ensure_ascii=False))  # fmt: skip


class Ears:
    """What the encoder hears in a song, kept in a folder."""

    def __init__(self, folder: Path, stage: Align) -> None:
        self._stage, self._folder = stage, folder / f"{stage.config.head}-{stage.config.instrumental_share}"

    def __call__(self, one: Asked) -> Emissions:
        path = self._folder / f"{one.key}.npz"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            heard = self._hear(one.key, one.sound())
            beside = path.with_name(f".{path.name}")
            np.savez(
                beside, letters=heard.letter_TL, starts=heard.start_T, duration_s=heard.duration_s,
                languages=list(heard.languages), shares=list(heard.languages.values()),
            )  # fmt: skip
            beside.rename(path)
        with np.load(path) as held:
            languages = dict(zip(held["languages"].tolist(), held["shares"].tolist(), strict=True))
            return Emissions(held["letters"], held["starts"], languages, float(held["duration_s"]))

    def _hear(self, song: str, sound: bytes) -> Emissions:
        parts = _separator().apply(SongAudio(song, sound))
        if not isinstance(parts, list):
            raise InputError(f"song {song}: {parts.reason} ({parts.measurement})")
        vocals, rest = tuple(part.vocals for part in parts), tuple(part.instrumental for part in parts)
        console.note(f"{song}: heard")
        return self._stage.hear(SongToAlign(song, vocals, rest, None, None, None))


@cache
def _separator() -> Separate:
    stage = Separate(SeparateConfig())
    stage.setup()
    return stage


def _asked(case: str, given: argparse.Namespace) -> Iterator[Asked]:
    if case in REAL:
        yield from _real(case, given.real)
        return
    lines, trouble = (_CLEAN_LINES, ()) if case in CLEAN else (_TROUBLED_LINES, _SUNG)
    folder = given.out / ("clean" if case in CLEAN else "troubled")
    make_songs(folder, given.songs, given.seed, lines=lines, trouble=trouble, workers=1)
    config = SongsConfig(count=given.songs, seed=given.seed, lines=lines, trouble=trouble)
    for index in range(given.songs):
        truth = load_truth(folder, song_id(index))
        rng = np.random.default_rng(seed_of("benchmark of lyrics", case, given.seed, index))
        if case in TROUBLED:
            truth = with_troubles(truth, TROUBLED[case], form_of(config, index), rng)
        is_lrc, junk, lyrics = case.endswith("_lrc"), 0, truth.lyrics
        text = lrc_file(lyrics) if is_lrc else plain_file(lyrics)
        if case == "translated_lrc":
            text, junk = translated_lrc(lyrics, truth.language, rng)
        elif case == "site_plain":
            text, junk = page_of_a_site(lyrics, lines)
        yield Asked(
            f"{folder.name}/{truth.id}", partial(_mix, folder, truth.id), truth.language, text if is_lrc else None,
            None if is_lrc else text, [line.text for line in lyrics], [_times(truth, line) for line in lyrics], junk,
        )  # fmt: skip


def _times(truth: SongTruth, line: WrittenLine) -> list[list[float]]:
    """Where the line is sung: in its own place, and where its words are sung in no line of the file."""
    if line.line is None:
        return []
    again = [number for number in truth.unwritten if truth.lines[number].text == line.text]
    return [[w.start_s for w in truth.words if w.line == number] for number in (line.line, *again)]


def _mix(folder: Path, song: str) -> bytes:
    rows = (row for k in partitions(folder) for row in read_rows(table_path(folder, k, "index"), Song))
    return next(bytes(row.audio) for row in rows if row.id == song)


def _real(case: str, folder: Path) -> Iterator[Asked]:
    for path in sorted(folder.glob("*.json")):
        sound = next(p for p in sorted(folder.glob(f"{path.stem}.*")) if p.suffix in (".mp3", ".ogg", ".flac", ".wav"))
        labels = read_labels(path)
        onsets = [[start_s for _, start_s in words] for words in labels.words]
        lines = [WrittenLine(text, own[0], k) for k, (text, own) in enumerate(zip(labels.lines, onsets, strict=True))]
        lrc, plain = (lrc_file(lines), None) if case == "real_lrc" else (None, plain_file(lines))
        yield Asked(
            f"real/{path.stem}", sound.read_bytes, labels.language, lrc, plain, labels.lines, [[own] for own in onsets]
        )


def aligned(stage: Align, one: Asked, heard: Emissions) -> Lyrics:
    readings, source = read_lyrics(one.lrc, one.plain, (), one.language)
    return stage.placed(one.key, source, one.language, readings, heard)


def match(one: Asked, lyrics: Lyrics) -> tuple[list[Placed | None], int]:
    """(for each line that may be sung how it was placed, None if the table has it not as sung; other lines as sung)."""
    found, at, placed = [k for k, line in enumerate(lyrics.lines) if line.kind == "sung"], 0, list[Placed | None]()
    for text, times in zip(one.lines, one.times, strict=True):
        here = next((n for n in range(at, len(found)) if lyrics.lines[found[n]].text == text), None)
        if here is None:
            placed.append(None)
            continue
        at, line = here + 1, lyrics.lines[found[here]]
        starts_s = np.array([word.start_s for word in lyrics.words if word.line == found[here]])
        errors = min((np.abs(starts_s - own) for own in times), key=lambda e: float(e.mean()), default=None)
        off_s = float("inf") if errors is None else float(errors.mean())
        placed.append(Placed(off_s, [] if errors is None else errors.tolist(), line.score, line.fits))
    return placed, len(found) - sum(line is not None for line in placed)


@dataclass
class Counts:
    """Over the songs of a case."""

    placed: list[Placed] = field(default_factory=list)
    lost: int = 0
    sung: int = 0
    junk: int = 0
    untold: int = 0

    def add(self, one: Asked, lines: Sequence[Placed | None], untold: int) -> None:
        self.placed += [line for line in lines if line is not None]
        self.lost += sum(line is None and bool(times) for line, times in zip(lines, one.times, strict=True))
        self.sung += sum(map(bool, one.times))
        self.junk += one.junk
        self.untold += untold

    def figures(self) -> dict[str, Any]:
        errors_s = np.array([error for line in self.placed for error in line.errors_s])
        sung = {
            "words": len(errors_s), "aae_s": round(float(errors_s.mean()), 4),
            "median_s": round(float(np.median(errors_s)), 4), "within_0.3_s": round(float((errors_s <= 0.3).mean()), 4),
        } if len(errors_s) else {}  # fmt: skip
        junk = {"junk_told": round(1 - self.untold / self.junk, 4)} if self.junk else {}
        lost = {"sung_lost": round(self.lost / self.sung, 4)} if self.sung else {}
        return {**sung, **junk, **lost, **scores_tell(self.placed)}


def scores_tell(placed: Sequence[Placed]) -> dict[str, Any]:
    """Whether lines' scores tell which of them are off."""
    off_N = np.array([line.off_s > OFF_S for line in placed])
    fits_N = np.array([line.fits for line in placed])
    right = int((fits_N & ~off_N).sum())
    area = roc_area(np.array([1 - line.score for line in placed]), off_N)
    return {
        "lines": len(placed), "lines_off": int(off_N.sum()), "roc_area": None if area is None else round(area, 4),
        "fit_precision": round(right / max(int(fits_N.sum()), 1), 4),
        "fit_recall": round(right / max(int((~off_N).sum()), 1), 4),
    }  # fmt: skip


def roc_area(sign_N: np.ndarray, is_N: np.ndarray) -> float | None:
    """The chance that a line that is off has a higher sign than one that is not (a tie counts half); None if there are
    not both."""
    from scipy.stats import rankdata

    yes, no = int(is_N.sum()), int((~is_N).sum())
    if not yes or not no:
        return None
    return float((rankdata(sign_N)[is_N].sum() - yes * (yes + 1) / 2) / (yes * no))


if __name__ == "__main__":
    main()
