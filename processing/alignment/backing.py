"""backing lines + scores of the voice -> when each of them is sung, beside the lead.

Shapes: T frames of 20 ms, C classes of autosing.alignment.chain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autosing.alignment.chain import BETWEEN, CLASSES, Costs
from autosing.alignment.offset import LrcOffset
from autosing.alignment.place import PlacedLine, Scores, SungLine, place_near
from autosing.text.letters import UNKNOWN, letters

_LEAD_S, _TAIL_S = 1.0, 6.0
"""How far before and after its place in the lyrics a backing line without a stamp is looked for."""

_ABSENT_LETTER_COST = 1.5
"""Of a line that is not sung, for each of its letters (nats): a letter that does not sound costs about 2."""


@dataclass(frozen=True)
class BackingLine:
    """A line, and between what of the lead it stands in the file."""

    line: SungLine
    from_s: float
    """Where the lead's line before it begins."""
    to_s: float
    """Where that line ends."""


def place_backing(
    scores: Scores, backing: Sequence[BackingLine], costs: Costs, rate_hz: int, offset: LrcOffset
) -> list[PlacedLine]:
    """Each line for itself, near its stamp if it has one, or else near the line before it.

    Other singing costs nothing: most of it is the lead's. So a line is found only where it sounds like its words.
    """
    class_TC = scores.class_TC.copy()
    class_TC[:, BETWEEN] = np.maximum(class_TC[:, BETWEEN], class_TC[:, 1 : CLASSES[UNKNOWN]].max(axis=1))
    beside = replace(scores, class_TC=class_TC)
    found = []
    for item in backing:
        absent = _ABSENT_LETTER_COST * sum(len(letters(word)) for word in item.line.words)
        own = replace(costs, absent_line=absent, unlisted=0.0)
        found.append(place_near(beside, item.line, item.from_s - _LEAD_S, item.to_s + _TAIL_S, own, rate_hz, offset))
    return found
