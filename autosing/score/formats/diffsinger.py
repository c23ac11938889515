"""DiffSinger's scores: `.ds` projects (a JSON list of phrases) <-> a score; and rows of `transcriptions.csv`.

A phrase names phones with durations (`ph_seq`, `ph_dur`), how many of them each group has that begins with a vowel
(`ph_num`), and notes (`note_seq`, `note_dur`, `note_slur`), all as text with spaces between. Durations are seconds,
`SP` and `rest` silence, `AP` breath; `offset` is where the phrase begins.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from autosing.errors import InputError
from autosing.score.formats.labels import Label, NoteLabel, midi_of, name_of, phone_labels, score_of_labels
from autosing.score.formats.options import USUAL, ReadOptions, ReadScore
from autosing.score.score import Score
from autosing.text.files import read_text_file

_SLACK_S = 0.05
"""Sums of phones and notes of a phrase may differ by so much."""


@dataclass(frozen=True)
class Phrase:
    """One phrase on its own time."""

    name: str
    offset_s: float
    score: Score
    f0_hz: np.ndarray | None
    """The drawn curve, every `f0_step_s` from the phrase's start; None where there is none."""
    f0_step_s: float


def read_ds(path: Path, options: ReadOptions = USUAL) -> ReadScore:
    """All phrases on one time line. Raises InputError naming phrase and field."""
    from autosing.score.join import join

    phrases = read_phrases(path, options)
    curves = sum(phrase.f0_hz is not None for phrase in phrases)
    remarks = (f"{curves} phrases have a drawn f0, which a score does not hold",) if curves else ()
    return ReadScore(join([(phrase.offset_s, phrase.score) for phrase in phrases]), remarks)


def read_phrases(path: Path, options: ReadOptions = USUAL) -> list[Phrase]:
    """Raises InputError naming phrase and field."""
    text, _ = read_text_file(path)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}); export it again") from None
    held = values if isinstance(values, list) else [values]
    if not held or not all(isinstance(item, dict) for item in held):
        raise InputError(f"{path}: need a list of phrases, each an object with ph_seq")
    return [_phrase(item, f"{path}: phrase {k}", options) for k, item in enumerate(held, start=1)]


def read_transcriptions(path: Path, options: ReadOptions = USUAL) -> list[Phrase]:
    """The rows of a `transcriptions.csv`. Raises InputError naming row and field."""
    rows = list(csv.DictReader(io.StringIO(read_text_file(path)[0], newline="")))
    if not rows or "ph_seq" not in rows[0] or "name" not in rows[0]:
        found = ", ".join(rows[0]) if rows else "none"
        raise InputError(f"{path}: columns {found}; need name, ph_seq, ph_dur and, for notes, note_seq, note_dur")
    return [_phrase(row, f"{path}: row {k} ({row['name']})", options) for k, row in enumerate(rows, start=1)]


def write_ds(score: Score, path: Path) -> None:
    """One phrase. Raises InputError where the phones have no times."""
    values = {"offset": 0.0, **phrase_fields(score)}
    path.write_text(json.dumps([values], ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def write_transcriptions(scores: Mapping[str, Score], path: Path) -> None:
    """Name of the recording -> its score."""
    columns = ("name", "ph_seq", "ph_dur", "ph_num", "note_seq", "note_dur", "note_slur")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({"name": name, **phrase_fields(score)} for name, score in scores.items())


def phrase_fields(score: Score) -> dict[str, str]:
    """Phones in IPA. Raises InputError where they have no times."""
    phones = phone_labels(score)
    nuclei = {p.start_s for p in score.phones if p.place == "nucleus" and p.start_s is not None}
    groups: list[int] = []
    for label in phones:
        if not groups or label.text in ("SP", "AP") or any(abs(label.start_s - s) < 1e-6 for s in nuclei):
            groups.append(0)
        groups[-1] += 1
    notes: list[tuple[str, float, bool]] = []
    at_s = 0.0
    for note, slur in zip(score.notes, score.slurs, strict=True):
        if note.start_s - at_s > 1e-4:
            notes.append(("rest", note.start_s - at_s, False))
            at_s = note.start_s
        notes.append((name_of(note.midi), note.end_s - at_s, slur))
        at_s = note.end_s
    if score.duration_s - at_s > 1e-4:
        notes.append(("rest", score.duration_s - at_s, False))
    fields = {
        "text": " ".join(word.text for word in score.words),
        "ph_seq": " ".join(label.text for label in phones),
        "ph_dur": _seconds([label.end_s - label.start_s for label in phones]),
        "ph_num": " ".join(map(str, groups)),
    }
    if score.notes:
        fields |= {
            "note_seq": " ".join(name for name, _, _ in notes),
            "note_dur": _seconds([length_s for _, length_s, _ in notes]),
            "note_slur": " ".join(str(int(slur)) for _, _, slur in notes),
        }
    return fields


def _seconds(lengths_s: Sequence[float]) -> str:
    """Rounded so that ends do not drift."""
    ends = np.round(np.cumsum(lengths_s), 6)
    return " ".join(f"{length:.6f}".rstrip("0").rstrip(".") for length in np.diff(ends, prepend=0.0))


def _phrase(values: Mapping[str, Any], origin: str, options: ReadOptions) -> Phrase:
    signs = _words(values, "ph_seq")
    lengths_s = _numbers(values, "ph_dur", origin)
    note_names, note_s, slurs = (
        _words(values, "note_seq"),
        _numbers(values, "note_dur", origin),
        _words(values, "note_slur"),
    )
    groups = _numbers(values, "ph_num", origin)
    if not signs:
        raise InputError(f"{origin}: no ph_seq; need the phones of the phrase, with spaces between")
    _as_many(origin, "ph_dur", len(lengths_s), "ph_seq", len(signs), optional=True)
    _as_many(origin, "note_dur", len(note_s), "note_seq", len(note_names))
    _as_many(origin, "note_slur", len(slurs), "note_seq", len(note_names), optional=True)
    if groups:
        _as_many(origin, "sum of ph_num", int(sum(groups)), "ph_seq", len(signs))
    try:
        midis = [midi_of(name) for name in note_names]
    except ValueError:
        bad = next(name for name in note_names if not _is_note(name))
        raise InputError(f"{origin}: note_seq holds {bad!r}; need C4, C#4/Db4, C4+12, 60 or rest") from None
    if not lengths_s:
        raise InputError(f"{origin}: no ph_dur; phones without times need their groups: give the lyrics instead")
    phones = [Label(a, b, sign) for sign, (a, b) in zip(signs, _spans(lengths_s), strict=True)]
    told = bool(slurs) and len(set(slurs)) > 1  # all 0 or all 1: nobody filled it in
    notes = [
        NoteLabel(a, b, midi, slurs[k] == "1" if told else None)
        for k, (midi, (a, b)) in enumerate(zip(midis, _spans(note_s), strict=True))
    ]
    duration_s = max(sum(lengths_s), sum(note_s))
    if note_s and abs(sum(lengths_s) - sum(note_s)) > _SLACK_S:
        found = f"ph_dur sums to {sum(lengths_s):.3f} s, note_dur to {sum(note_s):.3f} s"
        raise InputError(f"{origin}: {found}; need sums within {_SLACK_S} s")
    language = (
        options.language if options.language != "und" else str(values.get("language") or values.get("lang") or "und")
    )
    score = score_of_labels([], phones, notes, duration_s, language, origin)
    curve, step = _numbers(values, "f0_seq", origin), _numbers(values, "f0_timestep", origin)
    if curve and not step:
        raise InputError(f"{origin}: f0_seq without f0_timestep; need seconds a value")
    f0_hz = np.asarray(curve, np.float32) if curve else None
    offset_s = (_numbers(values, "offset", origin) or [0.0])[0]
    return Phrase(str(values.get("name") or ""), offset_s, score, f0_hz, step[0] if step else 0.0)


def _as_many(origin: str, name: str, found: int, other: str, needed: int, optional: bool = False) -> None:
    if found != needed and not (optional and found == 0):
        raise InputError(f"{origin}: {name} is {found}, {other} has {needed}; need as many")


def _words(values: Mapping[str, Any], name: str) -> list[str]:
    return str(values.get(name) or "").split()


def _numbers(values: Mapping[str, Any], name: str, origin: str) -> list[float]:
    held = values.get(name)
    words = [held] if isinstance(held, int | float) else str(held or "").split()
    try:
        found = [float(word) for word in words]
    except ValueError:
        raise InputError(f"{origin}: {name} holds {str(held)[:40]!r}; need numbers with spaces between") from None
    if not all(np.isfinite(found)) or (name.endswith("dur") and any(value < 0 for value in found)):
        raise InputError(f"{origin}: {name} holds a number below 0, or none; need seconds")
    return found


def _spans(lengths_s: Sequence[float]) -> list[tuple[float, float]]:
    ends = [0.0]
    for length_s in lengths_s:
        ends.append(ends[-1] + length_s)
    return list(pairwise(ends))


def _is_note(name: str) -> bool:
    try:
        midi_of(name)
    except ValueError:
        return False
    return True
