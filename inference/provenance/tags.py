"""Tags of an audio file: Vorbis comments of flac, ogg and opus; ID3v2.4 of mp3, and of wav in a chunk of its own.

A wav's chunk `id3 ` is read by ffmpeg and by editors; its older INFO chunk, which more programs show, has a fixed set
of keys and holds the comment alone.
"""

import io
import struct
from collections.abc import Mapping
from pathlib import Path

import mutagen
from mutagen.flac import FLAC
from mutagen.id3 import COMM, ID3, TXXX, Encoding
from mutagen.mp3 import MP3
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from autosing.errors import InputError

PREFIX = "AUTOSING_"
_COMMENT = "COMMENT"


def write_tags(path: Path, tags: Mapping[str, str], comment: str) -> None:
    """Into a finished file, in place. The samples stay, and the same tags give the same bytes."""
    file = mutagen.File(path)
    assert file is not None, path
    _put(file, tags, comment)
    file.save()
    if isinstance(file, WAVE):
        _add_info(path, comment)


def tagged_mp3(data: bytes, tags: Mapping[str, str], comment: str) -> bytes:
    """The same of an mp3 that lies in no file."""
    sound = io.BytesIO(data)
    file = MP3(sound)
    _put(file, tags, comment)
    sound.seek(0)
    file.save(sound)
    return sound.getvalue()


def _put(file: mutagen.FileType, tags: Mapping[str, str], comment: str) -> None:
    if file.tags is None:
        file.add_tags()
    if isinstance(file.tags, ID3):
        file.tags.add(COMM(encoding=Encoding.UTF8, lang="eng", desc="", text=[comment]))
        for key, text in tags.items():
            file.tags.add(TXXX(encoding=Encoding.UTF8, desc=key, text=[text]))
    else:
        for key, text in {_COMMENT: comment, **tags}.items():
            file.tags[key] = [text]


def read_tags(path: Path) -> dict[str, str]:
    """The tags that begin with PREFIX, in alphabetical order; {} where the kind of file has none.

    Raises InputError where the file's tags are damaged.
    """
    try:
        file = mutagen.File(path)
    except mutagen.MutagenError as error:
        raise InputError(f"{path}: its tags cannot be read ({error}); need a whole audio file") from None
    if file is None or file.tags is None:
        return {}
    if isinstance(file.tags, ID3):
        found = {frame.desc.upper(): " ".join(frame.text) for frame in file.tags.getall("TXXX")}
    elif isinstance(file, FLAC | OggVorbis | OggOpus):
        found = {key.upper(): " ".join(texts) for key, texts in file.tags.as_dict().items()}
    else:
        return {}
    return {key: found[key] for key in sorted(found) if key.startswith(PREFIX)}


def _add_info(path: Path, comment: str) -> None:
    """A comment in the INFO chunk of a wav that has none, behind all other chunks: mutagen writes none. Source:
    Multimedia Programming Interface and Data Specifications 1.0, chapters 2 and 3."""
    text = comment.encode() + b"\0"
    text += b"\0" * (len(text) % 2)
    held = b"INFO" + b"ICMT" + struct.pack("<I", len(text)) + text
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        assert end % 2 == 0, "chunks have an even number of bytes"
        file.write(b"LIST" + struct.pack("<I", len(held)) + held)
        file.seek(4)
        file.write(struct.pack("<I", end + 8 + len(held) - 8))
