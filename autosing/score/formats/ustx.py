"""OpenUtau's projects (.ustx, YAML) <-> a score. Positions are ticks, 480 a quarter note.

A part lies at `position` on its track; its notes follow it. A lyric `+` goes on with the word's next syllable, `+~`,
`+*` and `-` hold, `[k ae t]` behind a word names its phones (they are read again from the word).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from autosing.errors import InputError
from autosing.score.assemble import SungNote, assemble, one_voice
from autosing.score.formats.midi_write import lyric_texts
from autosing.score.formats.options import USUAL, ReadOptions, ReadScore
from autosing.score.lyric_marks import read_marks
from autosing.score.score import Score
from autosing.score.tempo import Meter, Tempo, TempoMap
from autosing.text.files import read_text_file

TICKS_PER_BEAT = 480
_PHONETIC = re.compile(r"\s*\[[^\]]*\]")
_BREATHS = frozenset({"AP", "br", "breath", "SP", "R", "r", "sil"})
_MAX_BYTES = 64 << 20


def read_ustx(path: Path, options: ReadOptions = USUAL) -> ReadScore:
    """Raises InputError: not readable, no notes, a track that there is not, chords."""
    project = _project(path)
    beats_a_tick = 1 / float(project.get("resolution") or TICKS_PER_BEAT)
    tempo = _tempo(project, beats_a_tick, path)
    number, remarks = _track(project, options, path)
    parts = [part for part in _list(project, "voice_parts") if int(part.get("track_no") or 0) == number]
    held: list[tuple[int, int, float, str]] = []
    end = 0
    for part in parts:
        at = int(part.get("position") or 0)
        end = max(end, at + int(part.get("duration") or 0))
        for note in _list(part, "notes"):
            try:
                first, length = at + int(note["position"]), int(note["duration"])
                held.append((first, first + length, _tone(note), str(note.get("lyric") or "")))
            except (KeyError, TypeError, ValueError):
                raise InputError(f"{path}: note {str(note)[:80]}; need position, duration, tone and lyric") from None
    held = sorted(note for note in held if note[1] > note[0])
    sung_ones = [note for note in held if note[3] not in _BREATHS]
    marks = read_marks([_PHONETIC.sub("", note[3]) for note in sung_ones], spaced=False)
    sung = [
        SungNote(
            tempo.seconds(first * beats_a_tick), tempo.seconds(last * beats_a_tick), tone, mark.text, mark.hold,
            mark.joins, 0, options.language,
        )
        for (first, last, tone, _), mark in zip(sung_ones, marks, strict=True)
    ]  # fmt: skip
    remedy = "take another track (--track), or the upper note (--highest)"
    notes, told = one_voice(sung, tempo, options.highest, str(path), remedy)
    if not notes:
        raise InputError(f"{path}: track {number + 1} has no notes; need a melody")
    return ReadScore(assemble(notes, tempo.seconds(end * beats_a_tick), tempo), (*remarks, *told))


def write_ustx(score: Score, path: Path) -> None:
    """Raises InputError for a note before time 0."""
    tempo = score.tempo.from_zero()
    if score.notes and score.notes[0].start_s < -1e-9:
        raise InputError(
            f"{path}: a note at {score.notes[0].start_s:.3f} s; a project begins at 0: cut or move the score"
        )

    def tick(beat: float) -> int:
        return round(beat * TICKS_PER_BEAT)

    notes = []
    for note, text in zip(score.notes, lyric_texts(score), strict=True):
        first = tick(tempo.beats(note.start_s))
        length = max(1, tick(tempo.beats(note.end_s)) - first)
        whole = round(note.midi if note.midi is not None else 60)
        cents = round(100 * ((note.midi if note.midi is not None else whole) - whole))
        lyric = "+~" if text == "-" else text if text is not None else "a"
        values = {"position": first, "duration": length, "tone": whole, "lyric": lyric}
        notes.append(values | ({"tuning": cents} if cents else {}))
    project = {
        "name": path.stem, "ustx_version": "0.6", "resolution": TICKS_PER_BEAT,
        "bpm": tempo.tempos[0].bpm, "beat_per_bar": tempo.meters[0].numerator, "beat_unit": tempo.meters[0].denominator,
        "time_signatures": [
            {"bar_position": bar, "beat_per_bar": m.numerator, "beat_unit": m.denominator} for bar, m in _bars(tempo)
        ],
        "tempos": [{"position": tick(mark.beat), "bpm": mark.bpm} for mark in tempo.tempos],
        "tracks": [{"track_name": "Voice", "phonemizer": "OpenUtau.Core.DefaultPhonemizer"}],
        "voice_parts": [
            {"name": "Voice", "track_no": 0, "position": 0, "duration": tick(tempo.beats(score.duration_s)),
             "notes": notes}
        ],
        "wave_parts": [],
    }  # fmt: skip
    path.write_text(yaml.safe_dump(project, allow_unicode=True, sort_keys=False), encoding="utf-8")


def _project(path: Path) -> Mapping[str, Any]:
    text, _ = read_text_file(path)
    if len(text) > _MAX_BYTES:
        raise InputError(f"{path}: {len(text)} letters; projects of at most {_MAX_BYTES} are read")
    try:
        project = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{path}: not readable as YAML ({str(error).splitlines()[0]}); save it again") from None
    if not isinstance(project, dict) or not isinstance(project.get("voice_parts"), list):
        raise InputError(f"{path}: no voice_parts in it; need a project of OpenUtau (.ustx)")
    return project


def _list(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    held = values.get(name)
    return [item for item in held if isinstance(item, dict)] if isinstance(held, list) else []


def _tempo(project: Mapping[str, Any], beats_a_tick: float, path: Path) -> TempoMap:
    try:
        bpm = {int(m["position"]): float(m["bpm"]) for m in _list(project, "tempos")}
        bpm.setdefault(0, float(project.get("bpm") or 120))
        tempos = tuple(Tempo(beat=tick * beats_a_tick, bpm=value) for tick, value in sorted(bpm.items()))
        signs = {int(m["bar_position"]): (int(m["beat_per_bar"]), int(m["beat_unit"]))
                 for m in _list(project, "time_signatures")}  # fmt: skip
        signs.setdefault(0, (int(project.get("beat_per_bar") or 4), int(project.get("beat_unit") or 4)))
        meters: list[Meter] = []
        beat, before = 0.0, 0
        for bar, (numerator, denominator) in sorted(signs.items()):
            beat += (bar - before) * (meters[-1].bar_beats if meters else 0)
            meters.append(Meter(beat=beat, numerator=numerator, denominator=denominator))
            before = bar
        return TempoMap(tempos=tempos, meters=tuple(meters))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its tempos or time signatures are damaged ({error}); save it again") from None


def _bars(tempo: TempoMap) -> list[tuple[int, Meter]]:
    """Metres with the bar that each begins at; one that begins inside a bar is left out."""
    found: list[tuple[int, Meter]] = []
    for meter in tempo.meters:
        bar = 0.0
        if found:
            before, held = found[-1]
            bar = before + (meter.beat - held.beat) / held.bar_beats
        if abs(bar - round(bar)) < 1e-6:
            found.append((round(bar), meter))
    return found


def _track(project: Mapping[str, Any], options: ReadOptions, path: Path) -> tuple[int, list[str]]:
    """The number of the track that is sung: the one asked for, else the first with notes."""
    tracks = _list(project, "tracks")
    counts: dict[int, int] = {}
    for part in _list(project, "voice_parts"):
        number = int(part.get("track_no") or 0)
        counts[number] = counts.get(number, 0) + len(_list(part, "notes"))
    names = {
        k: str(tracks[k].get("track_name") or f"Track{k + 1}") if k < len(tracks) else f"Track{k + 1}" for k in counts
    }
    listed = ", ".join(f"{k + 1} {names[k]!r} ({counts[k]} notes)" for k in sorted(counts))
    if options.track is not None:
        asked = options.track.strip().lower()
        for k, name in names.items():
            if asked in (str(k + 1), name.lower()):
                return k, []
        raise InputError(f"{path}: no track {options.track!r}; there are {listed or 'none'}")
    filled = [k for k in sorted(counts) if counts[k]]
    if not filled:
        raise InputError(f"{path}: no notes in it; need a melody")
    first = filled[0]
    return first, [f"sung: track {first + 1} {names[first]!r}; another by --track: {listed}"] if len(filled) > 1 else []


def _tone(note: Mapping[str, Any]) -> float:
    """A MIDI number; `tuning` are cents."""
    tone = float(note["tone"]) + float(note.get("tuning") or 0) / 100
    if not 0 <= tone <= 127:
        raise ValueError(tone)
    return tone
