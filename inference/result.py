"""The result of singing: audio and codes of each candidate, and the resolved request.

Shapes: N semantic codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from autosing.audio.key import Key
from inference.mix import Mix
from inference.request import ResolvedRequest


@dataclass(frozen=True)
class Candidate:
    """Audio and codes of one candidate."""

    mix: Mix
    semantic_N: np.ndarray
    """Semantic codes at 25 Hz, without the end token."""
    acoustic: np.ndarray
    """Codec codes of all levels, flattened."""
    agreement: float | None
    """Fraction of its semantic codes that its audio gives when tokenised again; None where not measured."""
    clarity: float | None = None
    """How clearly its words are heard, nats a token (inference.clarity); None where it was not chosen by them."""


@dataclass(frozen=True)
class Sung:
    """The kept candidates of one request."""

    resolved: ResolvedRequest
    """The request with its window, and its lines with times."""
    candidates: list[Candidate]
    device: str
    """cpu or cuda."""
    seconds: dict[str, float]
    """Seconds of each part."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Kind of model -> the digest of its weights."""
    key: Key | None = None
    """Of the instrumental, where pitches were kept in it."""
