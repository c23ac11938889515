"""synthetic windows, synthetic songs, clips of built datasets -> a dataset for `autosing train ctc_head`.

It has the format of `autosing build` (shards, index.json), with audio and words alone. Words of synthetic windows and
songs have the score 1, as their times are exact. If it was killed, a second run keeps the shards that are there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import Field

from autosing import console
from autosing.audio.io import Audio, decode, encode
from autosing.config import Config
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.schemas.sample import DatasetIndex, Sample, SampleMeta, ShardRecord, SplitRecord
from autosing.schemas.tables import Line, Word
from autosing.songs.truth import load_truth, song_ids
from autosing.storage.shards import Shard, ShardFile, files_of, read_shard
from autosing.storage.store import digest_of, replacing, write_whole
from autosing.storage.tables import fingerprint
from train.letters.windows import SAMPLE_RATE_HZ, WINDOW_S, as_separated, make_window

Timed = TypeVar("Timed", Line, Word)
_VERSION = 1
"""Increased whenever the same config would give another dataset."""
_SHARD_ROWS = 32
_VALID = 20
"""One singer in so many, or song without a singer, is kept for validation."""
_NEAR_S = 0.3


class LettersConfig(Config):
    """The sources of the dataset."""

    windows: int = Field(400, ge=0)
    """Number of windows of 30 s that eSpeak NG speaks or sings, in many languages."""
    songs: tuple[str, ...] = ()
    """Corpora of `autosing songs`: their dry voices, sung and spoken, with exact times."""
    clips: tuple[str, ...] = ()
    """Datasets of `autosing build --members audio`: songs or real speech, with the aligner's times."""
    copies: int = Field(1, ge=0)
    """Number of copies of each window of songs and clips, each with another room and another band. 0: one copy without
    either."""
    seed: int = Field(1, ge=0)


@dataclass(frozen=True)
class Piece:
    """A sample that is still to be made."""

    id: str
    split: str
    make: Callable[[], tuple[SampleMeta, dict[str, bytes]] | None]
    """Makes the sample; None if nothing is sung in it."""


def make_letters(out: Path, config: LettersConfig) -> DatasetIndex:
    """Write the dataset. Raises InputError: a corpus or dataset that does not exist, or no source at all."""
    sources = {"songs": [_truths(Path(corpus)) for corpus in config.songs],
               "clips": [DatasetIndex.load(Path(dataset)).fingerprint for dataset in config.clips]}  # fmt: skip
    wanted = fingerprint({"version": _VERSION, "config": config.dump(), **sources})
    pieces = [*_made(config), *_songs(config), *_clips(config)]
    if not pieces:
        raise InputError(f"{out}: no windows, songs or clips to make it of; give one of them")
    splits = {}
    for split in ("train", "valid"):
        own = [piece for piece in pieces if piece.split == split]
        chunks = [own[first : first + _SHARD_ROWS] for first in range(0, len(own), _SHARD_ROWS)]
        paths = [f"{wanted[:12]}/{split}/{number:06d}.tar" for number in range(len(chunks))]
        written = zip(chunks, paths, strict=True)
        shards = [_shard(out, *pair) for pair in console.progress(written, f"shards, {split}", len(chunks))]
        splits[split] = _record(out, [shard for shard in shards if shard.rows])
    index = DatasetIndex(
        fingerprint=wanted,
        members=("meta", "audio"),
        splits=splits,
        rows_in=sum(split.rows for split in splits.values()),
    )
    write_whole(out / "index.json", index.model_dump_json(indent=1).encode())
    return index


def cut_windows(words: Sequence[Word], duration_s: float) -> list[tuple[float, float]]:
    """(start_s, end_s) of windows of at most WINDOW_S that together hold all words, cut between words."""
    cuts = [duration_s]
    for before, after in pairwise(words):
        cuts.append((before.end_s + after.start_s) / 2)
        if after.start_s - before.end_s > 2 * _NEAR_S:
            cuts += [before.end_s + _NEAR_S, after.start_s - _NEAR_S]
    windows, start_s = [], max(0.0, words[0].start_s - _NEAR_S) if words else duration_s
    while start_s < duration_s:
        end_s = max((cut for cut in cuts if start_s + 1 < cut <= start_s + WINDOW_S), default=start_s + WINDOW_S)
        windows.append((start_s, min(end_s, duration_s)))
        start_s = end_s
    return windows


def cut_words(
    lines: Sequence[Line], words: Sequence[Word], start_s: float, end_s: float
) -> tuple[list[Line], list[Word]]:
    """The words inside a window, on its own time, and their lines, cut at its edges."""
    inside = [word for word in words if word.start_s >= start_s - 1e-6 and word.end_s <= end_s + 1e-6]
    kept = sorted({word.line for word in inside})
    return (
        [_moved(lines[number], start_s, end_s) for number in kept],
        [replace(_moved(word, start_s, end_s), line=kept.index(word.line)) for word in inside],
    )


def _moved(item: Timed, start_s: float, end_s: float) -> Timed:
    first, last = (round(min(max(time_s, start_s), end_s) - start_s, 4) for time_s in (item.start_s, item.end_s))
    return replace(item, start_s=first, end_s=last)


def _made(config: LettersConfig) -> Iterator[Piece]:
    for index in range(config.windows):
        id = f"window{config.seed}-{index}"
        yield Piece(id, "valid" if index % _VALID == _VALID - 1 else "train", partial(_window, id, config.seed, index))


def _window(id: str, seed: int, index: int) -> tuple[SampleMeta, dict[str, bytes]] | None:
    made = make_window(seed, index)
    words = [Word(word.text, word.start_s, word.end_s, 1.0, 0) for word in made.words]
    if not words:
        return None
    line = Line(" ".join(word.text for word in words), words[0].start_s, words[-1].end_s, 1.0, True)
    meta = SampleMeta(id, None, made.tongue, None, WINDOW_S, [line], words)
    return meta, {"vocals.flac": encode(Audio(made.audio_S[None], SAMPLE_RATE_HZ))}


def _songs(config: LettersConfig) -> Iterator[Piece]:
    """The sung voice and, if there is one, the spoken voice of each song."""
    for corpus in map(Path, config.songs):
        for song in song_ids(corpus):
            home, truth = corpus / "truth" / song, load_truth(corpus, song)
            split = _split_of(truth.artist)
            for file, words in (("vocals_dry.flac", truth.words), ("speech.flac", truth.spoken_words)):
                if not (home / file).is_file() or not words:
                    continue
                kind, lines = file.split(".")[0].split("_")[0], truth.lines if words is truth.words else _lines(words)
                duration_s = truth.duration_s if words is truth.words else decode(home / file).duration_s
                meta = SampleMeta(truth.id, truth.artist, truth.language, None, duration_s, lines, words)
                yield from _pieces(f"{truth.id}-{kind}", split, meta, partial(decode, home / file), config)


def _lines(words: Sequence[Word]) -> list[Line]:
    """The lines of words of which only the line numbers are known."""
    own = [[word for word in words if word.line == number] for number in range(max(word.line for word in words) + 1)]
    return [
        Line(
            " ".join(word.text for word in line),
            line[0].start_s if line else 0.0,
            line[-1].end_s if line else 0.0,
            1.0,
            True,
        )
        for line in own
    ]


def _clips(config: LettersConfig) -> Iterator[Piece]:
    for dataset in map(Path, config.clips):
        index = DatasetIndex.load(dataset)
        if "audio" not in index.members:
            raise InputError(f"dataset {dataset}: has no audio; build it with --members audio")
        for split in ("train", "valid"):
            for record in index.splits[split].shards if split in index.splits else ():
                shard = Shard(dataset / record.path, files_of(("audio",)), record.rows)
                for row in range(len(shard)):
                    load, sample = partial(shard.sample, row), shard.sample(row)
                    if not sample.meta.words:
                        continue
                    if config.copies == 0:
                        yield Piece(sample.id, split, partial(_as_it_is, load))
                    else:
                        yield from _pieces(sample.id, split, sample.meta, partial(_voice, load), config)


def _pieces(id: str, split: str, meta: SampleMeta, load: Callable[[], Audio], config: LettersConfig) -> Iterator[Piece]:
    """A sample for each window of a voice and each copy of it. `meta`: of the whole voice."""
    for start_s, end_s in cut_windows(meta.words, meta.duration_s):
        lines, words = cut_words(meta.lines, meta.words, start_s, end_s)
        if not words:
            continue
        cut = replace(meta, duration_s=round(end_s - start_s, 4), lines=lines, words=words)
        for copy in range(max(1, config.copies)):
            own = f"{id}-{round(start_s * 1000)}-{copy}"
            seed = seed_of("heard", config.seed, own) if config.copies else None
            yield Piece(own, split, partial(_copy, cut, load, start_s, seed))


def _copy(
    meta: SampleMeta, load: Callable[[], Audio], start_s: float, seed: int | None
) -> tuple[SampleMeta, dict[str, bytes]]:
    voice = load().cut(start_s, meta.duration_s)
    voice_S = voice.mono_S()
    if seed is None:
        audio = Audio(voice_S[None], voice.sample_rate_hz).resampled(SAMPLE_RATE_HZ)
    else:
        rng = np.random.default_rng(seed)
        audio = Audio(as_separated(voice_S, voice.sample_rate_hz, rng)[None], SAMPLE_RATE_HZ)
    return meta, {"vocals.flac": encode(audio)}


def _as_it_is(load: Callable[[], Sample]) -> tuple[SampleMeta, dict[str, bytes]]:
    sample = load()
    stems = [name for name in ("vocals", "instrumental") if sample.has(name)]
    return sample.meta, {f"{name}.flac": encode(sample.audio(name)) for name in stems}


def _voice(load: Callable[[], Sample]) -> Audio:
    return load().audio("vocals")


def _split_of(owner: str) -> str:
    return "valid" if seed_of("letters split", owner) % _VALID == 0 else "train"


def _truths(corpus: Path) -> list[str]:
    """Digests of the songs' truth files. Raises InputError if there are none."""
    return [digest_of(corpus / "truth" / song / "truth.json") for song in song_ids(corpus)]


def _shard(out: Path, pieces: Sequence[Piece], path: str) -> ShardRecord:
    """The record of a shard, which is made if it is not there already."""
    if not (out / path).is_file():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        with replacing(out / path) as beside:
            shard = ShardFile(beside)
            for piece in pieces:
                made = piece.make()
                if made is not None:
                    shard.add(piece.id, {"meta.json": made[0].to_json(), **made[1]})
            shard.close()
    rows = sum(1 for _ in read_shard(out / path, ()))
    return ShardRecord(path=path, rows=rows, bytes=(out / path).stat().st_size, sha256=digest_of(out / path))


def _record(out: Path, shards: Sequence[ShardRecord]) -> SplitRecord:
    metas = [sample.meta for shard in shards for _, sample in read_shard(out / shard.path, ())]
    return SplitRecord(
        shards=tuple(shards), rows=len(metas), seconds=round(sum(meta.duration_s for meta in metas), 3),
        songs=len({meta.song for meta in metas}), singers=len({meta.singer for meta in metas} - {None}),
    )  # fmt: skip
