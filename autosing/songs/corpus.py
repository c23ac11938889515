"""A seed and a count -> a corpus of made songs: OUT/<k>/index.parquet and OUT/truth/<id>/ with stems, f0 and times.

A partition is committed when all its songs are there. Run again with the same arguments, what is committed is kept;
with others, the partitions that they concern are made anew.
"""

import re
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from autosing import console, pretrained
from autosing.errors import InputError
from autosing.processes import in_processes
from autosing.schemas.tables import Song
from autosing.songs.espeak import require_songs_extra
from autosing.songs.lyrics import check_language
from autosing.songs.settings import (
    DEFAULT_LANGUAGES,
    MADE_BY,
    NATURAL_SINGERS,
    NATURAL_WEIGHTS,
    VERSION,
    SongsConfig,
    Voices,
    song_id,
)
from autosing.songs.singers import SINGERS
from autosing.songs.trouble import check_troubles
from autosing.songs.write import write_song
from autosing.storage import tables
from autosing.storage.store import sweep_dead

_FORMATS = ("flac", "wav", "ogg", "mp3", "opus")
_OUR_FOLDER = re.compile(r"song\d{4,}|\.song\d{4,}\.\w+\.part")


@dataclass(frozen=True)
class PartitionMade:
    """A line of the summary. `kept`: it was there already, made with the same arguments."""

    partition: int
    songs: int
    kept: bool
    audio_s: float


@dataclass(frozen=True)
class SongsMade:
    """What `make_songs` did."""

    partitions: list[PartitionMade]
    wall_s: float

    @property
    def songs(self) -> int:
        return sum(p.songs for p in self.partitions)


def make_songs(
    out: Path,
    count: int = 24,
    seed: int = 7,
    *,
    languages: Sequence[str] = DEFAULT_LANGUAGES,
    singers: int = 8,
    audio_format: str = "flac",
    partitions: int = 3,
    workers: int = 2,
    lines: int = 4,
    voices: Voices = "synthetic",
    trouble: Sequence[str] = (),
) -> SongsMade:
    """Make what is missing of the corpus in `out`; `lines` are those of the verse, and of the chorus; `trouble`:
    names of autosing.songs.trouble.TROUBLES, all of which each song then has.

    The same arguments give the same bytes with any number of workers (an ogg's or opus's serial number excepted:
    libsndfile draws it by the clock). Raises InputError without the extra `songs`, on a language, format or number
    that there is not, and where `out` holds a corpus of other origin.
    """
    started = time.monotonic()
    config = SongsConfig.build(
        {
            "count": count, "seed": seed, "languages": list(languages), "singers": singers,
            "audio_format": audio_format, "partitions": min(partitions, max(count, 1)), "lines": lines,
            "voices": voices, "trouble": list(check_troubles(trouble, voices)),
        },
        origin="songs",
    )  # fmt: skip
    _check(config, out, workers)
    config = _with_what_there_is(config)
    kept = {k: _is_kept(out, config, k) for k in range(config.partitions)}
    wanted = [k for k, done in kept.items() if not done]
    for partition in wanted:  # no index may stand beside truths that are being made anew
        tables.table_path(out, partition, "index").unlink(missing_ok=True)
    # In processes, since eSpeak NG is one to a process.
    missing = [i for k in wanted for i in config.songs_of(k)]
    with closing(in_processes(partial(write_song, out, config), missing, workers, "songs")) as rows:
        for partition in wanted:
            _commit(out, config, partition, islice(rows, len(config.songs_of(partition))))
    _remove_beyond(out, config)
    made = [PartitionMade(k, len(config.songs_of(k)), done, _audio_s(out, config, k)) for k, done in kept.items()]
    return SongsMade(made, round(time.monotonic() - started, 3))


def _commit(out: Path, config: SongsConfig, partition: int, rows: Iterable[Song]) -> None:
    with tables.TableWriter(tables.table_path(out, partition, "index"), Song) as writer:
        for row in rows:
            writer.add(row)
        writer.commit("index", VERSION, len(config.songs_of(partition)), config.details(partition))


def _is_kept(out: Path, config: SongsConfig, partition: int) -> bool:
    """Whether the partition is there, of these arguments, with the truth of every song."""
    meta = tables.read_meta(tables.table_path(out, partition, "index"))
    if meta is None or (meta.version, meta.fingerprint) != (VERSION, tables.fingerprint(config.details(partition))):
        return False
    return all((out / "truth" / song_id(i) / "truth.json").is_file() for i in config.songs_of(partition))


def _check(config: SongsConfig, out: Path, workers: int) -> None:
    most = len(SINGERS) if config.voices != "natural" else NATURAL_SINGERS
    if not 1 <= config.singers <= most:
        raise InputError(f"singers {config.singers}: made songs have 1 to {most} singers; give such a number")
    for language in config.languages:
        check_language(language)
    if config.audio_format not in _FORMATS:
        raise InputError(f"audio format {config.audio_format!r}: unknown; need one of {', '.join(_FORMATS)}")
    if workers < 1:
        raise InputError(f"workers {workers}: need at least 1")
    if out.is_file():
        raise InputError(f"{out}: is a file; give a folder for the songs")
    for partition in _present(out):
        meta = tables.read_meta(tables.table_path(out, partition, "index"))
        if meta is None or meta.details.get("made") != MADE_BY:
            raise InputError(f"{out}: holds a corpus that '{MADE_BY}' did not make; give another folder")
    require_songs_extra(natural=config.voices != "synthetic")


def _with_what_there_is(config: SongsConfig) -> SongsConfig:
    """The config itself, or that of synthetic voices where the weights of the natural ones cannot be had; says so."""
    if config.voices == "synthetic":
        return config
    try:
        for name in NATURAL_WEIGHTS:
            pretrained.fetch(name)
    except InputError as missing:
        console.note(f"{missing}\nvoices {config.voices}: without these weights the synthetic voices sing all songs")
        return config.model_copy(update={"voices": "synthetic", "singers": min(config.singers, len(SINGERS))})
    return config


def _present(out: Path) -> list[int]:
    return sorted(int(path.parent.name) for path in out.glob("*/index.parquet") if path.parent.name.isdigit())


def _remove_beyond(out: Path, config: SongsConfig) -> None:
    """Partitions and truths of an earlier, larger corpus, and what a killed run left half written."""
    for partition in _present(out):
        if partition >= config.partitions:
            shutil.rmtree(out / str(partition))
        else:
            sweep_dead(out / str(partition))
    known = {song_id(i) for i in range(config.count)}
    for home in (out / "truth").iterdir():
        if home.name not in known and _OUR_FOLDER.fullmatch(home.name):
            shutil.rmtree(home)


def _audio_s(out: Path, config: SongsConfig, partition: int) -> float:
    import soundfile as sf

    stems = (out / "truth" / song_id(i) / "instrumental.flac" for i in config.songs_of(partition))
    return round(sum(sf.info(stem).duration for stem in stems), 3)
