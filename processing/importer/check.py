"""Songs as they are loaded -> whether each can be used, with digests to know them by. Decoding runs in threads."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from autosing.audio.io import decode, promised_samples
from autosing.errors import InputError
from autosing.schemas.tables import Song
from processing.importer.sources import Entry

_TRUNCATED = 0.95
"""Less than this share of the promised samples: the file was cut short. (MP3 headers are a few frames off.)"""


@dataclass(frozen=True)
class Checked:
    """An entry after its audio was opened. `reason` is None where the song can be used."""

    entry: Entry
    reason: str | None
    measurement: str
    audio_digest: str = ""
    row_digest: str = ""
    """Of the audio and all that is known of the song."""
    num_bytes: int = 0


def check_all(songs: Iterable[tuple[Entry, Song | None]], known_audio: set[str]) -> Iterator[Checked]:
    """In the order given, a few songs in memory at a time. Audio whose digest is known is not decoded again."""
    threads = os.cpu_count() or 1
    waiting: deque[Future[Checked]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for entry, song in songs:
            waiting.append(pool.submit(_check, entry, song, known_audio))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def digests(song: Song) -> tuple[str, str]:
    """(of the audio, of the audio and the facts), 16 hex digits each. The id does not count."""
    audio = hashlib.sha256(song.audio).hexdigest()[:16]
    facts = {name: value for name, value in vars(song).items() if name not in ("id", "audio")}
    text = json.dumps([audio, facts], sort_keys=True, ensure_ascii=False)
    return audio, hashlib.sha256(text.encode()).hexdigest()[:16]


def _check(entry: Entry, song: Song | None, known_audio: set[str]) -> Checked:
    if song is None:
        return Checked(entry, "no_audio", "the audio column is null or empty")
    if not song.audio:
        return Checked(entry, "no_samples", "0 bytes")
    audio, row = digests(song)
    if audio not in known_audio:
        try:
            held = decode(song.audio, entry.name).samples_CS.shape[1]
        except InputError as error:
            return Checked(entry, error.reason, str(error))
        promised = promised_samples(song.audio)
        if held < _TRUNCATED * promised:
            found = f"{held} of {promised} samples are there; copy or download the file again"
            return Checked(entry, "truncated", found)
    return Checked(entry, None, "", audio, row, len(song.audio))
