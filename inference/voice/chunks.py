"""A length in frames -> stretches that are sung one by one, and how their sounds become one.

Each chunk is sung with context on both sides, of which nothing is kept but a short fade into its neighbour. So memory
does not grow with the source, and the sum is as long as the source, to the sample, whatever the chunks' size.

Shapes: F frames, S samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

FADE_FRAMES = 4
"""Neighbours fade into one another over so many frames (43 ms in the codec's latent)."""


@dataclass(frozen=True)
class Chunk:
    """Frames `start` to `end` are sung; of them `first` to `last` are kept, and half a fade beyond each inner end."""

    start: int
    first: int
    last: int
    end: int


def chunks(num_frames: int, size: int, context: int, multiple: int) -> Iterator[Chunk]:
    """Cuts every `size` frames; with `context` frames at least on both sides. Starts are multiples of `multiple`."""
    assert size >= 2 * FADE_FRAMES and context >= FADE_FRAMES, (size, context)
    size = max(multiple, size - size % multiple)
    # A rest too short for a fade goes with the chunk before it.
    cuts = [first for first in range(0, num_frames, size) if not first or num_frames - first >= FADE_FRAMES]
    for first, last in zip(cuts, [*cuts[1:], num_frames], strict=True):
        start = max(0, first - context)
        yield Chunk(start - start % multiple, first, last, min(num_frames, last + context))


class Joiner:
    """Sounds of chunks, in order -> blocks of one sound, the first of them begun when the second comes."""

    def __init__(self, num_frames: int, hop_samples: int, num_samples: int) -> None:
        """`num_samples`: what the blocks make together; at most num_frames * hop_samples."""
        self._num_frames, self._hop, self._left = num_frames, hop_samples, num_samples
        self._tail_S = np.zeros(0, np.float32)

    def push(self, chunk: Chunk, audio_S: np.ndarray) -> np.ndarray:
        """The samples that are whole now. `audio_S`: of the frames chunk.start to chunk.end."""
        half = FADE_FRAMES // 2 * self._hop
        first, last = ((frame - chunk.start) * self._hop for frame in (chunk.first, chunk.last))
        begin = first if chunk.first == 0 else first - half
        finish = last if chunk.last == self._num_frames else last + half
        block_S = audio_S[begin:finish].astype(np.float32)
        if len(self._tail_S):
            rising_S = ((np.arange(len(self._tail_S)) + 0.5) / len(self._tail_S)).astype(np.float32)
            faded_S = block_S[: len(rising_S)] * rising_S + self._tail_S * (1 - rising_S)
            block_S = np.concatenate([faded_S, block_S[len(rising_S) :]])
        keep = 0 if chunk.last == self._num_frames else 2 * half
        self._tail_S = block_S[len(block_S) - keep :]
        whole_S = block_S[: len(block_S) - keep][: self._left]
        self._left -= len(whole_S)
        return whole_S
