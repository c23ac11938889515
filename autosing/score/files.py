"""A score file of any kind -> a score, and back, by the ending of its name."""

import json
from collections.abc import Callable
from pathlib import Path

from autosing.errors import InputError
from autosing.score.formats.corpora import is_gtsinger, score_of_gtsinger
from autosing.score.formats.diffsinger import read_ds, write_ds
from autosing.score.formats.lab import read_lab, write_lab
from autosing.score.formats.labels_json import has_syllables, read_labels_json
from autosing.score.formats.midi import read_midi
from autosing.score.formats.midi_write import write_midi
from autosing.score.formats.musicxml import read_musicxml
from autosing.score.formats.musicxml_write import write_musicxml
from autosing.score.formats.options import USUAL, ReadOptions, ReadScore
from autosing.score.formats.textgrid import read_textgrid, write_textgrid
from autosing.score.formats.ultrastar import read_ultrastar, write_ultrastar
from autosing.score.formats.ustx import read_ustx, write_ustx
from autosing.score.score import MAX_JSON_BYTES, Score

Reader = Callable[[Path, ReadOptions], ReadScore]
Writer = Callable[[Score, Path], None]


def _read_json(path: Path, options: ReadOptions) -> ReadScore:
    data = path.read_bytes()
    try:
        values = json.loads(data) if len(data) <= MAX_JSON_BYTES else None
    except (ValueError, RecursionError):
        values = None
    if values is not None and is_gtsinger(values):
        return ReadScore(score_of_gtsinger(values, options.language, str(path)))
    if values is not None and has_syllables(values):
        return read_labels_json(values, path, options)
    return ReadScore(Score.from_json(data, str(path)))


def _write_json(score: Score, path: Path) -> None:
    path.write_bytes(score.to_json())


READERS: dict[str, Reader] = {
    ".mid": read_midi, ".midi": read_midi, ".kar": read_midi, ".musicxml": read_musicxml, ".xml": read_musicxml,
    ".mxl": read_musicxml, ".ustx": read_ustx, ".txt": read_ultrastar, ".ds": read_ds, ".textgrid": read_textgrid,
    ".lab": read_lab, ".json": _read_json,
}  # fmt: skip
WRITERS: dict[str, Writer] = {
    ".mid": write_midi, ".midi": write_midi, ".musicxml": write_musicxml, ".xml": write_musicxml, ".ustx": write_ustx,
    ".txt": write_ultrastar, ".ds": write_ds, ".textgrid": write_textgrid, ".lab": write_lab, ".json": _write_json,
}  # fmt: skip


def read_score(path: Path, options: ReadOptions = USUAL) -> ReadScore:
    """Raises InputError: no such file, an unknown ending, a package that is missing, or what its reader says."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"score {path}: of an unknown kind; need one of {', '.join(READERS)}")
    if not path.is_file():
        raise InputError(f"score {path}: no such file; give a score")
    try:
        return reader(path, options)
    except ModuleNotFoundError as error:
        raise _missing(path, error) from None
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        raise InputError(f"score {path}: cannot be read ({found}); give a file that you may read") from None


def write_score(score: Score, path: Path) -> None:
    """Raises InputError: an unknown ending, a package that is missing, or what the format cannot say."""
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"score {path}: of an unknown kind; need one of {', '.join(WRITERS)}")
    try:
        writer(score, path)
    except ModuleNotFoundError as error:
        raise _missing(path, error) from None


def _missing(path: Path, error: ModuleNotFoundError) -> InputError:
    return InputError(f"{path}: package {error.name} is not installed; run pip install 'autosing[score]'")
