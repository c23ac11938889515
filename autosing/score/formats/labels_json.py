"""Labels of a song as JSON, `{"syllables": [{"start", "end", "text", "pitch" or "midi", "line"}]}` -> a score.

Times are seconds. A space before or behind a text parts words, `~` holds the syllable before; `pitch` counts semitones
from C4, as UltraStar does, `midi` from C-1; without either the syllable is spoken.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autosing.errors import InputError
from autosing.score.assemble import SungNote, assemble, one_voice
from autosing.score.formats.options import ReadOptions, ReadScore
from autosing.score.languages import language_code
from autosing.score.lyric_marks import read_marks
from autosing.score.tempo import TempoMap

_C4 = 60


def has_syllables(values: Any) -> bool:
    """Whether it is such labels: a list of syllables, of which at least one has a pitch."""
    held = values.get("syllables") if isinstance(values, dict) else None
    return isinstance(held, list) and any(isinstance(s, dict) and ("pitch" in s or "midi" in s) for s in held)


def read_labels_json(values: Mapping[str, Any], path: Path, options: ReadOptions) -> ReadScore:
    """Raises InputError naming the syllable that is not as it should be."""
    held = values["syllables"]
    language = options.language if options.language != "und" else language_code(str(values.get("language") or ""))
    lines: dict[Any, int] = {}
    notes: list[tuple[float, float, float | None, str, int]] = []
    for number, item in enumerate(held, start=1):
        try:
            pitch = item.get("midi", item["pitch"] + _C4 if item.get("pitch") is not None else None)
            line = lines.setdefault(item.get("line", 0), len(lines))
            start_s, end_s, text = float(item["start"]), float(item["end"]), str(item.get("text") or "")
            notes.append((start_s, end_s, None if pitch is None else float(pitch), text, line))
        except (KeyError, TypeError, ValueError, AttributeError):
            found = f"syllable {number} is {str(item)[:60]}"
            raise InputError(f"{path}: {found}; need start, end, text and pitch") from None
    notes.sort(key=lambda note: note[0])
    firsts = frozenset(k for k, note in enumerate(notes) if k == 0 or note[4] != notes[k - 1][4])
    marks = read_marks([text for *_, text, _ in notes], spaced=True, firsts=firsts)
    sung = [
        SungNote(start_s, end_s, midi, mark.text, mark.hold, mark.joins, line, language)
        for (start_s, end_s, midi, _, line), mark in zip(notes, marks, strict=True)
        if end_s > start_s
    ]
    remedy = "mend the labels, or take the upper note (--highest)"
    voice, told = one_voice(sung, TempoMap(), options.highest, str(path), remedy)
    return ReadScore(assemble(voice, 0.0, TempoMap()), tuple(told))
