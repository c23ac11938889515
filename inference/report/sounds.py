"""Files that `render`, `convert` and other commands wrote -> players with spectrogram, words and pitch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autosing.audio.io import Audio, decode
from autosing.audio.pitch import load_tracker
from autosing.errors import InputError
from autosing.text.lrc import parse_lrc
from autosing.timebase import PITCH_RATE_HZ
from inference.files import vocals_of
from inference.provenance.tags import read_tags
from inference.report.figures import marks, pitch_path
from inference.report.html import take


def sounds(paths: Sequence[Path]) -> list[str]:
    """The section's HTML. Raises InputError where a file is not there, or not the record that its command wrote."""
    return [part for path in paths for part in _shown(path)]


def tracked(audio: Audio) -> str:
    """The pitch path of audio that has no pitch table: it is tracked here."""
    return pitch_path(load_tracker()(audio.mono_S(), audio.sample_rate_hz), float(PITCH_RATE_HZ), audio)


def _shown(path: Path) -> list[str]:
    facts = _record(path)
    fact = ", ".join(f"{key} {facts[key]}" for key in ("singer", "score", "source", "model") if facts.get(key))
    heard = decode(path)
    alone = vocals_of(path)
    voice = decode(alone) if alone.is_file() else heard
    drawn = marks(_lines(path.with_suffix(".lrc")), heard.duration_s)
    title = f"{path.name}: {facts['made_by']}"
    parts = [take(title, fact, heard, drawn, "" if alone.is_file() else tracked(voice), read_tags(path))]
    if alone.is_file():
        parts.append(take(f"{alone.name}: its voice", "with its pitch", voice, drawn, tracked(voice), read_tags(alone)))
    return parts


def _record(path: Path) -> dict[str, Any]:
    record = path.with_suffix(".json")
    if not path.is_file() or not record.is_file():
        raise InputError(
            f"report: {path}: need the sound and its record {record.name}, as 'autosing render' writes them"
        )
    facts: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    if "made_by" not in facts:
        raise InputError(f"report: {record} is no record of an autosing command; give what 'autosing render' wrote")
    return facts


def _lines(lyrics: Path) -> list[tuple[str, float, float]]:
    """(text, start, end) in seconds of the words; none without a file."""
    if not lyrics.is_file():
        return []
    words = [word for line in parse_lrc(lyrics.read_text(encoding="utf-8")).lines for word in line.words]
    timed = [(word.text, word.start_s) for word in words if word.start_s is not None]
    ends_s = [start_s for _, start_s in timed[1:]] + [timed[-1][1] + 1.0] if timed else []
    return [(text, start_s, end_s) for (text, start_s), end_s in zip(timed, ends_s, strict=True)]
