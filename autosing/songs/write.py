"""A number -> that song of a corpus: its truth and stems on disk, and its row for the index."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from autosing.audio.io import encode, save
from autosing.ids import seed_of
from autosing.schemas.tables import Song
from autosing.songs.natural_song import make_natural_song
from autosing.songs.settings import SongsConfig
from autosing.songs.singers import SINGERS
from autosing.songs.song import Form, MadeSong, make_song
from autosing.songs.trouble import ADLIB, SungLine, Trouble, WrittenLine, planted, troubled_parts, written
from autosing.songs.truth import SongTruth, save_truth
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
    lines = song.truth.lyrics
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


def form_of(config: SongsConfig, index: int) -> Form:
    """How song number `index` is built, and what is planted in it."""
    if not config.trouble:
        return Form((("verse", config.lines), ("chorus", config.lines)))
    parts = troubled_parts(config.lines, config.trouble)
    return Form(parts, planted=planted(parts, config.trouble, config.seed, index))


def _sing(config: SongsConfig, index: int) -> MadeSong:
    form, cast = form_of(config, index), config.casting(index)
    if cast.voice == "natural":
        return make_natural_song(config.seed, index, cast.singer, form)
    song = make_song(config.seed, index, SINGERS[cast.singer], cast.language, form)
    if not config.trouble:
        return song
    rng = np.random.default_rng(seed_of("made lyrics", config.seed, index))
    return replace(song, truth=with_troubles(song.truth, config.trouble, form, rng))


def with_troubles(truth: SongTruth, troubles: tuple[Trouble, ...], form: Form, rng: np.random.Generator) -> SongTruth:
    """The truth of a song that was sung in this form, with the lyrics file that these troubles leave of it."""
    part_of_line = [number for number, (_, count) in enumerate(form.parts) for _ in range(count)]
    held = [number for number, part in enumerate(truth.parts) if part != ADLIB]
    sung = [
        SungLine(truth.lines[line].text, truth.lines[line].start_s, line, part)
        for line, part in zip(held, part_of_line, strict=True)
    ]
    lines = written(sung, form.parts, form.planted.again, troubles, truth.language, rng)
    return replace(truth, troubles=troubles, written=lines)


def _write_truth(song: MadeSong, folder: Path) -> None:
    for name in ("vocals_dry", "vocals", "instrumental"):
        save(getattr(song.stems, name), folder / f"{name}.flac")
    assert song.speech is not None
    save(song.speech, folder / "speech.flac")
    save_truth(song.truth, folder)


def _stamp(line: WrittenLine) -> str:
    """[mm:ss.xx], as LRC files have it."""
    hundredths = round(line.start_s * 100)
    return f"[{hundredths // 6000:02d}:{hundredths % 6000 / 100:05.2f}]"
