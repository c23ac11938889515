"""What singing gives: the candidates' sound and codes, and the request as it was settled.

Shapes: N semantic codes.
"""

from dataclasses import dataclass

import numpy as np

from inference.mix import Mix
from inference.request import ResolvedRequest


@dataclass(frozen=True)
class Candidate:
    """One way it was sung."""

    mix: Mix
    semantic_N: np.ndarray
    """Content codes at 25 Hz, as many as were drawn before the end."""
    acoustic: np.ndarray
    """Codec codes, levels laid flat."""
    agreement: float | None
    """The share of its content codes that are heard again in its sound; None where nobody asked."""


@dataclass(frozen=True)
class Sung:
    """What came of a request: every kept candidate, and what was asked of all of them."""

    resolved: ResolvedRequest
    """The request as it was settled: window, lines with times."""
    candidates: list[Candidate]
    device: str
    """Where it was sung: cpu or cuda."""
    seconds: dict[str, float]
    """What each part took."""
