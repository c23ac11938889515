"""Words laid out on notes -> a sung line with its exact f0: WORLD's frames read in the score's time, at its pitch.

Shapes: T frames every FRAME_S, K frequency bins, S samples at SPEECH_RATE_HZ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from autosing.songs.analysis import FRAME_S, SILENCE, SpokenWord
from autosing.songs.espeak import SPEECH_RATE_HZ
from autosing.songs.layout import PlacedPhone
from autosing.songs.score import Note
from autosing.songs.singers import Singer

_LEAD_S, _TAIL_S = 0.03, 0.08
_EDGE_S = 0.05
"""The start and end of a vowel that keep their speed; only what lies between is held."""
_FADE_S = 0.01


@dataclass(frozen=True)
class SungAudio:
    """audio_S starts at frame `first_frame` of the song; f0_T (Hz, 0 = unvoiced) is on the song's frames."""

    audio_S: np.ndarray
    f0_T: np.ndarray
    first_frame: int

    @property
    def start_s(self) -> float:
        return self.first_frame * FRAME_S


def sing_line(
    words: Sequence[SpokenWord],
    phones: Sequence[PlacedPhone],
    notes: Sequence[Note],
    singer: Singer,
    rng: np.random.Generator,
) -> SungAudio:
    """The line's audio. Frames lie on the song's own grid, so the f0 returned is what was sung, not an estimate."""
    import pyworld

    first_frame = int(np.floor((phones[0].start_s - _LEAD_S) / FRAME_S))
    num_frames = int(np.ceil((phones[-1].end_s + _TAIL_S) / FRAME_S)) - first_frame + 1
    time_T = (first_frame + np.arange(num_frames)) * FRAME_S
    num_bins = words[0].log_power_TK.shape[1]
    log_power_TK = np.full((num_frames, num_bins), SILENCE)
    aperiodicity_TK = np.ones((num_frames, num_bins))
    voiced_T = np.zeros(num_frames, bool)
    vowel_limit_K = np.linspace(0.02, 0.6, num_bins) ** 1.5 + singer.breath * 0.3
    for phone in phones:
        first, last = np.searchsorted(time_T, [phone.start_s - 1e-9, phone.end_s - 1e-9])
        if first == last:
            continue
        word, span = words[phone.word], slice(first, last)
        at_T = _source_time(time_T[span] - phone.start_s, phone) / FRAME_S
        at_T = np.clip(at_T, 0, len(word.voiced_T) - 1.001)
        k_T, part_T1 = at_T.astype(int), (at_T % 1)[:, None]
        log_power_TK[span] = word.log_power_TK[k_T] * (1 - part_T1) + word.log_power_TK[k_T + 1] * part_T1
        aperiodicity_TK[span] = word.aperiodicity_TK[k_T] * (1 - part_T1) + word.aperiodicity_TK[k_T + 1] * part_T1
        voiced_T[span] = phone.nucleus | word.voiced_T[k_T]
        if phone.nucleus:
            aperiodicity_TK[span] = np.minimum(aperiodicity_TK[span], vowel_limit_K)
    log_power_TK += np.log(10) / 10 * _level_db(time_T, notes)[:, None]
    log_power_TK[:3] = log_power_TK[-3:] = SILENCE
    f0_T = np.where(voiced_T, pitch_curve(time_T, notes, singer, rng), 0.0)
    audio_S = pyworld.synthesize(
        f0_T,
        np.exp(log_power_TK),
        np.ascontiguousarray(np.clip(aperiodicity_TK, 1e-3, 1)),
        SPEECH_RATE_HZ,
        FRAME_S * 1000,
    )
    fade = int(_FADE_S * SPEECH_RATE_HZ)
    audio_S[-fade:] *= np.linspace(1, 0, fade)
    return SungAudio(audio_S, f0_T, first_frame)


def pitch_curve(time_T: np.ndarray, notes: Sequence[Note], singer: Singer, rng: np.random.Generator) -> np.ndarray:
    """f0_T in Hz: notes joined by glides, vibrato that comes late on long notes, a little drift (7 cents)."""
    midi_T = np.full(len(time_T), float(notes[0].midi))
    for before, after in pairwise(notes):
        since_T = np.maximum((time_T - (after.start_s - 0.02)) / 0.012, -700)  # exp overflows beyond
        midi_T += (after.midi - before.midi) / (1 + np.exp(-since_T))
    cents_T = np.zeros(len(time_T))
    for note in notes:
        if note.end_s - note.start_s > 0.35:
            since_T = time_T - note.start_s - 0.2
            ends_T = np.clip(since_T / 0.25, 0, 1) * np.clip((note.end_s - time_T) / 0.06, 0, 1)
            cents_T += (
                singer.vibrato_cents * ends_T * np.sin(2 * np.pi * singer.vibrato_hz * since_T + rng.uniform(0, 1))
            )
    knots = np.arange(time_T[0], time_T[-1] + 0.3, 0.25)
    cents_T += np.interp(time_T, knots, rng.normal(0, 7, len(knots)))
    return 440 * 2 ** ((midi_T + cents_T / 100 - 69) / 12)


def _source_time(since_T: np.ndarray, phone: PlacedPhone) -> np.ndarray:
    """Seconds into the sung phone -> seconds into the spoken word. A vowel made longer keeps its edges' speed."""
    spoken_s, sung_s = phone.spoken.end_s - phone.spoken.start_s, phone.end_s - phone.start_s
    if not phone.nucleus or sung_s <= spoken_s:
        return phone.spoken.start_s + since_T * (spoken_s / max(sung_s, 1e-6))
    edge_s = min(_EDGE_S, spoken_s / 3)
    knots = [0, edge_s, sung_s - edge_s, sung_s]
    return phone.spoken.start_s + np.interp(since_T, knots, [0, edge_s, spoken_s - edge_s, spoken_s])


def _level_db(time_T: np.ndarray, notes: Sequence[Note]) -> np.ndarray:
    """A note swells by 2 dB in its first 80 ms and sinks by up to 3 dB to its end."""
    level_T = np.zeros(len(time_T))
    for note in notes:
        during_T = _during(time_T, note)
        since_T = time_T - note.start_s
        sinking_T = np.clip(since_T / max(note.end_s - note.start_s, 0.3), 0, 1) ** 2
        level_T = np.where(during_T, -2 * (1 - np.clip(since_T / 0.08, 0, 1)) - 3 * sinking_T, level_T)
    return level_T


def _during(time_T: np.ndarray, note: Note) -> np.ndarray:
    return (time_T >= note.start_s) & (time_T < note.end_s)
