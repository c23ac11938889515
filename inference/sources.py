"""What a person names as the reference -> its audio, and what is already known of it: stems, lyrics with times.

song.mp3                 a file
CORPUS#song0004          a song of a corpus, with its own lyrics
CORPUS#song0004-15200    a clip of a corpus, with the stems, lines and words that processing found in it
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autosing.audio.io import Audio, decode
from autosing.errors import InputError
from autosing.schemas.tables import Clip, Song
from autosing.tables import partitions, read_rows, table_path
from inference.lyrics_plan import AskedLine, AskedWord


@dataclass(frozen=True)
class Source:
    """A reference. `stems` (vocals, instrumental) where it has been separated before."""

    name: str
    mix: Audio
    stems: tuple[Audio, Audio | None] | None = None
    lyrics: str | None = None
    """As imported; LRC text where there were times."""
    lines: tuple[AskedLine, ...] = ()
    """The lines of a clip, on its own time."""


def open_source(named: str) -> Source:
    """Raises InputError: no such file, corpus, song or clip."""
    if "#" not in named or Path(named).is_file():
        return Source(named, decode(Path(named)))
    folder, _, wanted = named.rpartition("#")
    corpus = Path(folder)
    songs = 0
    for number in partitions(corpus):
        for song in read_rows(table_path(corpus, number, "index"), Song):
            if song.id == wanted:
                return Source(named, decode(song.audio, wanted), lyrics=song.lrc_lyrics or song.raw_lyrics)
            songs += 1
        path = table_path(corpus, number, "segment")
        for clip in read_rows(path, Clip) if path.is_file() else ():
            if clip.id == wanted:
                return _of_clip(named, clip)
    raise InputError(f"reference {named}: no song and no clip {wanted!r} among the {songs} songs of {corpus}")


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
