"""Phones with times in a song, and the same phones with times in speech -> where in the speech each moment is spoken.

The map is a line through two knots a phone: it rises, is level in rests that are not spoken, and leaps over pauses that
are not sung, so that nothing is sung of them.

Shapes: K knots, F frames, N frames of content (50 Hz), D numbers of content.
"""

import numpy as np

from autosing.errors import InputError
from autosing.models.told import content_at
from autosing.score.score import Score
from autosing.timebase import CONTENT_RATE_HZ


def knots_of(sung: Score, spoken: Score, speech_s: float) -> np.ndarray:
    """knots_2K float32: seconds of the song, and of the speech. Before the first phone and after the last the speech
    goes on as fast as the song, as far as there is any.

    Raises InputError where the two do not have the same phones, all with times, or none at all.
    """
    if [p.symbol for p in sung.phones] != [p.symbol for p in spoken.phones] or not (sung.timed and spoken.timed):
        raise InputError(
            f"speech: {len(spoken.phones)} phones with times for a song of {len(sung.phones)}; need the same phones"
        )
    pairs = []
    for there, here in zip(sung.phones, spoken.phones, strict=True):
        assert there.end_s is not None and here.end_s is not None, "timed"
        pairs += [(there.start_s, here.start_s), (there.end_s, here.end_s)]
    song_s, word_s = (np.maximum.accumulate(np.array(times, np.float64)) for times in zip(*pairs, strict=True))
    before_s = min(song_s[0], word_s[0])
    after_s = max(0.0, min(sung.duration_s - song_s[-1], speech_s - word_s[-1]))
    song_s = np.concatenate([[song_s[0] - before_s], song_s, [song_s[-1] + after_s]])
    word_s = np.concatenate([[word_s[0] - before_s], word_s, [word_s[-1] + after_s]])
    return np.stack([song_s, word_s]).astype(np.float32)


def spoken_at(knots_2K: np.ndarray, times_s_F: np.ndarray) -> np.ndarray:
    """Seconds of the speech for seconds of the song; never falling where these rise."""
    spoken_s_F: np.ndarray = np.interp(times_s_F, knots_2K[0], knots_2K[1])
    return spoken_s_F


def is_own_speech(knots_2K: np.ndarray) -> bool:
    """Whether a clip has no speech beside it, and its singing stands for it."""
    return bool(np.array_equal(knots_2K[0], knots_2K[1]))


def without_rhythm(
    content_ND: np.ndarray, knots_2K: np.ndarray, rng: np.random.Generator, usual_s: tuple[float, float], spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Content of singing in which each stretch between two knots lasts as in speech: (content_MD, knots_2K).

    A stretch that is longer than what is drawn from `usual_s` lasts that long, and each is longer or shorter by a
    factor of about e ** spread beside. Of what lies before the first knot and after the last so much is kept, too.
    """
    rate = float(CONTENT_RATE_HZ)
    ends_s = np.array([0.0, max(len(content_ND) / rate, float(knots_2K[1][-1]))])
    old_s = np.concatenate([ends_s[:1], knots_2K[1].astype(np.float64), ends_s[1:]])
    lengths_s = np.diff(old_s)
    drawn_s = np.minimum(lengths_s, rng.uniform(*usual_s, len(lengths_s)))
    drawn_s = drawn_s * np.exp(spread * rng.standard_normal(len(lengths_s)))
    drawn_s[[0, -1]] = np.minimum(lengths_s[[0, -1]], usual_s[1])
    new_s = np.concatenate([[0.0], np.cumsum(drawn_s)])
    count = max(1, round(float(new_s[-1]) * rate))
    at_s_M = np.interp(np.arange(count) / rate, new_s, old_s)
    moved_2K = np.stack([knots_2K[0], new_s[1:-1].astype(np.float32)])
    return content_at(content_ND, at_s_M).astype(content_ND.dtype), moved_2K
