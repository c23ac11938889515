"""What is known of a made song, and how it lies on disk: truth/<id>/truth.json and f0.npy, beside the stems.

Of a natural voice, f0.npy is what was asked of it, and f0_tracked.npy what came.

truth.json holds plain names: `start` and `end` are seconds, `word` and `syllable` in the finer lists count from the
song's beginning, `line` counts lines. Songs with troubles have `troubles`, `breaks` and the file's `lyrics`, where
`line` is null for a line that nobody sings.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from autosing.audio.io import Audio, decode
from autosing.errors import InputError
from autosing.schemas.tables import Line, Word
from autosing.songs.trouble import Break, WrittenLine

F0_RATE_HZ = Fraction(200)


@dataclass(frozen=True)
class SungPhone:
    phone: str
    """IPA"""
    start_s: float
    end_s: float
    word: int


@dataclass(frozen=True)
class SungSyllable:
    word: int
    phones: list[str]
    nucleus: int
    """Index of its vowel in the song's phones."""
    start_s: float
    end_s: float


@dataclass(frozen=True)
class SungNote:
    """A note starts where the vowel of its syllable starts."""

    start_s: float
    end_s: float
    midi: int
    syllable: int


@dataclass(frozen=True)
class Stems:
    """Voice without room (mono), voice as it is heard (mono), band (stereo): all as long as the song."""

    vocals_dry: Audio
    vocals: Audio
    instrumental: Audio

    @property
    def mix(self) -> Audio:
        """vocals + instrumental, in stereo."""
        return Audio(self.vocals.samples_CS + self.instrumental.samples_CS, self.vocals.sample_rate_hz)


@dataclass(frozen=True)
class SongTruth:
    """Everything that was decided before a song sounded. Scores of lines and words are 1."""

    id: str
    artist: str
    language: str
    bpm: float
    key: int
    """0..11 semitones above C, major"""
    chords: list[str]
    """One a bar."""
    duration_s: float
    lines: list[Line]
    parts: list[str]
    """verse, chorus, or autosing.songs.trouble.ADLIB, for each line"""
    words: list[Word]
    syllables: list[SungSyllable]
    phones: list[SungPhone]
    notes: list[SungNote]
    f0_hz: np.ndarray = field(repr=False)
    """float32 at F0_RATE_HZ from time 0; 0 where nothing voiced sounds"""
    spoken_words: list[Word] = field(default_factory=list)
    """The words in speech.flac, on its time; a word that speech runs together with the one before joins it."""
    tracked_f0_hz: np.ndarray | None = field(default=None, repr=False)
    """As WORLD tracks it on the dry voice, on f0_hz's frames; of a natural voice, which nearly does as told"""
    voice: str = "synthetic"
    """Or natural."""
    breaths: list[tuple[float, float]] = field(default_factory=list)
    """(start, end) in seconds"""
    troubles: tuple[str, ...] = ()
    """Names of `autosing.songs.trouble.TROUBLES`."""
    breaks: list[Break] = field(default_factory=list)
    """Where the band was planted to play alone."""
    written: list[WrittenLine] = field(default_factory=list)
    """The lyrics file of a song with troubles."""

    @property
    def lyrics(self) -> list[WrittenLine]:
        """The lines of the song's lyrics file: without troubles those that are sung."""
        if self.troubles:
            return self.written
        return [WrittenLine(line.text, line.start_s, number) for number, line in enumerate(self.lines)]

    @property
    def unwritten(self) -> list[int]:
        """The numbers of lines that are sung and that the file does not hold, adlibs among them."""
        held = {line.line for line in self.lyrics}
        return [number for number in range(len(self.lines)) if number not in held]


def save_truth(truth: SongTruth, folder: Path) -> None:
    """Write truth.json and f0.npy into the song's own folder."""
    np.save(folder / "f0.npy", truth.f0_hz)
    values = {
        "id": truth.id, "artist": truth.artist, "language": truth.language, "bpm": truth.bpm, "key": truth.key,
        "chords": truth.chords, "duration": truth.duration_s,
        "lines": [_timed(x, part=part, text=x.text) for part, x in zip(truth.parts, truth.lines, strict=True)],
        "words": [_timed(word, word=word.text, line=word.line) for word in truth.words],
        "syllables": [_timed(s, word=s.word, phones=s.phones, nucleus=s.nucleus) for s in truth.syllables],
        "phonemes": [_timed(phone, phone=phone.phone, word=phone.word) for phone in truth.phones],
        "notes": [_timed(note, midi=note.midi, syllable=note.syllable) for note in truth.notes],
        "speech_words": [_timed(word, word=word.text, line=word.line) for word in truth.spoken_words],
    }  # fmt: skip
    if truth.tracked_f0_hz is not None:
        np.save(folder / "f0_tracked.npy", truth.tracked_f0_hz)
    if truth.voice != "synthetic":
        values["voice"] = truth.voice
        values["breaths"] = [{"start": round(start, 4), "end": round(end, 4)} for start, end in truth.breaths]
    if truth.troubles:
        values["troubles"] = list(truth.troubles)
        values["breaks"] = [_timed(one, line=one.line) for one in truth.breaks]
        values["lyrics"] = [{"text": line.text, "start": line.start_s, "line": line.line} for line in truth.written]
    (folder / "truth.json").write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def song_ids(folder: Path) -> list[str]:
    """The songs of the corpus in `folder` whose truth is there, in order. Raises InputError where there are none."""
    found = sorted(path.parent.name for path in (Path(folder) / "truth").glob("*/truth.json"))
    if not found:
        raise InputError(f"songs {folder}: no truth/<id>/truth.json in it; make them with 'autosing songs'")
    return found


def truths_without(folder: Path, singers: Collection[str]) -> list[SongTruth]:
    """The truth of all songs but those of these singers, in order. Raises InputError where there are no songs, or where
    one of these singers sings none of them."""
    truths = [load_truth(folder, song) for song in song_ids(folder)]
    known = {truth.artist for truth in truths}
    if unknown := sorted(set(singers) - known):
        raise InputError(f"--without {unknown[0]!r}: not among the singers {', '.join(sorted(known))}")
    return [truth for truth in truths if truth.artist not in singers]


def load_truth(folder: Path, song_id: str) -> SongTruth:
    """The truth of a song of the corpus in `folder` (written by `autosing songs`). Raises InputError where absent."""
    home = Path(folder) / "truth" / song_id
    path = home / "truth.json"
    if not path.is_file():
        raise InputError(f"song {song_id}: no truth at {path}; make songs with 'autosing songs {folder}'")
    held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return SongTruth(
        id=held["id"], artist=held["artist"], language=held["language"], bpm=held["bpm"], key=held["key"],
        chords=held["chords"], duration_s=held["duration"],
        lines=[Line(x["text"], x["start"], x["end"], 1.0, True) for x in held["lines"]],
        parts=[x["part"] for x in held["lines"]],
        words=[_word(x) for x in held["words"]],
        syllables=[SungSyllable(x["word"], x["phones"], x["nucleus"], x["start"], x["end"]) for x in held["syllables"]],
        phones=[SungPhone(x["phone"], x["start"], x["end"], x["word"]) for x in held["phonemes"]],
        notes=[SungNote(x["start"], x["end"], x["midi"], x["syllable"]) for x in held["notes"]],
        f0_hz=np.load(home / "f0.npy"),
        spoken_words=[_word(x) for x in held["speech_words"]],
        tracked_f0_hz=np.load(home / "f0_tracked.npy") if (home / "f0_tracked.npy").is_file() else None,
        voice=held.get("voice", "synthetic"),
        breaths=[(x["start"], x["end"]) for x in held.get("breaths", [])],
        troubles=tuple(held.get("troubles", ())),
        breaks=[Break(x["start"], x["end"], x["line"]) for x in held.get("breaks", [])],
        written=[WrittenLine(x["text"], x["start"], x["line"]) for x in held.get("lyrics", [])],
    )  # fmt: skip


def load_stems(folder: Path, song_id: str) -> Stems:
    """The stems of a song of the corpus in `folder`."""
    home = Path(folder) / "truth" / song_id
    return Stems(*(decode(home / f"{name}.flac") for name in ("vocals_dry", "vocals", "instrumental")))


def _timed(item: Any, **rest: Any) -> dict[str, Any]:
    return {**rest, "start": item.start_s, "end": item.end_s}


def _word(held: Mapping[str, Any]) -> Word:
    return Word(held["word"], held["start"], held["end"], 1.0, held["line"])
