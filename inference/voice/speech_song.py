"""Speech, the score that its words are to be sung on, and a singer -> what the engine sings.

Shapes: S samples at 16 kHz, N frames of speech (50 Hz), K knots, T values at 100 Hz, E = 256 singer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from autosing.audio.io import Audio
from autosing.audio.pitch import load_tracker
from autosing.models.content import SAMPLE_RATE_HZ, Content
from autosing.models.sts import StsVoice
from autosing.score.score import Score
from autosing.score.timing import with_times
from autosing.speech.monotone import monotone
from autosing.speech.time_map import knots_of
from inference.voice.engine import Song
from inference.voice.features import RATE_HZ
from inference.voice.pitch import carried_on
from inference.voice.score_song import ScoreFeatures, ScoreSong, at_pitch_rate

Pitched = Literal["as_it_stands", "where_voiced"]


@dataclass(frozen=True)
class HeardSpeech:
    """What is heard of speech, and when its phones are spoken."""

    content_ND: np.ndarray
    spoken: Score
    """Words and phones with their times."""

    @property
    def seconds(self) -> float:
        return self.spoken.duration_s


def hear(audio_S: np.ndarray, spoken: Score, content: Content, device: str = "cpu") -> HeardSpeech:
    """Raises InputError where WORLD is not installed."""
    flat_S = monotone(audio_S, load_tracker("fcpe", device))
    return HeardSpeech(content(Audio(flat_S[None], SAMPLE_RATE_HZ)), spoken)


def timed(score: Score, spoken: Score, consonants: float) -> Score:
    """The score with times of phones: its own where it has some, else consonants last as they are spoken, times
    `consonants`, as far as there is room. Raises InputError as `with_times` does."""
    if score.timed:
        return score
    lengths_s = [consonants * ((phone.end_s or 0.0) - (phone.start_s or 0.0)) for phone in spoken.phones]
    return with_times(score, lengths_s)


def song_of_speech(
    voice: StsVoice, score: Score, heard: HeardSpeech, singer_E: np.ndarray, vibrato: float = 1.0,
    singer_at: Callable[[float], np.ndarray] | None = None, f0_hz_T: np.ndarray | None = None,
    pitched: Pitched = "as_it_stands",
) -> ScoreSong:  # fmt: skip
    """`f0_hz_T`: sung in place of the model's own pitch; as it stands, or carried on and voiced as the words are."""
    vector_E = torch.from_numpy(np.asarray(singer_E, np.float32))
    knots_2K = knots_of(score, heard.spoken, heard.seconds)
    content_CF, melody = voice.read(score, heard.content_ND, knots_2K, vector_E, vibrato)
    rate = float(voice.spec.rate_hz)
    own_hz_T, loudness_db_T = at_pitch_rate(melody, rate, score)
    sung_hz_T = own_hz_T
    if f0_hz_T is not None:
        given_T = np.asarray(f0_hz_T, np.float32)
        sung_hz_T = given_T if pitched == "as_it_stands" else np.where(own_hz_T > 0, carried_on(given_T), 0.0)
    features = ScoreFeatures(
        content_CF.T.float().cpu().numpy(), sung_hz_T.astype(np.float32), loudness_db_T,
        round(score.duration_s * RATE_HZ), frames_a_second=rate, seconds=score.duration_s,
    )  # fmt: skip
    song = Song(features, features.f0_hz_T, singer_at or (lambda _: np.asarray(singer_E, np.float32)))
    return ScoreSong(song, score)
