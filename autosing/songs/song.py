"""(seed, index, singer, language) -> a whole song: lyrics, score, voice, band, and all that is true of them.

Shapes: S samples, C channels, T frames of f0.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np

from autosing.audio.io import Audio, resample
from autosing.ids import seed_of
from autosing.schemas.tables import Line, Word
from autosing.songs.analysis import FRAME_S, SpeakingVoice, Speaks, SpokenWord
from autosing.songs.band import SONG_RATE_HZ, play_band
from autosing.songs.espeak import SPEECH_RATE_HZ, Espeak
from autosing.songs.layout import PlacedPhone, PlacedSyllable, lay_out
from autosing.songs.lyrics import lyric_line, split_words
from autosing.songs.room import on_16_bits, reverberate, rms
from autosing.songs.score import BEATS_A_BAR, LOOPS, Note, bars_for, line_rhythm, melody
from autosing.songs.settings import song_id
from autosing.songs.sing import sing_line
from autosing.songs.singers import Singer
from autosing.songs.speech import speak_lines
from autosing.songs.trouble import ADLIB, Break, Planted, adlib
from autosing.songs.truth import SongTruth, Stems, SungNote, SungPhone, SungSyllable

_RMS = 0.09


@dataclass(frozen=True)
class Form:
    """How a song is built, in bars around its lines."""

    parts: tuple[tuple[str, int], ...]
    """(verse or chorus, its lines)"""
    lead_bars: int = 2
    outro_bars: int = 1
    tail_s: float = 1.0
    duration_s: float | None = None
    """Where given, the tempo is chosen so that the song lasts just so long."""
    planted: Planted = field(default_factory=Planted)


@dataclass(frozen=True)
class MadeSong:
    truth: SongTruth
    stems: Stems
    speech: Audio | None
    """The lines spoken one after the other (22.05 kHz, mono)."""


@dataclass(frozen=True)
class _PlannedLine:
    part: str
    text: str
    words: list[SpokenWord]
    start_beat: int
    bars: int
    chords: list[str]
    bars_before: int = 0
    """Of the band alone."""
    pause: tuple[int, int] = (0, 0)
    """(the number of its first note after a break within it, bars of the break)"""


def make_song(
    seed: int,
    index: int,
    singer: Singer,
    language: str,
    form: Form,
    speech: bool = True,
    speaker: Callable[[], AbstractContextManager[Speaks]] = Espeak,
) -> MadeSong:
    """The song is a function of the arguments alone: the same in any process, after whatever else was made."""
    rng = np.random.default_rng(seed_of("made song", seed, index))
    with speaker() as engine:
        voice = SpeakingVoice(engine, singer, language)
        plan, chords = _plan(voice, language, form, rng)
        spoken, spoken_words = speak_lines(voice, [line.text for line in plan], language) if speech else (None, [])
    num_beats = len(chords) * BEATS_A_BAR
    bpm = 60 * num_beats / (form.duration_s - form.tail_s) if form.duration_s else float(rng.integers(76, 118))
    key, beat_s = int(rng.integers(12)), 60 / bpm
    duration_s = round((num_beats * beat_s + form.tail_s) * SONG_RATE_HZ) / SONG_RATE_HZ
    sung_S = np.zeros(round(duration_s * SPEECH_RATE_HZ) + SPEECH_RATE_HZ)
    f0_T = np.zeros(int(duration_s / FRAME_S) + 1, np.float32)
    book = Book()
    breaks: list[Break] = []
    for number, line in enumerate(plan):
        notes = _notes(line, beat_s, key, singer, rng)
        phones, syllables = lay_out(line.words, notes)
        sung = sing_line(line.words, phones, notes, singer, rng)
        first = round(sung.start_s * SPEECH_RATE_HZ)
        sung_S[first : first + len(sung.audio_S)] += sung.audio_S
        last_frame = min(len(f0_T), sung.first_frame + len(sung.f0_T))
        heard_T = f0_T[sung.first_frame : last_frame]
        np.maximum(heard_T, sung.f0_T[: len(heard_T)], out=heard_T)
        book.write(line.text, [word.text for word in line.words], phones, syllables, notes)
        if line.bars_before:
            start_beat = line.start_beat - line.bars_before * BEATS_A_BAR
            breaks.append(Break(_ms(start_beat * beat_s), _ms(line.start_beat * beat_s), None))
        if line.pause[1]:
            first_after = syllables[line.pause[0]].first
            breaks.append(Break(_ms(phones[first_after - 1].end_s), _ms(phones[first_after].start_s), number))
    stems = mix(sung_S, SPEECH_RATE_HZ, play_band(chords, key, beat_s, duration_s, rng), rng)
    truth = SongTruth(
        song_id(index), singer.name, language, round(bpm, 3), key, chords, duration_s, book.lines,
        [line.part for line in plan], book.words, book.syllables, book.phones, book.notes, f0_T, spoken_words,
        breaks=breaks,
    )  # fmt: skip
    return MadeSong(truth, stems, spoken)


def _plan(
    voice: SpeakingVoice, language: str, form: Form, rng: np.random.Generator
) -> tuple[list[_PlannedLine], list[str]]:
    """The lines with their place in beats, and the chords of the whole song, one a bar."""
    loop = LOOPS[int(rng.integers(len(LOOPS)))]
    chords = [loop[bar % len(loop)] for bar in range(form.lead_bars)]
    plan: list[_PlannedLine] = []
    planted, number = form.planted, 0
    texts: dict[str, list[str]] = {}

    def add(part: str, text: str, at: int, bars_before: int = 0, within: tuple[float, int] = (0.0, 0)) -> int:
        """Returns how many bars were added."""
        words = [voice.word(word) for word in split_words(text, language)]
        bars = bars_for(sum(len(word.nuclei) for word in words))
        cut, bars_within = 1 + int(within[0] * (len(words) - 1)), within[1] if len(words) > 1 else 0
        pause = (sum(len(word.nuclei) for word in words[:cut]), bars_within) if bars_within else (0, 0)
        mine = [loop[(at + bar) % len(loop)] for bar in range(bars_before + bars + bars_within)]
        start_beat = (len(chords) + bars_before) * BEATS_A_BAR
        plan.append(_PlannedLine(part, text, words, start_beat, bars, mine[bars_before:], bars_before, pause))
        chords.extend(mine)
        return len(mine)

    for number_of_part, (part, num_lines) in enumerate(form.parts):
        if plan:
            chords.append(loop[-1])  # a bar to breathe between parts
        at = 0
        sung_again = number_of_part in planted.again
        for k in range(num_lines):
            text = texts[part][k] if sung_again else lyric_line(language, rng)
            texts.setdefault(part, []).append(text)
            at += add(part, text, at, planted.bars_before.get(number, 0), planted.bars_within.get(number, (0.0, 0)))
            if number in planted.adlib_after:
                at += add(ADLIB, adlib(text, language, rng), at)
            number += 1
    return plan, chords + [loop[0]] * form.outro_bars


def _notes(line: _PlannedLine, beat_s: float, key: int, singer: Singer, rng: np.random.Generator) -> list[Note]:
    onset_N, length_N = line_rhythm(sum(len(word.nuclei) for word in line.words), line.bars, rng)
    first_after, bars_within = line.pause
    onset_N = onset_N + np.where(np.arange(len(onset_N)) >= first_after, bars_within * BEATS_A_BAR, 0)
    midi_N = melody(onset_N, line.chords, key, singer.low, singer.high, rng)
    start_N = (line.start_beat + onset_N) * beat_s
    return [
        Note(float(start_s), float(start_s + length * beat_s), midi)
        for start_s, length, midi in zip(start_N, length_N, midi_N, strict=True)
    ]


class Book:
    """Collects, line by line, what was sung when, in seconds rounded to 0.1 ms."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.words: list[Word] = []
        self.syllables: list[SungSyllable] = []
        self.phones: list[SungPhone] = []
        self.notes: list[SungNote] = []

    def write(
        self,
        text: str,
        words: Sequence[str],
        phones: Sequence[PlacedPhone],
        syllables: Sequence[PlacedSyllable],
        notes: Sequence[Note],
    ) -> None:
        number, first_word, first_phone = len(self.lines), len(self.words), len(self.phones)
        for p in phones:
            self.phones.append(SungPhone(p.spoken.phone, _ms(p.start_s), _ms(p.end_s), first_word + p.word))
        for w, word in enumerate(words):
            mine = [p for p in phones if p.word == w]
            self.words.append(Word(word, _ms(mine[0].start_s), _ms(mine[-1].end_s), 1.0, number))
        for s, note in zip(syllables, notes, strict=True):
            self.notes.append(SungNote(_ms(note.start_s), _ms(note.end_s), note.midi, len(self.syllables)))
            inside = phones[s.first : s.last + 1]
            self.syllables.append(
                SungSyllable(
                    first_word + s.word,
                    [p.spoken.phone for p in inside],
                    first_phone + s.nucleus,
                    _ms(inside[0].start_s),
                    _ms(inside[-1].end_s),
                )
            )
        self.lines.append(Line(text, self.words[first_word].start_s, self.words[-1].end_s, 1.0, True))


def mix(sung_S: np.ndarray, rate_hz: int, band_CS: np.ndarray, rng: np.random.Generator) -> Stems:
    """Band 4 dB below to 1 dB above the voice, peak at most 0.95 of full scale."""
    num_samples = band_CS.shape[1]
    wet_S = reverberate(sung_S, rate_hz, rng)
    dry_S, wet_S = (resample(x, rate_hz, SONG_RATE_HZ)[:num_samples] for x in (sung_S, wet_S))
    gain = _RMS / max(rms(dry_S[np.abs(dry_S) > 1e-3 * np.abs(dry_S).max()]), 1e-9)
    band_gain = _RMS * 10 ** (rng.uniform(-4, 1) / 20) / max(rms(band_CS), 1e-9)
    peak = np.abs(gain * wet_S + band_gain * band_CS).max()
    scale = min(1.0, 0.95 / peak)
    dry, wet, band = (
        Audio(on_16_bits(np.atleast_2d(scale * x)), SONG_RATE_HZ)
        for x in (gain * dry_S, gain * wet_S, band_gain * band_CS)
    )
    return Stems(dry, wet, band)


def _ms(time_s: float) -> float:
    return round(float(time_s), 4)
