"""A score -> MusicXML: one part, whose durations are exact to a 480th of a beat.

Notes are tied over bar lines. Lengths that no sign stands for (a played rhythm) keep their <duration>, which programs
play by, and get the sign nearest to them. Pitches are rounded to semitones.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from autosing.errors import InputError
from autosing.score.formats.midi_write import lyric_texts
from autosing.score.score import Score
from autosing.score.tempo import TempoMap

DIVISIONS = 480
_STEPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_SIGNS = (
    (4, "whole"), (2, "half"), (1, "quarter"), (1 / 2, "eighth"), (1 / 4, "16th"), (1 / 8, "32nd"), (1 / 16, "64th"),
)  # fmt: skip
_SPOKEN_MIDI = 60
_MAX_BARS = 100_000


def write_musicxml(score: Score, path: Path, title: str = "") -> None:
    """Raises InputError for a note before time 0."""
    tempo = score.tempo.from_zero()
    if score.notes and score.notes[0].start_s < -1e-9:
        found = f"a note at {score.notes[0].start_s:.3f} s"
        raise InputError(f"{path}: {found}; a MusicXML file begins at 0: cut or move the score")
    root = Element("score-partwise", version="4.0")
    SubElement(SubElement(root, "work"), "work-title").text = title or path.stem
    listed = SubElement(SubElement(root, "part-list"), "score-part", id="P1")
    SubElement(listed, "part-name").text = "Voice"
    part = SubElement(root, "part", id="P1")
    events = list(_events(score, tempo))
    at = 0
    for number, (first, end) in enumerate(_bars(tempo, _division(score.duration_s, tempo)), start=1):
        measure = SubElement(part, "measure", number=str(number))
        _write_marks(measure, tempo, first, end, number)
        while at < len(events) and events[at][0] < end:
            _write_event(measure, events[at], first, end)
            if events[at][1] > end:
                break
            at += 1
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _division(time_s: float, tempo: TempoMap) -> int:
    return round(tempo.beats(time_s) * DIVISIONS)


class _Event(NamedTuple):
    """A note or a rest, in divisions."""

    first: int
    last: int
    pitch: int | None = None
    """None: a rest."""
    text: str | None = None
    syllabic: str = "single"
    spoken: bool = False


def _events(score: Score, tempo: TempoMap) -> Iterator[_Event]:
    """Notes, and rests between them and up to the end of the score, without gaps."""
    at, inside = 0, False
    for note, text in zip(score.notes, lyric_texts(score), strict=True):
        first = max(_division(note.start_s, tempo), at)
        last = max(_division(note.end_s, tempo), first + 1)
        if first > at:
            yield _Event(at, first)
        syllabic = "single"
        if text not in (None, "-"):
            goes_on = text.endswith("-") if text else False
            syllabic = ("middle" if goes_on else "end") if inside else ("begin" if goes_on else "single")
            text, inside = (text.removesuffix("-") if text and goes_on else text), goes_on
        yield _Event(
            first, last, _SPOKEN_MIDI if note.midi is None else round(note.midi), text, syllabic, note.midi is None
        )
        at = last
    end = _division(score.duration_s, tempo)
    if end > at:
        yield _Event(at, end)


def _bars(tempo: TempoMap, end: int) -> Iterator[tuple[int, int]]:
    """(first, last) division of each bar; a change of metre begins one."""
    at = 0
    limits = [round(meter.beat * DIVISIONS) for meter in tempo.meters[1:]]
    for _ in range(_MAX_BARS):
        meter = [m for m in tempo.meters if round(m.beat * DIVISIONS) <= at][-1]
        following = min((limit for limit in limits if limit > at), default=at + (1 << 62))
        last = min(at + round(meter.bar_beats * DIVISIONS), following)
        yield at, last
        at = last
        if at >= end:
            return
    raise InputError(f"score: longer than {_MAX_BARS} bars; cut it")


def _write_marks(measure: Element, tempo: TempoMap, first: int, end: int, number: int) -> None:
    attributes: Element | None = None
    if number == 1:
        attributes = SubElement(measure, "attributes")
        SubElement(attributes, "divisions").text = str(DIVISIONS)
    for meter in tempo.meters:
        if first == round(meter.beat * DIVISIONS):
            attributes = SubElement(measure, "attributes") if attributes is None else attributes
            time = SubElement(attributes, "time")
            SubElement(time, "beats").text, SubElement(time, "beat-type").text = (
                str(meter.numerator), str(meter.denominator),
            )  # fmt: skip
    for mark in tempo.tempos:
        division = round(mark.beat * DIVISIONS)
        if first <= division < end:
            direction = SubElement(measure, "direction")
            kind = SubElement(SubElement(direction, "direction-type"), "metronome")
            SubElement(kind, "beat-unit").text, SubElement(kind, "per-minute").text = "quarter", f"{mark.bpm:.10g}"
            if division > first:
                SubElement(direction, "offset", sound="yes").text = str(division - first)
            SubElement(direction, "sound", tempo=f"{mark.bpm:.10g}")


def _write_event(measure: Element, event: _Event, first: int, end: int) -> None:
    """The part of it that lies in this bar, tied to the parts before and behind."""
    pitch = event.pitch
    note = SubElement(measure, "note")
    before, behind = event.first < first, event.last > end
    length = min(event.last, end) - max(event.first, first)
    if pitch is None:
        SubElement(note, "rest")
    else:
        step = _STEPS[pitch % 12]
        written = SubElement(note, "pitch")
        SubElement(written, "step").text = step[0]
        if len(step) > 1:
            SubElement(written, "alter").text = "1"
        SubElement(written, "octave").text = str(pitch // 12 - 1)
    SubElement(note, "duration").text = str(length)
    ties = [kind for kind, there in (("stop", before), ("start", behind)) if there and pitch is not None]
    for kind in ties:
        SubElement(note, "tie", type=kind)
    SubElement(note, "voice").text = "1"
    SubElement(note, "type").text = next((name for beats, name in _SIGNS if beats * DIVISIONS <= length), "64th")
    if event.spoken:
        SubElement(note, "notehead").text = "x"
    if ties:
        notations = SubElement(note, "notations")
        for kind in ties:
            SubElement(notations, "tied", type=kind)
    if event.text is not None and not before:
        lyric = SubElement(note, "lyric", number="1")
        if event.text == "-":
            SubElement(lyric, "extend", type="continue")
        else:
            SubElement(lyric, "syllabic").text, SubElement(lyric, "text").text = event.syllabic, event.text
