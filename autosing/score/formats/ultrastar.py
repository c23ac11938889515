"""An UltraStar file (karaoke: `#TAG:` lines, then a note a line) <-> a score.

A note is `: start length pitch text`, in quarters of a beat from GAP milliseconds on; pitch 0 is C4. `F` freestyle, `R`
and `G` rap: spoken. `-` ends a line, `~` holds a syllable, a space before or behind a syllable parts words, `P1` and
`P2` are a duet's singers and `P3` both. Tags are read with dots and with commas.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from autosing.errors import InputError
from autosing.score.assemble import SungNote, assemble, one_voice
from autosing.score.formats.options import USUAL, ReadOptions, ReadScore
from autosing.score.languages import language_code
from autosing.score.lyric_marks import read_marks
from autosing.score.score import Score
from autosing.score.tempo import Tempo, TempoMap
from autosing.text.files import guess_remark, read_text_file
from autosing.text.timed import TimedLine

_TAG = re.compile(r"\s*#\s*(\w+)\s*:(.*)")
_NOTE = re.compile(r"\s*([:*FRG])\s*(-?\d+)\s+(-?\d+)\s+(-?\d+) ?(.*)")
_BREAK = re.compile(r"\s*-\s*(-?\d+)(?:\s+(-?\d+))?\s*")
_TEMPO = re.compile(r"\s*B\s*(-?\d+(?:[.,]\d+)?)\s+(\d+(?:[.,]\d+)?)\s*")
_SINGER = re.compile(r"\s*P\s*(\d+)\s*")
_END = re.compile(r"\s*E\s*")
_C4 = 60
UNITS_A_BEAT = 4
_FASTEST_BPM = 10_000
_FINE_BPM = 9_000
"""A unit of 1.7 ms: all times lie within a millisecond of its grid."""


@dataclass(frozen=True)
class KaraokeNote:
    """A note line: `line` counts the singer's lines, `singer` is 1, 2 or 3 (both)."""

    kind: str
    unit: int
    units: int
    pitch: int
    text: str
    line: int
    singer: int


@dataclass(frozen=True)
class Karaoke:
    """An UltraStar file's lines, in its own units."""

    tags: dict[str, str]
    """In lower case."""
    notes: list[KaraokeNote]
    tempos: list[tuple[float, float]]
    """(unit, beats a minute) of B lines."""

    @property
    def text(self) -> str:
        """Its words, a line a line."""
        lines: dict[tuple[int, int], str] = {}
        for note in self.notes:
            key = (note.singer, note.line)
            lines[key] = lines.get(key, "") + note.text.replace(
                "~", ""
            )  # a syllable brings the space before or behind its word
        return "\n".join(tidy for line in lines.values() if (tidy := " ".join(line.split())))


def parse_ultrastar(text: str) -> Karaoke | None:
    """None where it is another kind of text: no tag first, no note, or a line of no known form."""
    tags: dict[str, str] = {}
    notes: list[KaraokeNote] = []
    tempos: list[tuple[float, float]] = []
    singer, line, shift = 1, 0, 0
    for row in text.splitlines():
        if not row.strip():
            continue
        if tag := _TAG.fullmatch(row):
            tags.setdefault(tag[1].lower(), tag[2].strip())
        elif not tags:
            return None
        elif note := _NOTE.fullmatch(row):
            kind, unit, units, pitch, syllable = note.groups()
            notes.append(KaraokeNote(kind, int(unit) + shift, int(units), int(pitch), syllable, line, singer))
        elif end := _BREAK.fullmatch(row):
            line += 1
            if tags.get("relative", "").lower() == "yes":
                shift += int(end[2] or end[1])
        elif change := _TEMPO.fullmatch(row):
            tempos.append((_number(change[1]) + shift, _number(change[2])))
        elif who := _SINGER.fullmatch(row):
            singer, line, shift = int(who[1]), line + 1, 0
        elif not _END.fullmatch(row):
            return None
    return Karaoke(tags, notes, tempos) if notes else None


def read_ultrastar(path: Path, options: ReadOptions = USUAL) -> ReadScore:
    """Raises InputError: no such file of notes, no BPM, a singer that there is not, two notes at once."""
    text, encoding = read_text_file(path)
    found = parse_ultrastar(text)
    if found is None:
        raise InputError(f"{path}: not readable as an UltraStar file; need #TAG: lines, then notes as `: 0 4 0 la`")
    tempo = _tempo(found, path)
    singer, remarks = _singer(found, options, path)
    if guess := guess_remark(encoding):
        remarks.append(f"{path.name}: {guess}")
    notes = sorted((n for n in found.notes if n.singer in (singer, 3) and n.units > 0), key=lambda n: n.unit)
    firsts = frozenset(k for k, n in enumerate(notes) if k == 0 or n.line != notes[k - 1].line)
    marks = read_marks([n.text for n in notes], spaced=True, firsts=firsts)
    language = options.language if options.language != "und" else language_code(found.tags.get("language"))
    lines = {line: k for k, line in enumerate(dict.fromkeys(n.line for n in notes))}
    sung = [
        SungNote(
            tempo.seconds(n.unit / UNITS_A_BEAT), tempo.seconds((n.unit + n.units) / UNITS_A_BEAT),
            None if n.kind in "FRG" else _bounded(n.pitch), mark.text, mark.hold, mark.joins, lines[n.line], language,
        )
        for n, mark in zip(notes, marks, strict=True)
    ]  # fmt: skip
    voice, told = one_voice(sung, tempo, options.highest, str(path), "mend the file, or the upper one (--highest)")
    return ReadScore(assemble(voice, 0.0, tempo), (*remarks, *told))


def stamped_lines(found: Karaoke, origin: Path | str = "UltraStar file") -> list[TimedLine]:
    """Its lines with the time of each syllable, those of a duet's singers too. Raises InputError: no BPM."""
    tempo = _tempo(found, origin)
    held: dict[tuple[int, int], list[KaraokeNote]] = {}
    for note in found.notes:
        held.setdefault((note.singer, note.line), []).append(note)
    lines = []
    for notes in held.values():
        pieces = [(n.text.replace("~", ""), tempo.seconds(n.unit / UNITS_A_BEAT)) for n in notes]
        sung = [(text, start_s) for text, start_s in pieces if text.strip()]
        end_s = tempo.seconds(max(n.unit + n.units for n in notes) / UNITS_A_BEAT)
        if sung:
            lines.append(TimedLine(sung[0][1], sung, end_s))
    return lines


def write_ultrastar(score: Score, path: Path, title: str = "", artist: str = "", audio: str = "") -> None:
    """A constant BPM, fine enough for a millisecond; the score's own first one, doubled as often as that takes.

    Raises InputError for a score without notes.
    """
    if not score.notes:
        raise InputError(f"{path}: the score has no notes; an UltraStar file needs some")
    gap_s = score.notes[0].start_s
    bpm = score.tempo.tempos[0].bpm
    while not _fits(score, gap_s, bpm) and 2 * bpm <= _FASTEST_BPM:
        bpm *= 2
    bpm = bpm if _fits(score, gap_s, bpm) else _FINE_BPM
    unit_s = 60 / (bpm * UNITS_A_BEAT)
    languages = dict.fromkeys(word.language for word in score.words)
    rows = [f"#TITLE:{title or path.stem}", f"#ARTIST:{artist or 'unknown'}", f"#MP3:{audio or path.stem + '.mp3'}"]
    rows += [f"#LANGUAGE:{language}" for language in list(languages)[:1] if language != "und"]
    rows += [f"#BPM:{bpm:.12g}", f"#GAP:{round(gap_s * 1000, 3):.12g}"]
    line, begun = 0, False
    for note, slur in zip(score.notes, score.slurs, strict=True):
        unit = round((note.start_s - gap_s) / unit_s)
        units = max(1, round((note.end_s - gap_s) / unit_s) - unit)
        text = "~"
        if note.syllable is not None and not slur:
            syllable = score.syllables[note.syllable]
            word = score.words[syllable.word]
            first = note.syllable == 0 or score.syllables[note.syllable - 1].word != syllable.word
            if begun and word.line != line:
                rows.append(f"- {unit}")
            text = syllable.text or (word.text if first else "~")
            text = " " * (first and begun and word.line == line) + text
            line, begun = word.line, True
        pitch = round(note.midi) - _C4 if note.midi is not None else 0
        rows.append(f"{'R' if note.midi is None else ':'} {unit} {units} {pitch} {text}")
    path.write_text("\n".join([*rows, "E"]) + "\n", encoding="utf-8")


def _fits(score: Score, gap_s: float, bpm: float) -> bool:
    """Whether all times lie within a millisecond of the grid."""
    unit_s = 60 / (bpm * UNITS_A_BEAT)
    times = [time_s - gap_s for note in score.notes for time_s in (note.start_s, note.end_s)]
    return all(abs(time_s / unit_s - round(time_s / unit_s)) * unit_s < 1e-3 for time_s in times)


def _tempo(found: Karaoke, path: Path | str) -> TempoMap:
    bpm, gap_ms = (_tag_number(found, name, path) for name in ("bpm", "gap"))
    changes = {max(unit, 0.0) / UNITS_A_BEAT: value for unit, value in sorted(found.tempos)}
    if bpm is not None:
        changes.setdefault(0.0, bpm)
    if 0.0 not in changes or not all(0 < value <= _FASTEST_BPM for value in changes.values()):
        raise InputError(f"{path}: #BPM is {bpm}; need a number of beats a minute, above 0 and to {_FASTEST_BPM}")
    tempos = tuple(Tempo(beat=beat, bpm=value) for beat, value in sorted(changes.items()))
    return TempoMap(first_beat_s=(gap_ms or 0.0) / 1000, tempos=tempos)


def _tag_number(found: Karaoke, name: str, path: Path | str) -> float | None:
    text = found.tags.get(name)
    if not text:
        return None
    try:
        return _number(text)
    except ValueError:
        raise InputError(f"{path}: #{name.upper()} is {text!r}; need a number") from None


def _singer(found: Karaoke, options: ReadOptions, path: Path) -> tuple[int, list[str]]:
    """Of a duet the singer that was asked for, by name or number; else the one with more notes."""
    counts = {k: sum(n.singer in (k, 3) for n in found.notes) for k in {n.singer for n in found.notes} - {3}}
    names = {k: found.tags.get(f"p{k}") or found.tags.get(f"duetsingerp{k}") or f"P{k}" for k in counts}
    listed = ", ".join(f"{k} {name} ({counts[k]} notes)" for k, name in sorted(names.items()))
    if options.track is not None:
        asked = options.track.strip().lower()
        for k, name in names.items():
            if asked in (str(k), f"p{k}", name.lower()):
                return k, []
        raise InputError(f"{path}: no singer {options.track!r}; there are {listed or 'none but P3'}")
    if not counts:
        return 3, []
    best = max(sorted(counts), key=lambda k: counts[k])
    return best, [f"a duet: {names[best]} is sung; another by --track: {listed}"] if len(counts) > 1 else []


def _bounded(pitch: int) -> float:
    """Some files count octaves from elsewhere; what lies outside of MIDI is brought in by octaves."""
    midi = pitch + _C4
    while midi < 0:
        midi += 12
    while midi > 127:
        midi -= 12
    return float(midi)


def _number(text: str) -> float:
    return float(text.strip().replace(",", "."))
