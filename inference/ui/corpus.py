"""A corpus -> its clips to look at and to hear, its rejects by reason, and words' times set by hand, as LRC.

The corpus itself is never written. Corrected times lie in a folder of their own, a file a song, with the song's times:
`autosing import` takes them beside the songs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from autosing.audio.io import decode
from autosing.config import Config
from autosing.errors import InputError
from autosing.lookup import find_row
from autosing.schemas.tables import Clip, LyricLine, Lyrics, Pitch, Song
from autosing.storage.store import Place, write_whole
from autosing.storage.tables import partitions, read_frame, read_rejects, table_path
from autosing.text.lrc import LrcLine, LrcWord, parse_lrc, write_lrc
from autosing.timebase import PITCH_RATE_HZ
from inference.report.collect import stage_counts
from inference.report.figures import marks, pitch_path
from inference.report.html import take

_MOST = 2000
_SAME_S = 2e-3
"""Times of a clip's words are those of the song, less the clip's start, up to rounding."""


@dataclass(frozen=True)
class _Listed:
    """The columns of a clip that are listed; its audio is not read."""

    id: str
    song: str
    singer: str | None
    language: str
    start_s: float
    duration_s: float
    singing_fraction: float


class Starts(Config):
    """What the page sends: when each word of a clip starts."""

    starts_s: list[float]


def listed(corpus: Place) -> dict[str, Any]:
    """All clips, by song and time, 2000 at most; counts of each stage; every row that was rejected, and why.

    Raises InputError where there is no corpus.
    """
    numbers, counts = partitions(corpus), stage_counts(corpus)
    clips: list[dict[str, Any]] = []
    for number in numbers:
        path = table_path(corpus, number, "segment")
        if path.is_file():
            clips += [{"partition": number, **row} for row in read_frame(path, _Listed).iter_rows(named=True)]
    rejects = [
        {"stage": count.stage, **row}
        for count in counts
        if count.rejected
        for row in _rejects(corpus, numbers, count.stage)
    ]
    rows = [
        {"stage": count.stage, "rows_in": count.rows_in, "rows_out": count.rows, "rejected": count.rejected,
         "reasons": count.reasons}
        for count in counts
    ]  # fmt: skip
    ordered = sorted(clips, key=lambda clip: (clip["song"], clip["start_s"]))
    return {"clips": ordered[:_MOST], "stages": rows, "rejects": rejects[:_MOST]}


def _rejects(corpus: Place, numbers: Sequence[int], stage: str) -> list[dict[str, Any]]:
    if stage == "import":
        left_out = json.loads((corpus / "_import.json").read_text(encoding="utf-8"))["left_out"]
        return [{"id": one["file"], "reason": one["reason"], "measurement": one["measurement"]} for one in left_out]
    return pl.concat([read_rejects(corpus, number, stage) for number in numbers]).to_dicts()


def drawn(corpus: Place, partition: int, id: str, corrected: Path) -> dict[str, Any]:
    """One clip: players of mix, voice and instrumental as HTML, and its words, times as corrected before.

    Raises InputError where there is none.
    """
    clip, song = _clip(corpus, partition, id)
    found = find_row(table_path(corpus, partition, "pitch"), Pitch, id)
    mix = decode(song.audio, song.id).cut(clip.start_s, clip.duration_s)
    vocals = decode(clip.vocals, clip.id)
    spans = [(word.text, word.start_s, word.end_s) for word in clip.words]
    pitch = "" if found is None else pitch_path(found.f0_hz, float(PITCH_RATE_HZ), vocals)
    over = marks(spans, vocals.duration_s)
    parts = [take(f"{id}: voice", f"{len(clip.words)} words and the pitch as they were found", vocals, over, pitch)]
    parts.append(take("Mix", clip.singer or "singer unknown", mix))
    if clip.instrumental is not None:
        parts.append(take("Instrumental", "", decode(clip.instrumental, clip.id)))
    lyrics = _lyrics(corpus, partition, clip)
    starts_s = _starts(lyrics, corrected)
    words = [
        {"text": word.text, "start_s": starts_s[at] - clip.start_s, "end_s": word.end_s, "score": word.score}
        for word, at in zip(clip.words, _places(clip, lyrics), strict=True)
    ]
    return {"html": "\n".join(parts), "words": words, "seconds": vocals.duration_s}


def correct(corpus: Place, partition: int, id: str, corrected: Path, starts_s: Sequence[float]) -> Path:
    """Write the song's LRC with these times for the clip's words, in seconds of the clip; earlier corrections stay.

    Raises InputError: not a time for each word, or not in order.
    """
    clip, _ = _clip(corpus, partition, id)
    if len(starts_s) != len(clip.words) or any(a > b for a, b in pairwise(starts_s)):
        raise InputError(f"{id}: {len(starts_s)} times, need one for each of {len(clip.words)} words, in order")
    lyrics = _lyrics(corpus, partition, clip)
    all_s = _starts(lyrics, corrected)
    for at, start_s in zip(_places(clip, lyrics), starts_s, strict=True):
        all_s[at] = clip.start_s + start_s
    lines = []
    for number, line in enumerate(lyrics.lines):
        words = [LrcWord(word.text, all_s[k]) for k, word in enumerate(lyrics.words) if word.line == number]
        if words:
            lines.append(LrcLine(line.text, words[0].start_s, tuple(words)))
    path = corrected / f"{lyrics.id}.lrc"
    corrected.mkdir(parents=True, exist_ok=True)
    write_whole(path, write_lrc(lines).encode())
    return path


def _clip(corpus: Place, partition: int, id: str) -> tuple[Clip, Song]:
    clip = find_row(table_path(corpus, partition, "segment"), Clip, id)
    song = None if clip is None else find_row(table_path(corpus, partition, "index"), Song, clip.song)
    if clip is None or song is None:
        raise InputError(f"corpus {corpus}: no clip {id} in partition {partition}; load the page anew")
    return clip, song


def _lyrics(corpus: Place, partition: int, clip: Clip) -> Lyrics:
    """Of the song; in a corpus whose songs were not aligned, of the clip alone, on the song's time."""
    found = find_row(table_path(corpus, partition, "align"), Lyrics, clip.song)
    if found is not None:
        return found
    lines = [LyricLine(line.text, line.start_s, line.end_s, line.score, line.fits) for line in clip.lines]
    words = [replace(word, start_s=word.start_s + clip.start_s) for word in clip.words]
    return Lyrics(clip.id, "clip", clip.language, lines, words, None, None)


def _starts(lyrics: Lyrics, corrected: Path) -> list[float]:
    """Of all words of the song: as corrected, else as aligned."""
    path = corrected / f"{lyrics.id}.lrc"
    if path.is_file():
        words = [word for line in parse_lrc(path.read_text(encoding="utf-8")).lines for word in line.words]
        order = [k for number in range(len(lyrics.lines)) for k, word in enumerate(lyrics.words) if word.line == number]
        if len(words) == len(order):
            held = dict(zip(order, (word.start_s for word in words), strict=True))
            return [held.get(k, word.start_s) for k, word in enumerate(lyrics.words)]
    return [word.start_s for word in lyrics.words]


def _places(clip: Clip, lyrics: Lyrics) -> list[int]:
    """Of each word of the clip, its number among the song's. Raises InputError where the tables do not agree."""
    found: list[int] = []
    for word in clip.words:
        at_s = clip.start_s + word.start_s
        near = (k for k, one in enumerate(lyrics.words) if one.text == word.text and abs(one.start_s - at_s) < _SAME_S)
        place = next((k for k in near if k not in found), None)
        if place is None:
            raise InputError(
                f"clip {clip.id}: {word.text!r} is not among its song's words; run 'autosing process' again"
            )
        found.append(place)
    return found
