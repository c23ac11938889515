"""A score's file, and perhaps other words for it -> the score with phones."""

from pathlib import Path

from pydantic import Field

from autosing.score import files
from autosing.score.change import joined
from autosing.score.formats.options import ReadOptions
from autosing.score.score import Score


class FileOptions(ReadOptions):
    """What to take of a score's file, and how literally."""

    join_s: float = Field(default=0.25, ge=0, le=10)
    """Rests within a line that last so long at most are sung through: karaoke files leave some behind each syllable,
    and so do keyboards. Not where the file says when phones are sung."""


def read_score(
    path: Path, options: FileOptions, lyrics: str | None = None, words: bool = True
) -> tuple[Score, tuple[str, ...]]:
    """(the score, remarks). Phones that the file has keep their times; where it has none, words are looked up. Without
    `words` its words stay as they are: they will not be sung.

    Raises InputError: an unknown ending, no score, several voices at once (with the remedy), words without a
    pronunciation, lyrics that do not fit the notes.
    """
    read = files.read_score(path, options)
    score = read.score
    if words and (lyrics is not None or (score.words and not score.phones)):
        score = _pronounced(score, lyrics, options.language)
    return (score if score.timed else joined(score, options.join_s)), read.remarks


def _pronounced(score: Score, lyrics: str | None, language: str) -> Score:
    from autosing.score.g2p.bind import with_phones
    from autosing.score.lyrics import with_lyrics

    if lyrics is not None:
        score = with_lyrics(score, lyric_lines(lyrics), language)
    return with_phones(score)


def lyric_lines(lyrics: str) -> list[str]:
    """The lines of what --lyrics names: a file, or text. Raises InputError as `read_lyrics` does."""
    from inference.lyrics_plan import read_lyrics

    texts, timed = read_lyrics(lyrics)
    return list(texts) or [line.text for line in timed]
