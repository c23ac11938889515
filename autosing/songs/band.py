"""Chords and a tempo -> a small band in stereo: bass, chords, drums, each note a few lines of numpy.

Shapes: C = 2 channels, S samples at SONG_RATE_HZ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autosing.songs.score import BEATS_A_BAR, CHORDS

SONG_RATE_HZ = 44100
_KICK, _SNARE, _HAT = 0, 1, 2


@dataclass(frozen=True)
class Hit:
    """One note of the band: `pitch` is MIDI, or the drum's number."""

    instrument: str
    pitch: int
    start_s: float
    length_s: float
    gain: float


@dataclass(frozen=True)
class Style:
    """What is played in a bar, in beats. `chord` steps name the chord's tones (0, 1, 2; 3 is the root an octave up)."""

    bass: tuple[float, ...]
    chord: tuple[tuple[float, float, tuple[int, ...]], ...]
    """(onset, length, tones)"""
    kick: tuple[float, ...]
    snare: tuple[float, ...]
    hat: tuple[float, ...]


_EIGHTHS = tuple(i / 2 for i in range(8))
_BACKBEAT = (1, 3)
_TRIAD = (0, 1, 2)
_ARPEGGIO = tuple((i / 2, 0.5, (tone,)) for i, tone in enumerate((0, 1, 2, 3, 2, 1, 0, 2)))
_PICKING = tuple((float(i), 1.4, (tone,)) for i, tone in enumerate((0, 2, 1, 2)))
_STABS = tuple((onset, 0.9, _TRIAD) for onset in (0, 1.5, 3))
STYLES = (
    Style((0, 2), ((0, 3.9, _TRIAD),), (0, 2), _BACKBEAT, _EIGHTHS),
    Style((0, 1.5, 2, 3.5), _ARPEGGIO, (0, 2), _BACKBEAT, _EIGHTHS),
    Style(_EIGHTHS, _STABS, (0, 1, 2, 3), _BACKBEAT, (0.5, 1.5, 2.5, 3.5)),
    Style((0,), _PICKING, (), (), ()),
    Style((0, 2.5), ((0, 1.9, _TRIAD), (2, 1.9, (1, 2, 3))), (0, 2.5), (2,), (0, 1, 2, 3)),
)
CHORD_INSTRUMENTS = ("pad", "pluck", "keys", "organ")


def play_band(
    chords: Sequence[str], key: int, beat_s: float, duration_s: float, rng: np.random.Generator
) -> np.ndarray:
    """samples_CS (float64, not yet levelled) of a style and an instrument drawn by chance."""
    style = STYLES[int(rng.integers(len(STYLES)))]
    instrument = CHORD_INSTRUMENTS[int(rng.integers(len(CHORD_INSTRUMENTS)))]
    num_samples = round(duration_s * SONG_RATE_HZ)
    samples_CS = np.zeros((2, num_samples + 4 * SONG_RATE_HZ))
    sounds: dict[tuple[str, int, int], np.ndarray] = {}
    for hit in _hits(style, instrument, chords, key, beat_s, rng):
        shape = (hit.instrument, hit.pitch, round(hit.length_s * 1000))
        if shape not in sounds:
            sounds[shape] = sound(hit.instrument, hit.pitch, hit.length_s)
        start = round(hit.start_s * SONG_RATE_HZ)
        if start < num_samples:
            samples_CS[:, start : start + sounds[shape].shape[1]] += hit.gain * sounds[shape]
    return samples_CS[:, :num_samples]


def _hits(
    style: Style, instrument: str, chords: Sequence[str], key: int, beat_s: float, rng: np.random.Generator
) -> Iterator[Hit]:
    for bar, chord in enumerate(chords):
        bar_s = bar * BEATS_A_BAR * beat_s
        tones = [48 + (key + degree) % 12 for degree in CHORDS[chord]]
        root = 36 + (key + CHORDS[chord][0]) % 12
        for beat in style.bass:
            yield Hit("bass", root, bar_s + beat * beat_s, 0.9 * beat_s, 0.8)
        for beat, length, which in style.chord:
            for tone in which:
                pitch = tones[0] + 12 if tone == 3 else tones[tone]
                yield Hit(instrument, pitch, bar_s + beat * beat_s, length * beat_s, 0.5 if len(which) > 1 else 0.7)
        for drum, beats, gain in ((_KICK, style.kick, 0.9), (_SNARE, style.snare, 0.7), (_HAT, style.hat, 0.35)):
            for beat in beats:
                yield Hit("drum", drum, bar_s + beat * beat_s, 0.3, gain * float(rng.uniform(0.8, 1)))


def sound(instrument: str, pitch: int, length_s: float) -> np.ndarray:
    """samples_CS of one note at full gain."""
    time_S = np.arange(int((length_s + 0.1) * SONG_RATE_HZ)) / SONG_RATE_HZ
    if instrument == "drum":
        return np.stack([_drum(pitch, time_S)] * 2)
    f0_hz = 440 * 2 ** ((pitch - 69) / 12)
    release_S = np.clip((length_s + 0.1 - time_S) / 0.1, 0, 1)
    left_S, right_S = (_tone(instrument, f0_hz * 2 ** (cents / 1200), time_S) for cents in (-2, 2))
    pan = 0.5 if instrument == "bass" else 0.35 + 0.3 * (pitch % 3) / 2
    return 0.15 * release_S * np.stack([left_S * np.sqrt(1 - pan), right_S * np.sqrt(pan)]) * np.sqrt(2)


def _tone(instrument: str, f0_hz: float, time_S: np.ndarray) -> np.ndarray:
    phase_S = 2 * np.pi * f0_hz * time_S
    if instrument == "keys":  # two operators: the modulator fades, so the tone mellows
        return np.sin(phase_S + 1.5 * np.exp(-4 * time_S) * np.sin(phase_S)) * np.exp(-1.2 * time_S)
    if instrument == "organ":
        return _partials(phase_S, {1: 0.6, 2: 0.5, 3: 0.3, 4: 0.2, 8: 0.1})
    if instrument == "pad":
        return np.clip(time_S / 0.25, 0, 1) * _partials(phase_S, {h: h**-1.3 for h in range(1, 7)})
    decay, num_partials = (1.5, 6) if instrument == "bass" else (2.5, 8)
    gains = {h: h**-1.2 for h in range(1, num_partials + 1)}
    return np.exp(-decay * time_S) * _partials(phase_S, gains, np.exp(-1.5 * time_S))


def _partials(phase_S: np.ndarray, gains: dict[int, float], fading_S: np.ndarray | float = 1.0) -> np.ndarray:
    """The sum of a tone's partials, each as much quieter than the one below as `fading_S` says."""
    turn_S = np.exp(1j * phase_S) * fading_S
    power_S = np.ones_like(turn_S) / fading_S
    sum_S = np.zeros(len(phase_S))
    for partial in range(1, max(gains) + 1):
        power_S *= turn_S
        sum_S += gains.get(partial, 0.0) * power_S.imag
    return sum_S


def _drum(drum: int, time_S: np.ndarray) -> np.ndarray:
    if drum == _KICK:
        return 0.35 * np.sin(2 * np.pi * (48 * time_S + 5 * (1 - np.exp(-30 * time_S)))) * np.exp(-12 * time_S)
    noise_S = np.random.default_rng(drum).standard_normal(len(time_S))
    if drum == _SNARE:
        return (0.1 * noise_S + 0.12 * np.sin(2 * np.pi * 190 * time_S)) * np.exp(-22 * time_S)
    bright_S = np.diff(noise_S, prepend=0.0)
    return 0.06 * bright_S * np.exp(-55 * time_S)
