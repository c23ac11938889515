"""A score file beside a song -> the score on the song's time, as JSON, and the lyrics in it."""

import json
from pathlib import Path

from autosing.errors import InputError
from autosing.score.files import read_score
from autosing.score.formats.corpora import is_gtsinger
from autosing.score.formats.labels_json import has_syllables
from autosing.score.formats.ultrastar import parse_ultrastar
from autosing.score.score import Score
from autosing.text.files import read_text_file
from autosing.text.normalize import join_words
from processing.importer.facts import Facts

SCORE_SUFFIXES = (".ustx", ".musicxml", ".mxl", ".mid", ".midi", ".kar", ".ds", ".textgrid")
"""Of several scores beside a song the first counts. UltraStar's .txt and labels in .json are scores too."""

_WITHOUT_WORDS = ".ds"


def is_score(path: Path) -> bool:
    """Whether a file beside a song has notes in it."""
    suffix = path.suffix.lower()
    if suffix in SCORE_SUFFIXES:
        return True
    if suffix not in (".txt", ".json"):
        return False
    try:
        text, _ = read_text_file(path)
        if suffix == ".txt":
            return parse_ultrastar(text) is not None
        values = json.loads(text)
        return has_syllables(values) or is_gtsinger(values)
    except (InputError, ValueError, RecursionError):
        return False


def score_beside(path: Path) -> tuple[Facts, tuple[str, ...]]:
    """(its score and its lyrics, what a person should know of how it was read). Raises InputError."""
    found = read_score(path)
    languages = {word.language for word in found.score.words} - {"und"}
    facts = Facts(
        raw_lyrics=None if path.suffix.lower() == _WITHOUT_WORDS else _lyrics(found.score) or None,
        language=languages.pop() if len(languages) == 1 else None,
        score=found.score.to_json().decode(),
    )
    return facts, found.remarks


def _lyrics(score: Score) -> str:
    return "\n".join(join_words(word.text for word in line) for line in score.lines)
