"""Seconds to frames and back. Rates are often not whole (24000/256 = 93.75 Hz), so they are Fractions; rounded once."""

import math
from fractions import Fraction

SEMANTIC_RATE_HZ = Fraction(25)
PITCH_RATE_HZ = Fraction(100)
CONTENT_RATE_HZ = Fraction(50)
LETTER_RATE_HZ = 50
"""Rate of the states of Whisper's encoder, and of the letters computed from them."""


def num_frames(duration_s: float | Fraction, rate_hz: Fraction | int) -> int:
    """The whole frames that fit in a duration."""
    return math.floor(Fraction(duration_s) * rate_hz + Fraction(1, 10**6))


def num_frames_to_cover(duration_s: float | Fraction, rate_hz: Fraction | int) -> int:
    """The fewest whole frames that cover a duration."""
    return math.ceil(Fraction(duration_s) * rate_hz - Fraction(1, 10**6))


def seconds(frames: int, rate_hz: Fraction | int) -> float:
    """The start of a frame, or the duration of so many frames."""
    return float(frames / Fraction(rate_hz))
