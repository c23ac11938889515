"""A number -> that song of a corpus: its truth and stems on disk, and its row for the index."""

import shutil
from pathlib import Path

from autosing.audio.io import encode, save
from autosing.schemas.tables import Line, Song
from autosing.songs.natural_song import make_natural_song
from autosing.songs.settings import SongsConfig
from autosing.songs.singers import SINGERS
from autosing.songs.song import Form, MadeSong, make_song
from autosing.songs.truth import save_truth
from autosing.storage.store import attempt

LICENCE = "CC0-1.0"


def write_song(out: Path, config: SongsConfig, index: int) -> Song:
    """Make song number `index`. OUT/truth/<id>/ appears whole or not at all; the row is returned."""
    return write_made(out, _sing(config, index), config.audio_format)


def write_made(out: Path, song: MadeSong, audio_format: str) -> Song:
    """Its truth on disk, and its row."""
    home = out / "truth" / song.truth.id
    with attempt(home) as folder:
        whole = folder / home.name
        whole.mkdir()
        _write_truth(song, whole)
        if home.exists():
            shutil.rmtree(home)
        whole.rename(home)
    lines = song.truth.lines
    return Song(
        id=song.truth.id,
        audio=encode(song.stems.mix, audio_format),
        lrc_lyrics="\n".join(_stamp(line) + line.text for line in lines),
        raw_lyrics="\n".join(line.text for line in lines),
        artist=song.truth.artist,
        title=lines[0].text,
        language=song.truth.language,
        licence=LICENCE,
    )


def _sing(config: SongsConfig, index: int) -> MadeSong:
    form = Form((("verse", config.lines), ("chorus", config.lines)))
    cast = config.casting(index)
    if cast.voice == "natural":
        return make_natural_song(config.seed, index, cast.singer, form)
    return make_song(config.seed, index, SINGERS[cast.singer], cast.language, form)


def _write_truth(song: MadeSong, folder: Path) -> None:
    for name in ("vocals_dry", "vocals", "instrumental"):
        save(getattr(song.stems, name), folder / f"{name}.flac")
    assert song.speech is not None
    save(song.speech, folder / "speech.flac")
    save_truth(song.truth, folder)


def _stamp(line: Line) -> str:
    """[mm:ss.xx], as LRC files have it."""
    hundredths = round(line.start_s * 100)
    return f"[{hundredths // 6000:02d}:{hundredths % 6000 / 100:05.2f}]"
