"""Notes -> what a singer does between and within them: f0 with glides, scoops, vibrato and drift; loudness; breath.

Shapes: T times of the song, S samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from autosing.songs.score import Note

_BREATH_S = 0.28


@dataclass(frozen=True)
class Gesture:
    """A singer's habits."""

    glide_s: float
    """From 12 to 88 percent of the way to the next note."""
    scoop: float
    """The share of notes after a rest or a leap that are come at from below."""
    vibrato_hz: float
    vibrato_cents: float
    drift_cents: float
    breath_db: float
    """Below the voice."""


def draw_gesture(rng: np.random.Generator) -> Gesture:
    """One singer's."""
    return Gesture(
        glide_s=float(rng.uniform(0.08, 0.13)),
        scoop=float(rng.uniform(0.0, 0.3)),
        vibrato_hz=float(rng.uniform(4.7, 6.3)),
        vibrato_cents=float(rng.uniform(10, 38)),
        drift_cents=float(rng.uniform(4, 9)),
        breath_db=float(rng.uniform(26, 40)),
    )


def f0_curve(time_T: np.ndarray, notes: Sequence[Note], gesture: Gesture, rng: np.random.Generator) -> np.ndarray:
    """f0_T in Hz. A glide is half done 20 ms before its note, so that the vowel begins nearly in tune."""
    midi_T = np.full(len(time_T), float(notes[0].midi))
    for before, after in pairwise(notes):
        midi_T += (after.midi - before.midi) / (1 + np.exp(-(time_T - (after.start_s - 0.02)) / (gesture.glide_s / 4)))
    cents_T = np.zeros(len(time_T))
    for number, note in enumerate(notes):
        leapt = number == 0 or abs(note.midi - notes[number - 1].midi) > 3
        if leapt and rng.random() < gesture.scoop:
            depth = float(rng.uniform(30, 90))
            cents_T -= depth * np.exp(-np.square(np.maximum(time_T - note.start_s, 0) / 0.06)) * (
                time_T > note.start_s - 0.1
            ) * np.clip((time_T - note.start_s + 0.1) / 0.1, 0, 1)  # fmt: skip
        if note.end_s - note.start_s > 0.4:
            since_T = time_T - note.start_s - 0.22
            swell_T = np.clip(since_T / 0.25, 0, 1) * np.clip((note.end_s - time_T) / 0.06, 0, 1)
            cents_T += gesture.vibrato_cents * swell_T * np.sin(2 * np.pi * gesture.vibrato_hz * since_T)
    knots = np.arange(time_T[0], time_T[-1] + 0.3, 0.25)
    cents_T += np.interp(time_T, knots, rng.normal(0, gesture.drift_cents, len(knots)))
    return np.asarray(440 * 2 ** ((midi_T + cents_T / 100 - 69) / 12))


def phrase_gain(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """gain_S over a line: an arch of up to 3 dB, its top where it may be, on a level of its own within 2 dB."""
    top, height, level = rng.uniform(0.3, 0.7), rng.uniform(0, 3), rng.uniform(-2, 2)
    arch_db_S = np.interp(np.linspace(0, 1, num_samples), [0, top, 1], [level - height, level, level - height])
    return np.asarray(10 ** (arch_db_S / 20))


def breath(rate_hz: int, level: float, gesture: Gesture, rng: np.random.Generator) -> np.ndarray:
    """audio_S of a breath taken before a line that is `level` loud (RMS): noise about 2 kHz that swells and stops."""
    num_samples = round(_BREATH_S * rng.uniform(0.7, 1.3) * rate_hz)
    hz_K = np.fft.rfftfreq(num_samples, 1 / rate_hz)
    shape_K = np.exp(-np.square(np.log2(np.maximum(hz_K, 50) / rng.uniform(1500, 2600)) / 1.1))
    noise_S = np.fft.irfft(np.fft.rfft(rng.standard_normal(num_samples)) * shape_K, num_samples)
    swell_S = np.interp(np.linspace(0, 1, num_samples), [0, 0.75, 1], [0, 1, 0]) ** 1.5
    return np.asarray(noise_S / noise_S.std() * swell_S * level * 10 ** (-gesture.breath_db / 20) * 2)
