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
import json
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

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
_LYRICS = (*_NAMES["lyrics"], *_NAMES["synced_lyrics"])
_NOBODY = ("various artists", "various", "unknown artist", "unknown", "va")
_ITUNES = "----:com.apple.itunes:"
_IN_MS = 2
"""SYLT's format whose times are milliseconds; the other counts MPEG frames."""
_MAX_CHARS = 1024
_MAX_LYRICS_BYTES = 48_000
"""Of each of the two kinds of lyrics; longer ones are left out, as half of them would be wrong."""
_FAULTS = (ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, OverflowError, struct.error)
"""What broken tags raise besides mutagen's own error."""


class FoundTags(NamedTuple):
    """`texts`: column -> text, for columns with a value. `remarks`: (reason, what is there, but not in `texts`)."""

    texts: dict[str, str]
    remarks: list[tuple[str, str]]


def read_tags(data: Encoded) -> FoundTags:
    """No texts if there are no tags, or they cannot be read."""
    held: dict[str, str] = {}
    remarks: list[tuple[str, str]] = []
    for key, text in (*_by_mutagen(data, remarks), *_by_decoder(data)):
        key = key.lower().removeprefix(_ITUNES)
        if text.strip() and not (key in _NAMES["artist"] and text.strip().lower() in _NOBODY):
            if key in _LYRICS and held.get(key, text.strip()) != text.strip():
                _remark(remarks, f"{key} in its tags: several, of which the first is read")
            held.setdefault(key, text.strip())
    found = {column: next((held[n] for n in names if n in held), "") for column, names in _NAMES.items()}
    return FoundTags(
        {column: short for column, text in found.items() if (short := _short(column, text, remarks))}, remarks
    )


def _short(column: str, text: str, remarks: list[tuple[str, str]]) -> str:
    """The text; of long lyrics nothing, of others that are long the beginning."""
    if not column.endswith("lyrics"):
        if len(text) > _MAX_CHARS:
            remarks.append(("tag_cut", f"{column} of {len(text):,} characters, of which {_MAX_CHARS:,} are kept"))
        return text[:_MAX_CHARS]
    num_bytes = len(json.dumps(text, ensure_ascii=False).encode(errors="surrogatepass"))
    if num_bytes <= _MAX_LYRICS_BYTES:
        return text
    found = f"{column} in its tags: {num_bytes:,} bytes, at most {_MAX_LYRICS_BYTES:,} are read"
    _remark(remarks, f"{found}; put them into a file beside the song")
    return ""


def _remark(remarks: list[tuple[str, str]], found: str) -> None:
    """Of lyrics; once, however many such tags there are."""
    if ("lyrics_not_used", found) not in remarks:
        remarks.append(("lyrics_not_used", found))


def _by_mutagen(data: Encoded, remarks: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    import mutagen

    try:
        opened = mutagen.File(io.BufferedReader(EncodedFile(data)))
        yield from _pairs(opened.tags if opened is not None else None, remarks)
    except (mutagen.MutagenError, *_FAULTS):
        return


def _pairs(tags: Any, remarks: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for key, value in tags.items() if tags is not None else ():
        name = str(key).split(":")[0] if not str(key).startswith("----") else str(key)
        if name == "SYLT":
            if value.format != _IN_MS:
                found = "SYLT in its tags: its times count MPEG frames, need milliseconds"
                _remark(remarks, f"{found}; put the lyrics as LRC beside the song")
            elif lyrics := _synced(value.text):
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
