"""Lyrics -> a score that people would sing them to, where nobody gives one; and a band that goes with it.

The tunes are those of made songs (tune.py): speech-like rhythm, small steps, stress on the beat, lines that sink to a
tone of their chord. What is not spoken is timed by rule (spoken.py).

Shapes: N syllables of a line, C = 2 channels, S samples.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autosing.audio.io import Audio, resample
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.score.assemble import SungNote, assemble
from autosing.score.g2p.bind import bind
from autosing.score.g2p.words import Spoken, pronounce
from autosing.score.lyrics import cut_word
from autosing.score.score import Score
from autosing.score.syllabify import SungSyllable
from autosing.score.tempo import Tempo, TempoMap
from autosing.songs.band import SONG_RATE_HZ, play_band
from autosing.songs.score import BEATS_A_BAR, LOOPS
from autosing.songs.spoken import speech_of
from autosing.songs.tune import GRID, calm_melody, draw_manner, lengths, speech_rhythm

BPM = (92, 116)
"""Tempos are drawn from here, in steps of 4: four sixteenths a beat, 0.13 to 0.16 s each."""
_MIDDLE_HZ = 220.0
"""Where it is sung if nothing is known of the singer."""
_BELOW, _ABOVE = 5, 9
"""Semitones around the middle of the singer's range."""
_BAND_PEAK = 0.5
_STRETCH = 1.5
"""Sung syllables last so many times as long as spoken ones."""


class Tune(NamedTuple):
    """What was composed."""

    score: Score
    """In 4/4, at one tempo, with phones; a note a syllable."""
    chords: tuple[str, ...]
    """One a bar, as degrees of the scale: I, ii ..."""
    key: int
    """Its tonic: 0 is C, 11 is B."""


def compose(lines: Sequence[str], language: str = "und", middle_hz: float | None = None, seed: int = 0) -> Tune:
    """The same arguments give the same tune.

    `language`: ISO 639, or und: by the letters. `middle_hz`: of the singer's range.
    Raises InputError: nothing to sing in the lines, or a word that cannot be pronounced.
    """
    sung = [(words, spoken) for words, spoken in (_pronounced(line, language) for line in lines) if words]
    if not sung:
        raise InputError(f"lyrics: nothing to sing in {len(lines)} lines; give words")
    rng = np.random.default_rng(seed_of("compose", seed))
    bpm = int(rng.choice(np.arange(BPM[0], BPM[1] + 1, 4)))
    tempo, place_s = TempoMap(tempos=(Tempo(beat=0, bpm=bpm),)), 60 / bpm / GRID
    loop, manner = LOOPS[int(rng.integers(len(LOOPS)))], draw_manner(rng)
    home = round(69 + 12 * np.log2((middle_hz or _MIDDLE_HZ) / 440))
    key, hold = int(rng.integers(12)), float(rng.uniform(1.5, 2.5))
    notes: list[SungNote] = []
    played: list[str] = []
    for number, (words, spoken) in enumerate(sung):
        speech = speech_of(words, spoken, language)
        onset_N, bars = speech_rhythm(speech.start_N / place_s, _STRETCH, speech.stressed_N)
        bar = len(played)
        chords = [loop[(bar + k) % len(loop)] for k in range(bars)]
        midi_N = calm_melody(onset_N, speech.stressed_N, chords, key, home, home - _BELOW, home + _ABOVE, manner, rng)
        texts = [text for word, found in zip(words, spoken, strict=True) for text in cut_word(word, len(found))]
        for (text, joins), onset, length, midi in zip(
            texts, onset_N, lengths(onset_N, bars, hold), midi_N, strict=True
        ):
            first = bar * BEATS_A_BAR + float(onset)
            notes.append(SungNote(tempo.seconds(first), tempo.seconds(first + float(length)), midi, text, joins=joins,
                                  line=number, language=language))  # fmt: skip
        played += chords
    played.append(loop[0])
    score = assemble(notes, tempo.seconds(len(played) * BEATS_A_BAR), tempo)
    score = bind(score, [found for _, spoken in sung for found in spoken])
    return Tune(score, tuple(played), key)


def accompaniment(tune: Tune, sample_rate_hz: int, num_samples: int, faster: float = 1.0, seed: int = 0) -> Audio:
    """A band in stereo that plays the tune's chords, so many times as fast as it is written."""
    beat_s = 60 / tune.score.tempo.tempos[0].bpm / faster
    rng = np.random.default_rng(seed_of("accompaniment", seed))
    samples_CS = play_band(tune.chords, tune.key, beat_s, num_samples / sample_rate_hz, rng)
    samples_CS = resample(samples_CS * (_BAND_PEAK / np.abs(samples_CS).max()), SONG_RATE_HZ, sample_rate_hz)
    short = max(0, num_samples - samples_CS.shape[1])
    return Audio(np.pad(samples_CS, ((0, 0), (0, short)))[:, :num_samples].astype(np.float32), sample_rate_hz)


def _pronounced(line: str, language: str) -> tuple[list[str], list[list[SungSyllable]]]:
    """The words of a line, and their syllables. A dash between words is no word."""
    words = [word for word in line.split() if any(char.isalnum() for char in word)]
    return words, pronounce([Spoken(word, language) for word in words])
