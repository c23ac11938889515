"""f0, loudness and when vowels start -> notes: the best path over pitches, a new note at each vowel.

A hidden Markov model with a state for each semitone (on the tuning that the voice keeps) and one for rest. Staying is
free, moving costs; where a vowel starts a note begins anyway. A short stay between two pitches is a glide, not a note.

Shapes: T frames of 10 ms, N semitones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from autosing.config import Config
from autosing.score.score import Note, Score
from autosing.timebase import PITCH_RATE_HZ

RATE_HZ = int(PITCH_RATE_HZ)
LOWEST, HIGHEST = 28, 100
"""MIDI numbers that are sung."""
_VIBRATO = 19
"""Frames of a cycle of vibrato."""
_IN_TUNE = 0.15
"""Semitones that a voice may lie off 440 Hz before its notes do."""


class NotesConfig(Config):
    """What is a note. Chosen on made songs."""

    spread_cents: float = Field(default=50.0, gt=0)
    """Standard deviation of a sung pitch around its note: vibrato, drift, scooping."""
    outlier: float = Field(default=0.02, gt=0, lt=1)
    """The share of frames whose f0 has nothing to do with the note."""
    move_cost: float = Field(default=6.0, ge=0)
    """What another pitch within a syllable costs (nats)."""
    free_cost: float = Field(default=0.5, ge=0)
    """What another pitch costs where a vowel starts (nats)."""
    unvoiced_cost: float = Field(default=0.7, ge=0)
    """What a frame of note costs where nothing is voiced, and a frame of rest where something is (nats)."""
    shortest_s: float = Field(default=0.07, ge=0)
    """A shorter note within a syllable belongs to its neighbours."""
    bridge_s: float = Field(default=0.1, ge=0)
    """Silence between phones up to this is no rest: the note before lasts until the next."""


@dataclass(frozen=True)
class SyllableSpan:
    """From its first phone, over its vowel, to the end of its last phone."""

    onset_s: float
    start_s: float
    """Of its vowel."""
    end_s: float


def transcribe_notes(f0_hz_T: np.ndarray, syllables: Sequence[SyllableSpan], config: NotesConfig) -> list[Note]:
    """The notes of each syllable, at least one where anything of it is voiced; without pitch (spoken) elsewhere."""
    midi_T = np.where(f0_hz_T > 0, 69 + 12 * np.log2(np.maximum(f0_hz_T, 1) / 440), np.nan)
    tuning = _tuning(midi_T)
    starts_T = np.zeros(len(f0_hz_T), bool)
    for syllable in syllables:
        starts_T[min(round(syllable.start_s * RATE_HZ), len(f0_hz_T) - 1)] = True
    path_T = _path(midi_T - tuning, starts_T, config)
    found: list[Note] = []
    for number, syllable in enumerate(syllables):
        following_s = syllables[number + 1].start_s if number + 1 < len(syllables) else np.inf
        first = round(syllable.start_s * RATE_HZ)
        last = min(round(min(syllable.end_s, following_s) * RATE_HZ), len(path_T))
        found += _notes_of(number, path_T, first, max(last, first + 1), tuning, config)
    return _bridged(found, syllables, config)


def with_notes(score: Score, f0_hz_T: np.ndarray, config: NotesConfig) -> Score:
    """The score, whose phones have times, with notes from f0: each begins with its vowel."""
    spans = []
    for number in range(len(score.syllables)):
        phones = score.phones_of(number)
        nucleus = next(phone for phone in phones if phone.place == "nucleus")
        spans.append(SyllableSpan(phones[0].start_s or 0.0, nucleus.start_s or 0.0, phones[-1].end_s or 0.0))
    notes = transcribe_notes(f0_hz_T, spans, config)
    return score.replace(notes=tuple(n for n in notes if n.end_s <= score.duration_s + 0.01))


def agreement(score: Score, f0_hz_T: np.ndarray) -> float:
    """The share of voiced frames under notes with a pitch in which that pitch is sung, in any octave, within a
    semitone; 1 where there are none."""
    time_T = np.arange(len(f0_hz_T)) / RATE_HZ
    right, total = 0, 0
    for note in score.notes:
        if note.midi is None:
            continue
        held = f0_hz_T[(time_T >= note.start_s) & (time_T < note.end_s) & (f0_hz_T > 0)]
        apart = 12 * np.log2(held / 440) + 69 - note.midi
        right += int((np.abs(apart - 12 * np.round(apart / 12)) <= 1).sum())
        total += len(held)
    return right / total if total else 1.0


def _tuning(midi_T: np.ndarray) -> float:
    """How far, in semitones, the voice's scale lies from 440 Hz: the circular mean of f0 averaged over vibrato."""
    if len(midi_T) < _VIBRATO:
        return 0.0
    windows_TW = np.lib.stride_tricks.sliding_window_view(midi_T, _VIBRATO)
    voiced = windows_TW[np.isfinite(windows_TW).all(axis=1)]
    steady = voiced[np.ptp(voiced, axis=1) < 1.5] if len(voiced) else voiced
    if len(steady) < RATE_HZ // 2:
        return 0.0
    mean = np.exp(2j * np.pi * steady.mean(axis=1)).mean()
    shift = float(np.angle(mean) / (2 * np.pi)) if abs(mean) > 0.2 else 0.0
    return round(shift, 2) if abs(shift) > _IN_TUNE else 0.0


def _path(midi_T: np.ndarray, starts_T: np.ndarray, config: NotesConfig) -> np.ndarray:
    """The semitone of each frame, 0 for rest."""
    pitches_N = np.arange(LOWEST, HIGHEST + 1)
    deviation_TN = np.nan_to_num(midi_T)[:, None] - pitches_N
    spread = config.spread_cents / 100
    likely_TN = (1 - config.outlier) * np.exp(-0.5 * (deviation_TN / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    voiced_T = np.isfinite(midi_T)
    score_TN = np.where(
        voiced_T[:, None], np.log(likely_TN + config.outlier / len(pitches_N)), -config.unvoiced_cost
    )  # fmt: skip
    rest_T = np.where(voiced_T, np.log(config.outlier / len(pitches_N)) - config.unvoiced_cost, 0.0)
    emit_TS = np.concatenate([score_TN, rest_T[:, None]], axis=1)
    rest = len(pitches_N)
    best_S = emit_TS[0].copy()
    came_TS = np.zeros(emit_TS.shape, np.int16)
    states_S = np.arange(rest + 1)
    for t in range(1, len(emit_TS)):
        cost = config.free_cost if starts_T[t] else config.move_cost
        source = int(best_S.argmax())
        moved = best_S[source] - cost
        stays_S = best_S >= moved
        came_TS[t] = np.where(stays_S, states_S, source)
        best_S = np.where(stays_S, best_S, moved) + emit_TS[t]
    state = int(best_S.argmax())
    path_T = np.zeros(len(emit_TS), int)
    for t in range(len(emit_TS) - 1, -1, -1):
        path_T[t] = 0 if state == rest else pitches_N[state]
        state = int(came_TS[t, state])
    return path_T


def _notes_of(
    syllable: int, path_T: np.ndarray, first: int, last: int, tuning: float, config: NotesConfig
) -> list[Note]:
    """A syllable's stays on one pitch in frames first .. last, without rests; glides join the longer neighbour."""
    stays = _joined([[t, t + 1, int(path_T[t])] for t in range(first, last) if path_T[t]])
    shortest = round(config.shortest_s * RATE_HZ)
    while len(stays) > 1 and min(b - a for a, b, _ in stays) < shortest:
        k = min(range(len(stays)), key=lambda i: stays[i][1] - stays[i][0])
        near = [i for i in (k - 1, k + 1) if 0 <= i < len(stays)]
        into = max(near, key=lambda i: stays[i][1] - stays[i][0])
        stays[into] = [min(stays[k][0], stays[into][0]), max(stays[k][1], stays[into][1]), stays[into][2]]
        del stays[k]
    if not stays:
        return [Note(start_s=first / RATE_HZ, end_s=last / RATE_HZ, midi=None, syllable=syllable)]
    stays[0][0] = first
    return [
        Note(start_s=a / RATE_HZ, end_s=b / RATE_HZ, midi=pitch + tuning, syllable=syllable)
        for a, b, pitch in _joined(stays)
    ]


def _joined(stays: Sequence[list[int]]) -> list[list[int]]:
    """[first frame, one past the last, pitch] each; neighbours of one pitch become one."""
    found: list[list[int]] = []
    for stay in stays:
        if found and found[-1][2] == stay[2]:
            found[-1][1] = stay[1]
        else:
            found.append(stay)
    return found


def _bridged(notes: Sequence[Note], syllables: Sequence[SyllableSpan], config: NotesConfig) -> list[Note]:
    """Each note lasts until the next where only consonants, or a short gap, lie between; none overlaps."""
    found: list[Note] = []
    for number, note in enumerate(notes):
        following = notes[number + 1] if number + 1 < len(notes) else None
        end_s = note.end_s
        if following is not None:
            begins_s = following.start_s
            if following.syllable != note.syllable and following.syllable is not None:
                begins_s = syllables[following.syllable].onset_s
            ends_s = note.end_s if note.syllable is None else max(note.end_s, syllables[note.syllable].end_s)
            end_s = following.start_s if begins_s - ends_s <= config.bridge_s else min(end_s, following.start_s)
        found.append(Note(start_s=note.start_s, end_s=max(end_s, note.start_s), midi=note.midi, syllable=note.syllable))
    return found
