"""Label files (.lab, Audacity's .txt): a line a phone or word, `start end text` <-> labels, and a score.

HTK counts in 100 ns, whole numbers; seconds have a point.
"""

from collections.abc import Sequence
from pathlib import Path

from autosing.errors import InputError
from autosing.score.formats.labels import Label, phone_labels, score_of_labels
from autosing.score.formats.options import USUAL, ReadOptions, ReadScore
from autosing.score.score import Score
from autosing.text.files import read_text_file

_HTK_S = 1e-7


def read_lab(path: Path, options: ReadOptions = USUAL) -> ReadScore:
    """A file of phones. Raises InputError: a line of another form, no line, times that go back, unknown phones."""
    labels = read_labels(path)
    score = score_of_labels([], labels, [], labels[-1].end_s, options.language, str(path))
    return ReadScore(score)


def read_labels(path: Path) -> list[Label]:
    """Raises InputError: a line of another form, no line, times that go back."""
    rows = [row.split(None, 2) for row in read_text_file(path)[0].splitlines() if row.strip()]
    if not rows:
        raise InputError(f"{path}: no line in it; need `start end phone` a line")
    found: list[Label] = []
    scale_s = 1.0 if any("." in time for row in rows for time in row[:2]) else _HTK_S
    for number, row in enumerate(rows, start=1):
        try:
            start_s, end_s = float(row[0]) * scale_s, float(row[1]) * scale_s
        except (ValueError, IndexError):
            raise InputError(f"{path}: line {number} is {' '.join(row)!r}; need `start end phone`") from None
        if end_s < start_s or (found and start_s < found[-1].end_s - 1e-4):
            raise InputError(f"{path}: line {number} goes back to {start_s:.4f} s; need labels in order")
        found.append(Label(start_s, end_s, row[2].strip() if len(row) > 2 else ""))
    return found


def write_lab(score: Score, path: Path) -> None:
    """Phones in HTK's 100 ns; `pau` for rests, `br` for breaths. Raises InputError where the phones have no times."""
    names = {"SP": "pau", "AP": "br"}
    write_labels([Label(p.start_s, p.end_s, names.get(p.text, p.text)) for p in phone_labels(score)], path)


def write_labels(labels: Sequence[Label], path: Path) -> None:
    rows = [f"{round(label.start_s / _HTK_S)} {round(label.end_s / _HTK_S)} {label.text}" for label in labels]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
