"""A seed and a count -> a corpus of made songs: OUT/<k>/index.parquet and OUT/truth/<id>/ with stems, f0 and times.

A partition is committed when all its songs are there. Run again with the same arguments, what is committed is kept;
with others, the partitions that they concern are made anew.
"""

import multiprocessing
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import Field

from autosing import tables
from autosing.audio.io import encode, save
from autosing.config import Config
from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.testing.voice.espeak import require_songs_extra
from autosing.testing.voice.lyrics import check_language
from autosing.testing.voice.singers import first_singers
from autosing.testing.voice.song import Form, MadeSong, make_song
from autosing.testing.voice.truth import save_truth

VERSION = 1
"""Counted up whenever the same arguments would give other songs."""
LICENCE = "CC0-1.0"
DEFAULT_LANGUAGES = ("en", "en", "ko", "en", "en", "zh")


class SongsConfig(Config):
    """What a corpus of made songs is made of."""

    count: int = Field(24, ge=1, le=10_000)
    seed: int = 7
    languages: tuple[str, ...] = Field(DEFAULT_LANGUAGES, min_length=1)
    """Gone through in turn, each singer one further on."""
    singers: int = Field(8, ge=1)
    """The first so many of autosing.testing.voice.singers.SINGERS."""
    audio_format: str = "flac"
    partitions: int = Field(3, ge=1)
    lines: int = Field(4, ge=1, le=16)
    """Lines of the verse, and of the chorus."""

    def songs_of(self, partition: int) -> range:
        return range(partition, self.count, self.partitions)

    def details(self, partition: int) -> dict[str, Any]:
        """What the bytes of a partition depend on."""
        song = self.model_dump(include={"seed", "languages", "singers", "audio_format", "lines"}, mode="json")
        return {"made": "autosing songs", "songs": list(self.songs_of(partition)), **song}


@dataclass(frozen=True)
class PartitionMade:
    """A line of the summary. `kept`: it was there already, made with the same arguments."""

    partition: int
    songs: int
    kept: bool
    audio_s: float


@dataclass(frozen=True)
class SongsMade:
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
) -> SongsMade:
    """Make what is missing of the corpus in `out`. The same arguments give the same bytes with any number of workers
    (an ogg's serial numbers excepted: libsndfile draws them by the clock).

    Raises InputError: without the extra `songs`, on a language, format or number that there is not, and where `out`
    holds a corpus of other origin.
    """
    started = time.monotonic()
    config = SongsConfig.build(
        {
            "count": count, "seed": seed, "languages": list(languages), "singers": singers,
            "audio_format": audio_format, "partitions": min(partitions, count), "lines": lines,
        },
        origin="songs",
    )  # fmt: skip
    _check(config, out, workers)
    kept = {k: _is_kept(out, config, k) for k in range(config.partitions)}
    wanted = [k for k, done in kept.items() if not done]
    with _pool(min(workers, sum(len(config.songs_of(k)) for k in wanted))) as pool:
        futures = {k: [pool.submit(_make_one, out, config, i) for i in config.songs_of(k)] for k in wanted}
        for partition in wanted:
            _commit(out, config, partition, [future.result() for future in futures.pop(partition)])
    _remove_beyond(out, config)
    made = [PartitionMade(k, len(config.songs_of(k)), done, _audio_s(out, config, k)) for k, done in kept.items()]
    return SongsMade(made, time.monotonic() - started)


def _make_one(out: Path, config: SongsConfig, index: int) -> Song:
    """Make song number `index`: its truth goes to disk, whole or not at all; its row is returned."""
    singers = first_singers(config.singers)
    turn, number = divmod(index, len(singers))
    language = config.languages[(turn + number) % len(config.languages)]
    form = Form((("verse", config.lines), ("chorus", config.lines)))
    song = make_song(config.seed, index, singers[number], language, form)
    home = out / "truth" / song.truth.id
    beside = home.with_name(f".{home.name}.{uuid4().hex[:12]}.part")
    beside.mkdir(parents=True)
    try:
        _write(song, beside)
        if home.exists():
            shutil.rmtree(home)
        beside.rename(home)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    lyrics = [line.text for line in song.truth.lines]
    stamps = [f"[{int(x.start_s // 60):02d}:{x.start_s % 60:05.2f}]" for x in song.truth.lines]
    return Song(
        id=song.truth.id,
        audio=encode(song.stems.mix, config.audio_format),
        lrc_lyrics="\n".join(stamp + text for stamp, text in zip(stamps, lyrics, strict=True)),
        raw_lyrics="\n".join(lyrics),
        artist=song.truth.artist,
        title=lyrics[0],
        language=language,
        licence=LICENCE,
    )


def _write(song: MadeSong, folder: Path) -> None:
    for name in ("vocals_dry", "vocals", "instrumental"):
        save(getattr(song.stems, name), folder / f"{name}.flac")
    assert song.speech is not None
    save(song.speech, folder / "speech.flac")
    save_truth(song.truth, folder)


def _commit(out: Path, config: SongsConfig, partition: int, rows: Sequence[Song]) -> None:
    with tables.TableWriter(tables.table_path(out, partition, "index"), Song) as writer:
        for row in rows:
            writer.add(row)
        writer.commit("index", VERSION, len(rows), config.details(partition))


def _is_kept(out: Path, config: SongsConfig, partition: int) -> bool:
    """Whether the partition is there, of these arguments, with the truth of every song."""
    meta = tables.read_meta(tables.table_path(out, partition, "index"))
    if meta is None or (meta.version, meta.fingerprint) != (VERSION, tables.fingerprint(config.details(partition))):
        return False
    return all((out / "truth" / f"song{i:04d}" / "truth.json").is_file() for i in config.songs_of(partition))


def _check(config: SongsConfig, out: Path, workers: int) -> None:
    require_songs_extra()
    first_singers(config.singers)
    for language in config.languages:
        check_language(language)
    if config.audio_format not in ("flac", "wav", "ogg", "mp3", "opus"):
        raise InputError(f"audio format {config.audio_format!r}: unknown; need flac, wav, ogg, mp3 or opus")
    if workers < 1:
        raise InputError(f"workers {workers}: need at least 1")
    if out.is_file():
        raise InputError(f"{out}: is a file; give a folder for the songs")
    for partition in _present(out):
        meta = tables.read_meta(tables.table_path(out, partition, "index"))
        if meta is None or meta.details.get("made") != "autosing songs":
            raise InputError(f"{out}: holds a corpus that 'autosing songs' did not make; give another folder")


def _present(out: Path) -> list[int]:
    return tables.partitions(out) if out.is_dir() and any(out.glob("*/index.parquet")) else []


def _remove_beyond(out: Path, config: SongsConfig) -> None:
    """Partitions and truths of an earlier, larger corpus."""
    for partition in _present(out):
        if partition >= config.partitions:
            shutil.rmtree(out / str(partition))
    known = {f"song{i:04d}" for i in range(config.count)}
    for home in (out / "truth").iterdir():
        if home.name not in known and home.is_dir():
            shutil.rmtree(home)


def _audio_s(out: Path, config: SongsConfig, partition: int) -> float:
    import soundfile as sf

    stems = (out / "truth" / f"song{i:04d}" / "instrumental.flac" for i in config.songs_of(partition))
    return round(sum(sf.info(stem).duration for stem in stems), 3)


@contextmanager
def _pool(workers: int) -> Iterator[Executor]:
    """Processes, because eSpeak NG is one to a process; started afresh, because threads do not survive a fork."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, workers), mp_context=context) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
