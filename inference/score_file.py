"""A score's file, and perhaps other words for it -> the score with phones."""

import importlib
from collections.abc import Callable
from pathlib import Path

from autosing.errors import InputError
from autosing.score.formats.options import ReadOptions, ReadScore
from autosing.score.score import MAX_JSON_BYTES, Score

_READERS = {
    ".mid": "midi:read_midi", ".midi": "midi:read_midi", ".kar": "midi:read_midi",
    ".musicxml": "musicxml:read_musicxml", ".xml": "musicxml:read_musicxml", ".mxl": "musicxml:read_musicxml",
    ".txt": "ultrastar:read_ultrastar", ".ds": "diffsinger:read_ds", ".textgrid": "textgrid:read_textgrid",
}  # fmt: skip
"""Ending -> the reader in autosing.score.formats: (path, options) -> ReadScore."""


def read_score(path: Path, options: ReadOptions, lyrics: str | None = None) -> tuple[Score, tuple[str, ...]]:
    """(the score, remarks). Phones that the file has keep their times; where it has none, words are looked up.

    Raises InputError: an unknown ending, no score, several voices at once (with the remedy), words without a
    pronunciation, lyrics that do not fit the notes.
    """
    ending = path.suffix.lower()
    if ending == ".json":
        if path.stat().st_size > MAX_JSON_BYTES:
            raise InputError(f"--score {path}: {path.stat().st_size} bytes; at most {MAX_JSON_BYTES} are read")
        read = ReadScore(Score.from_json(path.read_bytes(), f"--score {path}"))
    elif ending in _READERS:
        module, _, name = _READERS[ending].partition(":")
        reader: Callable[[Path, ReadOptions], ReadScore] = getattr(
            importlib.import_module(f"autosing.score.formats.{module}"), name
        )
        read = reader(path, options)
    else:
        raise InputError(
            f"--score {path}: ends in {ending or 'nothing'!r}, need one of {', '.join(sorted([*_READERS, '.json']))}"
        )
    score = read.score
    if lyrics is not None or not score.phones:
        score = _pronounced(score, lyrics, options.language)
    return score, read.remarks


def _pronounced(score: Score, lyrics: str | None, language: str) -> Score:
    from autosing.score.g2p.bind import with_phones

    from autosing.score.lyrics import with_lyrics
    from inference.lyrics_plan import read_lyrics

    if lyrics is not None:
        texts, timed = read_lyrics(lyrics)
        score = with_lyrics(score, texts or [line.text for line in timed], language)
    return with_phones(score)
