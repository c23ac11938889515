"""The name of a reference -> its audio, and its stems and lyrics with times where they are known.

song.mp3                 a file, or an object of a store
CORPUS#song0004          a song of a corpus, with its own lyrics
CORPUS#song0004-15200    a clip of a corpus, with the stems, lines and words that processing found in it

A corpus is a folder or an s3:// address.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autosing.audio.io import Audio, decode
from autosing.errors import InputError
from autosing.lookup import find_row, first_id
from autosing.schemas.tables import Clip, Song
from autosing.storage.store import Place, of_each, place
from autosing.storage.tables import find_partitions, partitions, table_path
from inference.lyrics_plan import AskedLine, AskedWord


@dataclass(frozen=True)
class Source:
    """A reference song or clip. `stems`: (vocals, instrumental) of a clip, which is separated already."""

    name: str
    mix: Audio
    stems: tuple[Audio, Audio | None] | None = None
    lyrics: str | None = None
    """As imported; LRC text where there were times."""
    lines: tuple[AskedLine, ...] = ()
    """The lines of a clip, in seconds from its start."""


def open_source(named: str) -> Source:
    """Raises InputError: no such file, corpus, song or clip; a folder; not audio."""
    address, hash, wanted = named.rpartition("#")
    if hash and not Path(named).is_file():
        return _of_corpus(named, place(address), wanted)
    where = place(named)
    if where.is_dir():
        raise _is_a_folder(named, where)
    if not where.is_file():
        raise InputError(f"reference {named}: no such file; give an audio file, or CORPUS#ID")
    return Source(named, decode(where.read_bytes(), named))


def _of_corpus(named: str, corpus: Place, wanted: str) -> Source:
    numbers = partitions(corpus)

    def look(number: int) -> Song | Clip | None:
        song = find_row(table_path(corpus, number, "index"), Song, wanted)
        return song or find_row(table_path(corpus, number, "segment"), Clip, wanted)

    row = next((found for found in of_each(numbers, look, corpus) if found is not None), None)
    if isinstance(row, Song):
        return Source(named, decode(row.audio, wanted), lyrics=row.lrc_lyrics or row.raw_lyrics)
    if isinstance(row, Clip):
        return _of_clip(named, row)
    raise InputError(f"reference {named}: {corpus} has no song and no clip {wanted!r}; {_example(corpus, numbers)}")


def _is_a_folder(named: str, folder: Place) -> InputError:
    numbers = find_partitions(folder)
    if not numbers:
        return InputError(f"reference {named}: is a folder; give one audio file, or a corpus and an id as CORPUS#ID")
    return InputError(f"reference {named}: is a corpus; need one song or clip of it; {_example(folder, numbers)}")


def _example(corpus: Place, numbers: Sequence[int]) -> str:
    """Remedy in messages: an id of a clip, which is separated already, or else of a song."""
    tables = (table_path(corpus, number, stage) for stage in ("segment", "index") for number in numbers)
    found = next((id for id in map(first_id, tables) if id is not None), None)
    return f"give for example --reference '{corpus}#{found}'" if found else "its tables are empty: import songs first"


def _of_clip(named: str, clip: Clip) -> Source:
    vocals = decode(clip.vocals, clip.id)
    music = decode(clip.instrumental, clip.id) if clip.instrumental is not None else None
    mix = vocals if music is None else Audio(np.asarray(vocals.samples_CS + music.samples_CS), vocals.sample_rate_hz)
    lines = tuple(
        AskedLine(
            line.text,
            line.start_s,
            line.end_s,
            tuple(AskedWord(w.text, w.start_s, w.end_s) for w in clip.words if w.line == number),
            line.fits,
        )
        for number, line in enumerate(clip.lines)
    )
    return Source(named, mix, (vocals, music), None, lines)
