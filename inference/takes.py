"""Several takes of one song -> one: each line as the take sings it in which its words are heard most clearly.

Codes have fixed rates, so all takes are on one time, and in the pause between two lines the codes of one take can
follow those of another: the codec decodes them as one voice. Joins lie between blocks of codec codes.

Shapes: N semantic codes of a take; a level of codec codes has its own number of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosing.codecs.spec import CodecSpec
from autosing.timebase import SEMANTIC_RATE_HZ
from inference.clarity import Clarity, mean_of
from inference.lyrics_plan import AskedLine
from inference.result import Candidate

PAUSE_S = 0.1
"""Between lines that may be of two takes."""


@dataclass(frozen=True)
class Part:
    """Lines without a pause between them, from `start_s` (the middle of the pause before) to the next part."""

    lines: tuple[AskedLine, ...]
    start_s: float


@dataclass(frozen=True)
class Choice:
    """Which take sings each part, and how clearly."""

    takes: tuple[int, ...]
    starts_s: tuple[float, ...]
    clarity: float | None


def parts_of(lines: Sequence[AskedLine]) -> list[Part]:
    """The first begins at 0."""
    found: list[Part] = []
    for line in lines:
        before = found[-1].lines[-1].end_s if found else None
        if before is not None and line.start_s - before < PAUSE_S:
            found[-1] = Part((*found[-1].lines, line), found[-1].start_s)
        else:
            found.append(Part((line,), 0.0 if before is None else (before + line.start_s) / 2))
    return found


def choose(clarity: Clarity, takes: Sequence[Candidate], lines: Sequence[AskedLine]) -> Choice:
    """The clearest take of each part. A take whose codes end before the last part begins is left out, since what comes
    after it would be moved in time; where all end so early, one take sings all."""
    parts = parts_of(lines)
    heard = [clarity.log_probabilities(take.mix.vocals, [part.lines for part in parts]) for take in takes]
    last_s = parts[-1].start_s if parts else 0.0
    whole = [number for number, take in enumerate(takes) if len(take.semantic_N) / SEMANTIC_RATE_HZ > last_s + PAUSE_S]

    def clearest(numbers: Sequence[int], which: slice) -> int:
        means = [mean_of(heard[number][which]) for number in numbers]
        return numbers[int(np.argmax([-math.inf if mean is None else mean for mean in means]))]

    if whole:
        chosen = [clearest(whole, slice(at, at + 1)) for at in range(len(parts))]
    else:
        chosen = [clearest(range(len(takes)), slice(None))] * len(parts)
    kept = [heard[number][at] for at, number in enumerate(chosen)]
    return Choice(tuple(chosen), tuple(part.start_s for part in parts), mean_of(kept))


def joined(spec: CodecSpec, takes: Sequence[Candidate], choice: Choice) -> tuple[np.ndarray, np.ndarray]:
    """(semantic_N, flat codec codes): of each part those of its take."""
    block_s = spec.block_samples / spec.sample_rate_hz
    blocks = [round(start_s / block_s) for start_s in choice.starts_s]
    semantic: list[np.ndarray] = []
    levels: list[list[np.ndarray]] = [[] for _ in spec.strides]
    for number, first, until in zip(choice.takes, blocks, [*blocks[1:], None], strict=True):
        take = takes[number]
        semantic.append(_between(take.semantic_N, first, until, block_s * float(SEMANTIC_RATE_HZ)))
        for held, codes_N, stride in zip(levels, spec.unflatten(take.acoustic), spec.strides, strict=True):
            held.append(_between(codes_N, first, until, spec.block_frames // stride))
    return np.concatenate(semantic), spec.flatten([np.concatenate(held) for held in levels])


def _between(codes_N: np.ndarray, first: int, until: int | None, a_block: float) -> np.ndarray:
    """Those of blocks first .. until, or to the end. a_block: how many codes a block has."""
    return codes_N[round(first * a_block) : None if until is None else round(until * a_block)]
