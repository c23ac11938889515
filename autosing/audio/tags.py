"""An audio file -> its tags: who sings, its title, language, licence and the lyrics in it.

| column | ID3 | Vorbis comments, APE | MP4 | ASF |
|---|---|---|---|---|
| artist | TPE1, TPE2 | artist, albumartist | ©ART, aART | Author, WM/AlbumArtist |
| title | TIT2 | title | ©nam | Title |
| language | TLAN | language | LANGUAGE | WM/Language |
| licence | WCOP, TCOP | license, copyright | cprt | Copyright |
| lyrics | USLT | lyrics, unsyncedlyrics | ©lyr | WM/Lyrics |
| synced_lyrics | SYLT | syncedlyrics | SYNCEDLYRICS | WM/Lyrics_Synchronised |
"""

import io
import struct
from collections.abc import Iterator
from typing import Any

import soundfile as sf

from autosing.audio.decoders import container_of
from autosing.audio.encoded import Encoded, EncodedFile
from autosing.text.timed import TimedLine, lrc_of

_NAMES = {
    "artist": ("artist", "tpe1", "©art", "author", "performer", "albumartist", "album artist", "album_artist", "tpe2",
               "aart", "wm/albumartist"),
    "title": ("title", "tit2", "©nam", "wm/title"),
    "language": ("language", "tlan", "wm/language"),
    "licence": ("license", "licence", "wcop", "tcop", "copyright", "cprt"),
    "lyrics": ("lyrics", "unsyncedlyrics", "unsynced lyrics", "uslt", "©lyr", "wm/lyrics"),
    "synced_lyrics": ("sylt", "syncedlyrics", "synced lyrics", "wm/lyrics_synchronised"),
}  # fmt: skip
"""Column -> names of its tags in lower case; of several the first counts."""
_NOBODY = ("various artists", "various", "unknown artist", "unknown", "va")
_ITUNES = "----:com.apple.itunes:"
_IN_MS = 2
"""SYLT's format whose times are milliseconds; the other counts MPEG frames."""
_FAULTS = (ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, OverflowError, struct.error)
"""What broken tags raise besides mutagen's own error."""


def read_tags(data: Encoded) -> dict[str, str]:
    """column -> text, for columns with a value; {} if there are no tags, or they cannot be read."""
    held: dict[str, str] = {}
    for key, text in (*_by_mutagen(data), *_by_decoder(data)):
        key = key.lower().removeprefix(_ITUNES)
        if text.strip() and not (key in _NAMES["artist"] and text.strip().lower() in _NOBODY):
            held.setdefault(key, text.strip())
    found = {column: next((held[n] for n in names if n in held), "") for column, names in _NAMES.items()}
    return {column: text for column, text in found.items() if text}


def _by_mutagen(data: Encoded) -> Iterator[tuple[str, str]]:
    import mutagen

    try:
        opened = mutagen.File(io.BufferedReader(EncodedFile(data)))
        yield from _pairs(opened.tags if opened is not None else None)
    except (mutagen.MutagenError, *_FAULTS):
        return


def _pairs(tags: Any) -> Iterator[tuple[str, str]]:
    for key, value in tags.items() if tags is not None else ():
        name = str(key).split(":")[0] if not str(key).startswith("----") else str(key)
        if name == "SYLT":
            if value.format == _IN_MS and (lyrics := _synced(value.text)):
                yield name, lyrics
        elif name == "USLT":
            yield name, str(value.text)
        elif hasattr(value, "FrameID"):
            yield name, str(getattr(value, "url", None) or (value.text[0] if getattr(value, "text", None) else ""))
        else:
            first = value[0] if isinstance(value, list) and value else value
            yield name, bytes(first).decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def _synced(entries: list[tuple[str, int]]) -> str:
    """Entries are lines; or, if some of them begin or end with a line break, syllables."""
    if not any("\n" in text.strip(" ") for text, _ in entries):
        return lrc_of(TimedLine(ms / 1000, [(text, ms / 1000)]) for text, ms in entries)
    lines: list[list[tuple[str, float]]] = [[]]
    for text, ms in entries:
        if text.startswith("\n"):
            lines.append([])
        lines[-1].append((text.strip("\n"), ms / 1000))
        if text.endswith("\n") and text.strip("\n"):
            lines.append([])
    return lrc_of(TimedLine(line[0][1], line) for line in lines if line)


def _by_decoder(data: Encoded) -> Iterator[tuple[str, str]]:
    """Tags of the containers that mutagen does not know."""
    head = data[:16]
    if head[:4] in (b"RIFF", b"FORM", b"caff"):
        try:
            with sf.SoundFile(io.BufferedReader(EncodedFile(data))) as file:
                yield from file.copy_metadata().items()
        except sf.LibsndfileError:
            return
    elif container_of(head) == "matroska":
        import av

        try:
            with av.open(io.BufferedReader(EncodedFile(data)), format="matroska", metadata_errors="ignore") as opened:
                yield from opened.metadata.items()
                for track in opened.streams.audio:
                    yield from track.metadata.items()
        except (av.error.FFmpegError, ValueError):
            return
