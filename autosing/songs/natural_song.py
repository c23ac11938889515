"""(seed, index, natural singer, form) -> a song as song.py makes them, but sung by Kokoro to a tune of its speech.

The tempo is such that a place of the grid (a sixteenth) is a whole number of the network's units: a vowel's start, a
note's start and the band's beat are one and the same moment. Shapes: S samples, T frames of f0.
"""

from dataclasses import dataclass

import numpy as np

from autosing.audio.io import Audio
from autosing.ids import seed_of
from autosing.schemas.tables import Word
from autosing.songs.analysis import FRAME_S
from autosing.songs.balance import voiced_by
from autosing.songs.band import SONG_RATE_HZ, play_band
from autosing.songs.espeak import Espeak
from autosing.songs.gesture import breath, phrase_gain
from autosing.songs.grammar import english_sentence
from autosing.songs.kokoro import UNIT_S, VOICE_RATE_HZ, load_kokoro
from autosing.songs.layout import syllables_of
from autosing.songs.natural import SpokenLine, f0_at, rate_hz, sing, sound_spoken, speak
from autosing.songs.natural_singers import NaturalSinger, natural_singer
from autosing.songs.phones import EnglishPhones
from autosing.songs.room import on_16_bits, rms
from autosing.songs.score import BEATS_A_BAR, LOOPS, Note
from autosing.songs.settings import song_id
from autosing.songs.song import Book, Form, MadeSong, mix
from autosing.songs.tracked import track_f0
from autosing.songs.truth import SongTruth
from autosing.songs.tune import GRID, Manner, calm_melody, draw_manner, lengths, speech_rhythm

_PAUSE_S = 0.25
_LOW, _HIGH = -5, 9
"""Semitones of the range below and above where the voice speaks."""


@dataclass(frozen=True)
class _Plan:
    text: str
    part: str
    line: SpokenLine
    onset_N: np.ndarray
    bars: int
    first_bar: int
    chords: list[str]


def make_natural_song(seed: int, index: int, number: int, form: Form) -> MadeSong:
    """The song is a function of the arguments alone: the same in any process, after whatever else was made."""
    network, tables = load_kokoro()
    singer = natural_singer(number, tables)
    rng = np.random.default_rng(seed_of("natural song", seed, index))
    unit_s = UNIT_S / singer.formant
    place_s = unit_s * int(rng.integers(5, 7))
    beat_s, stretch = place_s * GRID, float(rng.uniform(1.4, 1.7))
    plan, chords = _plan(singer, form, unit_s / place_s, stretch, rng)
    manner, key, hold = draw_manner(rng), int(rng.integers(12)), float(rng.uniform(1.2, 2))
    home = 69 + 12 * np.log2(np.median([p.line.f0_hz for p in plan]) * singer.formant / 440) + 1
    duration_s = round((len(chords) * BEATS_A_BAR * beat_s + form.tail_s) * SONG_RATE_HZ) / SONG_RATE_HZ
    sung_S = np.zeros(round((duration_s + 1) * VOICE_RATE_HZ))
    time_T = np.arange(int(duration_s / FRAME_S) + 1) * FRAME_S
    f0_T = np.zeros(len(time_T), np.float32)
    book, breaths = Book(), []
    for planned in plan:
        notes = _notes(planned, beat_s, key, round(home), hold, manner, rng)
        sung = sing(network, planned.line, notes, singer, rng)
        audio_S = voiced_by(sung.audio_S, rate_hz(singer), VOICE_RATE_HZ, singer.balance_db)
        audio_S = audio_S * phrase_gain(len(audio_S), rng)
        first = round(sung.start_s * VOICE_RATE_HZ)
        sung_S[first : first + len(audio_S)] += audio_S[: len(sung_S) - first]
        breath_S = breath(VOICE_RATE_HZ, rms(audio_S), singer.gesture, rng)
        breath_end = round((sung.phones[0].start_s - 0.04) * VOICE_RATE_HZ)
        sung_S[breath_end - len(breath_S) : breath_end] += breath_S
        breaths.append(((breath_end - len(breath_S)) / VOICE_RATE_HZ, breath_end / VOICE_RATE_HZ))
        np.maximum(f0_T, f0_at(sung, time_T), out=f0_T, casting="same_kind")
        words = [word.text for word in planned.line.words]
        book.write(planned.text, words, sung.phones, syllables_of(planned.line.words), notes)
    stems = mix(sung_S, VOICE_RATE_HZ, play_band(chords, key, beat_s, duration_s, rng), rng)
    spoken, spoken_words = _speak(singer, plan)
    truth = SongTruth(
        song_id(index), singer.name, "en", round(60 / beat_s, 3), key, chords, duration_s, book.lines,
        [planned.part for planned in plan], book.words, book.syllables, book.phones, book.notes, f0_T, spoken_words,
        track_f0(stems.vocals_dry), "natural", breaths,
    )  # fmt: skip
    return MadeSong(truth, stems, spoken)


def _plan(
    singer: NaturalSinger, form: Form, places_a_unit: float, stretch: float, rng: np.random.Generator
) -> tuple[list[_Plan], list[str]]:
    """The lines with their place in bars and beats, and the chords of the whole song, one a bar."""
    network, _ = load_kokoro()
    loop = LOOPS[int(rng.integers(len(LOOPS)))]
    chords = [loop[bar % len(loop)] for bar in range(form.lead_bars)]
    plan: list[_Plan] = []
    with Espeak() as engine:
        phones = EnglishPhones(engine, frozenset(network.vocabulary))
        for part, num_lines in form.parts:
            if plan:
                chords.append(loop[-1])  # a bar to breathe between parts
            at = 0
            for _ in range(num_lines):
                text = english_sentence(rng)
                words = text.split()
                line = speak(network, words, phones.line(words), singer)
                onset_N, bars = speech_rhythm(line.onset_N * places_a_unit, stretch, line.stressed_N)
                mine = [loop[(at + bar) % len(loop)] for bar in range(bars)]
                plan.append(_Plan(text, part, line, onset_N, bars, len(chords), mine))
                chords += mine
                at += bars
    return plan, chords + [loop[0]] * form.outro_bars


def _notes(
    planned: _Plan, beat_s: float, key: int, home: int, hold: float, manner: Manner, rng: np.random.Generator
) -> list[Note]:
    onset_N, stressed_N = planned.onset_N, planned.line.stressed_N
    midi_N = calm_melody(onset_N, stressed_N, planned.chords, key, home, home + _LOW, home + _HIGH, manner, rng)
    start_N = (planned.first_bar * BEATS_A_BAR + onset_N) * beat_s
    return [
        Note(float(start_s), float(start_s + length * beat_s), midi)
        for start_s, length, midi in zip(start_N, lengths(onset_N, planned.bars, hold), midi_N, strict=True)
    ]


def _speak(singer: NaturalSinger, plan: list[_Plan]) -> tuple[Audio, list[Word]]:
    """The lines spoken with a pause after each, and their words on that time."""
    network, _ = load_kokoro()
    pieces: list[np.ndarray] = []
    words: list[Word] = []
    num_samples = 0
    for number, planned in enumerate(plan):
        audio_S = voiced_by(sound_spoken(network, planned.line), rate_hz(singer), VOICE_RATE_HZ, singer.balance_db)
        since_s = num_samples / VOICE_RATE_HZ
        for word in planned.line.words:
            start_s, end_s = word.phones[0].start_s, word.phones[-1].end_s
            words.append(Word(word.text, round(since_s + start_s, 4), round(since_s + end_s, 4), 1.0, number))
        pieces += [audio_S, np.zeros(round(_PAUSE_S * VOICE_RATE_HZ))]
        num_samples += sum(len(piece) for piece in pieces[-2:])
    joined_S = np.concatenate(pieces)
    return Audio(on_16_bits(joined_S[None] * min(1.0, 0.7 / np.abs(joined_S).max())), VOICE_RATE_HZ), words
