"""Loaded songs -> whether each can be used, with digests that identify it.

Each song is decoded completely, in a separate process that a broken file may crash or hang, and block by block: memory
grows with the encoded bytes, not with the samples.
"""

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from autosing.audio.containers import why_incomplete
from autosing.audio.guard import inspect_apart
from autosing.audio.io import MISSING_SAMPLES
from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.stage import Rejected
from processing.importer.source import Entry

_TRUNCATED = 0.95
"""With less than this share of the promised samples, a file is truncated. (MP3 headers are a few frames off.)"""
_WAITING_BYTES = 256 << 20
"""Maximum size of the songs that wait to be checked (a single longer song may exceed it)."""


@dataclass(frozen=True)
class Checked:
    """An entry after its audio was checked. `reason` is None if the song can be used."""

    entry: Entry
    reason: str | None
    measurement: str
    audio_digest: str = ""
    row_digest: str = ""
    """Over the audio and everything that is known about the song."""
    num_bytes: int = 0
    known: frozenset[str] = frozenset()
    """The columns that have a value."""


def check_all(songs: Iterable[tuple[Entry, Song | Rejected]], known_audio: set[str]) -> Iterator[Checked]:
    """In the given order, with a few songs in memory at a time. Audio whose digest is known is not decoded again."""
    threads = os.cpu_count() or 1
    waiting: deque[tuple[int, Future[Checked]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for entry, song in songs:
            num_bytes = len(song.audio) if isinstance(song, Song) else 0
            waiting.append((num_bytes, pool.submit(_check, entry, song, known_audio)))
            del song
            while len(waiting) > 2 * threads or sum(size for size, _ in waiting) > _WAITING_BYTES:
                yield waiting.popleft()[1].result()
        while waiting:
            yield waiting.popleft()[1].result()


def digests(song: Song) -> tuple[str, str]:
    """(of the audio, of the audio and the facts), 16 hex digits each. They do not depend on the id."""
    audio = hashlib.sha256(song.audio).hexdigest()[:16]
    facts = {name: value for name, value in vars(song).items() if name not in ("id", "audio")}
    # What is not there is left out: so corpora from before there were scores and speech stay as they are.
    for name in ("score", "speech", "speech_times_s"):
        if facts[name] is None:
            del facts[name]
    if "speech" in facts:
        facts["speech"] = hashlib.sha256(facts["speech"]).hexdigest()
    if "speech_times_s" in facts:
        facts["speech_times_s"] = [float(time_s) for time_s in facts["speech_times_s"]]
    text = json.dumps([audio, facts], sort_keys=True, ensure_ascii=False)
    return audio, hashlib.sha256(text.encode()).hexdigest()[:16]


def _check(entry: Entry, song: Song | Rejected, known_audio: set[str]) -> Checked:
    if isinstance(song, Rejected):
        return Checked(entry, song.reason, song.measurement)
    if not song.audio:
        return Checked(entry, "no_samples", "0 bytes")
    audio, row = digests(song)
    if audio not in known_audio:
        try:
            found = inspect_apart(song.audio, entry.name)
        except InputError as error:
            return Checked(entry, error.reason, str(error))
        if incomplete := why_incomplete(song.audio):
            return Checked(entry, *incomplete)
        if found.num_samples < _TRUNCATED * found.promised_samples:
            held = f"{found.num_samples} of {found.promised_samples}"
            return Checked(entry, "truncated", f"{held} {MISSING_SAMPLES}")
    known = frozenset(name for name, value in vars(song).items() if value)
    return Checked(entry, None, "", audio, row, len(song.audio), known)
