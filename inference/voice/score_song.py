"""A score, a model and a singer -> the song that the engine sings: content, pitch and loudness drawn from the score.

Shapes: F frames of the model, C numbers of content, T values at 100 Hz, E = 256 singer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from autosing.models.visinger import Melody, VisingerVoice
from autosing.score.score import Score
from autosing.timebase import PITCH_RATE_HZ, num_frames_to_cover
from inference.voice.engine import Song
from inference.voice.features import RATE_HZ, Features

AROUND_S = 0.3
"""So long a voice may begin before its first phone and die away after its last. Models learn from lines cut so, and
know nothing of longer rests."""
SILENT_DB = -100.0


@dataclass(frozen=True)
class ScoreFeatures(Features):
    """In place of what is heard in a source. Content lies at the model's own frames."""

    frames_a_second: float = 0.0
    seconds: float = 0.0

    @property
    def duration_s(self) -> float:
        return self.seconds

    def content_at(self, times_s_F: np.ndarray) -> np.ndarray:
        """Times must be the middles of the model's frames."""
        frames_F = np.round(times_s_F * self.frames_a_second - 0.5).astype(int)
        return self.content_ND[np.clip(frames_F, 0, len(self.content_ND) - 1)]


@dataclass(frozen=True)
class ScoreSong:
    """What is sung, and what its score became: phones with times."""

    song: Song
    score: Score


def song_of(
    voice: VisingerVoice, score: Score, singer_E: np.ndarray, vibrato: float = 1.0,
    singer_at: Callable[[float], np.ndarray] | None = None, f0_hz_T: np.ndarray | None = None,
) -> ScoreSong:  # fmt: skip
    """`f0_hz_T`: sung in place of the model's own pitch. Raises InputError as `VisingerVoice.read` does."""
    vector_E = torch.from_numpy(np.asarray(singer_E, np.float32))
    timed, content_CF, melody = voice.read(score, vector_E, vibrato)
    rate = float(voice.spec.rate_hz)
    own_hz_T, loudness_db_T = at_pitch_rate(melody, rate, timed)
    sung_hz_T = own_hz_T if f0_hz_T is None else np.asarray(f0_hz_T, np.float32)
    features = ScoreFeatures(
        content_CF.T.float().cpu().numpy(), sung_hz_T, loudness_db_T, round(timed.duration_s * RATE_HZ),
        frames_a_second=rate, seconds=timed.duration_s,
    )  # fmt: skip
    song = Song(features, sung_hz_T, singer_at or (lambda _: np.asarray(singer_E, np.float32)))
    return ScoreSong(song, timed)


def num_pitches(duration_s: float) -> int:
    """Rows of the pitch of a score: one every 10 ms."""
    return num_frames_to_cover(duration_s, PITCH_RATE_HZ)


def at_pitch_rate(melody: Melody, rate_hz: float, score: Score) -> tuple[np.ndarray, np.ndarray]:
    """(f0_hz_T with 0 where unvoiced, loudness_db_T): what people see and edit. In rests, farther than AROUND_S from
    every phone and breath, nothing sounds. `score`: with times of its phones."""
    f0_hz_F, voiced_F, loudness_F = (
        tensor[0].cpu().numpy() for tensor in (melody.f0_hz_BF, melody.voiced_BF, melody.loudness_db_BF)
    )
    times_s_T = np.arange(num_pitches(score.duration_s)) / float(PITCH_RATE_HZ)
    at_T = times_s_T * rate_hz - 0.5
    frames = np.arange(len(f0_hz_F))
    f0_hz_T = np.exp(np.interp(at_T, frames, np.log(f0_hz_F)))
    voiced_T = voiced_F[np.clip(np.round(at_T).astype(int), 0, len(frames) - 1)]
    spans_s = [(phone.start_s, phone.end_s) for phone in score.phones]
    spans_s += [(breath.start_s, breath.end_s) for breath in score.breaths]
    sounds_T = np.zeros(len(times_s_T), bool)
    for start_s, end_s in spans_s:
        assert start_s is not None and end_s is not None, "phones without times"
        sounds_T |= (times_s_T > start_s - AROUND_S) & (times_s_T < end_s + AROUND_S)
    loudness_T = np.where(sounds_T, np.interp(at_T, frames, loudness_F), SILENT_DB)
    return np.where(voiced_T & sounds_T, f0_hz_T, 0.0).astype(np.float32), loudness_T.astype(np.float32)
