"""MusicXML (.musicxml, .xml, .mxl) -> a score, by music21: repeats unfolded, at concert pitch.

Verse n is sung at pass n of a repeat. Ties are one note. A slur or an extender line holds a syllable; two texts on one
note (an elision) share it; a grace note takes its time from the note behind it, and its syllable begins on it.
"""

import io
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from autosing.errors import InputError
from autosing.score.assemble import SungNote, assemble, one_voice
from autosing.score.formats.options import USUAL, ReadOptions, ReadScore
from autosing.score.languages import language_code
from autosing.score.tempo import Meter, Tempo, TempoMap

MAX_BYTES = 64 << 20
_EXTENDED = "\u2060"
"""music21 drops extender lines; this sign at a text's end stands for one (a word joiner: nobody writes it)."""
_GRACE_BEATS, _GRACE_SHARE = 1 / 8, 0.25
"""A grace note lasts so long, but at most this share of the note behind it."""
_FAULTS = (ValueError, KeyError, AttributeError, TypeError, IndexError, ZeroDivisionError)
"""What music21 raises on files that are not as they should be, besides its own."""
_HOLDS = frozenset({"", "_", "-", "+", "~"})


@dataclass(frozen=True)
class _Heard:
    """A note of the unfolded part, in beats."""

    beat: float
    beats: float
    pitch: float | None
    text: str | None
    hold: bool
    joins: bool
    grace: bool
    extends: bool
    """Notes behind it without a text go on with its syllable."""


def read_musicxml(path: Path, options: ReadOptions = USUAL) -> ReadScore:
    """Raises InputError: not readable, no notes, no such part, chords."""
    root = _root(path)
    language = options.language if options.language != "und" else _language(root)
    _mark_extenders(root)
    part, remarks, refused = _part(ElementTree.tostring(root, encoding="unicode"), options, path)
    tempo = _tempo(part)
    sung = [
        SungNote(
            tempo.seconds(n.beat), tempo.seconds(n.beat + n.beats), n.pitch, n.text, n.hold, n.joins, 0, language,
        )
        for n in _with_extenders(_with_graces(_heard(part, options)))
    ]  # fmt: skip
    notes, told = one_voice(sung, tempo, options.highest, str(path), f"{refused}, or the upper one (--highest)")
    score = assemble(notes, tempo.seconds(float(part.highestTime)), tempo)
    return ReadScore(score, (*remarks, *told))


def _root(path: Path) -> ElementTree.Element:
    data = path.read_bytes()
    if data[:2] == b"PK":
        data = _unpacked(data, path)
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: {len(data)} bytes; MusicXML files of at most {MAX_BYTES} bytes are read")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise InputError(f"{path}: not readable as MusicXML ({error}); export it again") from None
    if root.tag != "score-partwise":
        raise InputError(f"{path}: its root is <{root.tag}>, need <score-partwise>; export it as MusicXML, by parts")
    return root


def _unpacked(data: bytes, path: Path) -> bytes:
    """The score in an .mxl: what its container names, else the first .xml or .musicxml."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            wanted = next(
                (n for n in names if PurePosixPath(n).suffix in (".xml", ".musicxml") and "META" not in n), None
            )
            if "META-INF/container.xml" in names:
                container = ElementTree.fromstring(_member(archive, "META-INF/container.xml"))
                rootfile = next((e for e in container.iter() if e.tag.endswith("rootfile")), None)
                wanted = rootfile.get("full-path", wanted) if rootfile is not None else wanted
            if wanted is None:
                raise KeyError("no score in it")
            return _member(archive, wanted)
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path}: not readable as compressed MusicXML ({error}); export it again") from None


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        return file.read(MAX_BYTES + 1)


def _language(root: ElementTree.Element) -> str:
    xml = "{http://www.w3.org/XML/1998/namespace}lang"
    named = next((e.get(xml) for e in root.iter() if e.tag in ("lyric-language", "lyric", "text") and e.get(xml)), None)
    return language_code(named)


def _mark_extenders(root: ElementTree.Element) -> None:
    for lyric in root.iter("lyric"):
        extend = lyric.find("extend")
        if extend is None:
            continue
        texts = lyric.findall("text")
        if texts:
            texts[-1].text = (texts[-1].text or "") + _EXTENDED
        elif extend.get("type") in (None, "continue", "stop"):
            ElementTree.SubElement(lyric, "text").text = _EXTENDED


def _part(text: str, options: ReadOptions, path: Path) -> tuple[Any, list[str], str]:
    """(the part that is sung, unfolded, at concert pitch; remarks; what to do about chords)."""
    from music21 import converter
    from music21.exceptions21 import Music21Exception

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            score = converter.parseData(text, format="musicxml")
            parts = [part for part in score.parts if next(_notes(part), None) is not None]
            if not parts:
                raise InputError(f"{path}: no notes in it; need a melody")
            part, remarks = _chosen(parts, options, path)
            _mark_slurs(part)
            _mark_endings(part)
            part = part.toSoundingPitch()
            try:
                part = part.expandRepeats()
            except Music21Exception as error:
                remarks.append(f"its repeats contradict each other and are not unfolded ({error})")
            others = [str(k + 1) for k, other in enumerate(parts) if other.partName != part.partName]
            refused = f"take another part (--track {', '.join(others)})" if others else "keep one note at a time"
            return part.stripTies(), remarks, refused
        except (*_FAULTS, Music21Exception) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: not readable as MusicXML ({error}); export it again") from None


def _chosen(parts: Sequence[Any], options: ReadOptions, path: Path) -> tuple[Any, list[str]]:
    names = [part.partName or f"part {k + 1}" for k, part in enumerate(parts)]
    listed = "; ".join(f"{k + 1} {name!r}" for k, name in enumerate(names))
    if options.track is not None:
        asked = options.track.strip().lower()
        for k, name in enumerate(names):
            if asked in (str(k + 1), name.lower()):
                return parts[k], []
        raise InputError(f"{path}: no part {options.track!r} with notes; there are {listed}")
    lyrics = [sum(bool(note.lyrics) for note in _notes(part)) for part in parts]
    best = max(range(len(parts)), key=lambda k: lyrics[k])
    if len(parts) > 1 and not lyrics[best]:
        raise InputError(f"{path}: {len(parts)} parts and no lyrics; say which is sung (--track): {listed}")
    return parts[best], [f"sung: part {best + 1} {names[best]!r}; another by --track: {listed}"] if len(
        parts
    ) > 1 else []


def _notes(part: Any) -> Iterator[Any]:
    """Notes, chords and unpitched notes; chord symbols are none."""
    return (note for note in part.recurse().notes if "Harmony" not in note.classes)


def _mark_slurs(part: Any) -> None:
    """Unfolding loses slurs, so notes keep in mind that one leads to them."""
    for slur in part.recurse().getElementsByClass("Slur"):
        held = slur.getSpannedElements()
        if len(held) < 2:
            continue
        first, last = (note.getOffsetInHierarchy(part) for note in (held[0], held[-1]))
        for note in _notes(part):
            if first < note.getOffsetInHierarchy(part) <= last and note.activeSite.id == held[-1].activeSite.id:
                note.editorial.slurred = True
        held[-1].editorial.slurred = True


def _mark_endings(part: Any) -> None:
    for bracket in part.recurse().getElementsByClass("RepeatBracket"):
        for measure in bracket.getSpannedElements():
            measure.editorial.ending = min(bracket.numberRange or [1])


def _tempo(part: Any) -> TempoMap:
    tempos = {0.0: 120.0}
    for first, _, mark in part.metronomeMarkBoundaries():
        bpm = mark.getQuarterBPM()
        if bpm:
            tempos[float(first)] = min(float(bpm), 10_000.0)
    meters = {0.0: (4, 4)}
    for meter in part.recurse().getElementsByClass("TimeSignature"):
        if 1 <= meter.numerator <= 64 and 1 <= meter.denominator <= 64:
            meters[float(meter.getOffsetInHierarchy(part))] = (meter.numerator, meter.denominator)
    return TempoMap(
        tempos=tuple(Tempo(beat=beat, bpm=bpm) for beat, bpm in sorted(tempos.items())),
        meters=tuple(Meter(beat=beat, numerator=a, denominator=b) for beat, (a, b) in sorted(meters.items())),
    )


def _heard(part: Any, options: ReadOptions) -> Iterator[_Heard]:
    """The notes of the voice that has the lyrics, in order; one for each note of a chord, the highest with its text."""
    voices: dict[str, int] = {}
    for note in _notes(part):
        voices[_voice(note)] = voices.get(_voice(note), 0) + (1000 if note.lyrics else 1)
    main = max(voices, key=lambda voice: voices[voice], default="")
    single = {_verse(lyric) for note in _notes(part) for lyric in note.lyrics} <= {1}
    passes: dict[int, int] = {}
    for measure in part.getElementsByClass("Measure"):
        passes[measure.number] = passes.get(measure.number, 0) + 1
        verse = max(passes[measure.number], measure.editorial.get("ending", 1)) + options.verse - 1
        start = float(measure.getOffsetInHierarchy(part))
        for note in _notes(measure):
            if _voice(note) == main:
                yield from _one(note, start + float(note.getOffsetInHierarchy(measure)), 1 if single else verse)


def _voice(note: Any) -> str:
    return str(note.activeSite.id) if "Voice" in note.activeSite.classes else "1"


def _one(note: Any, beat: float, verse: int) -> Iterator[_Heard]:
    length, grace = float(note.quarterLength), bool(note.duration.isGrace)
    if not length and not grace:
        return
    spoken = not getattr(note, "pitches", ()) or note.notehead == "x"
    upper, *others = [None] if spoken else sorted((float(p.ps) for p in note.pitches), reverse=True)
    pieces = _pieces(note, verse) or [("", "single")]
    for k, (text, syllabic) in enumerate(pieces):
        share = length / len(pieces)
        plain = text.removesuffix(_EXTENDED).strip()
        held = plain in _HOLDS if text else bool(note.editorial.get("slurred", False))
        yield _Heard(
            beat + k * share, share, upper, None if held else plain or None, held, syllabic in ("middle", "end"), grace,
            text.endswith(_EXTENDED) or syllabic in ("begin", "middle"),
        )  # fmt: skip
    for pitch in others:
        yield _Heard(beat, length, pitch, None, False, False, grace, False)


def _pieces(note: Any, verse: int) -> list[tuple[str, str]]:
    """(text, begin, middle, end or single) of each syllable under the note at this pass."""
    lyrics = {_verse(lyric): lyric for lyric in reversed(note.lyrics) if (lyric.text or "").strip()}
    chosen = lyrics.get(verse) or (next(iter(lyrics.values())) if len(lyrics) == 1 else None)
    if chosen is None:
        return []
    return [
        (piece.text or "", piece.syllabic or "single")
        for piece in (chosen.components if chosen.isComposite else [chosen])
    ]


def _verse(lyric: Any) -> int:
    return int(lyric.number or 1)


def _with_graces(heard: Iterable[_Heard]) -> Iterator[_Heard]:
    """Grace notes with their time; the syllable of the note behind them begins on the first of them."""
    graces: list[_Heard] = []
    for note in heard:
        if note.grace:
            graces.append(note)
            continue
        length = min(_GRACE_BEATS, _GRACE_SHARE * note.beats / max(len(graces), 1))
        bare = all(grace.text is None for grace in graces)
        for k, grace in enumerate(graces):
            first = note if k == 0 and bare else replace(grace, hold=grace.text is None and (k > 0 or grace.hold))
            yield replace(first, beat=note.beat + k * length, beats=length, pitch=grace.pitch)
        if graces:
            shift = length * len(graces)
            goes_on = note.text is not None or note.hold
            text = None if bare else note.text
            note = replace(
                note, beat=note.beat + shift, beats=note.beats - shift, text=text, hold=goes_on and text is None
            )
        yield note
        graces = []


def _with_extenders(heard: Iterable[_Heard]) -> Iterator[_Heard]:
    """Notes without a text under an extender line, or within a word that is not at its end, hold what is before."""
    extends, end = False, 0.0
    for note in heard:
        if note.text is not None:
            extends = note.extends
        elif not note.hold and extends:
            extends = abs(note.beat - end) < 1e-3
            note = replace(note, hold=extends)
        end = max(end, note.beat + note.beats)
        yield note
