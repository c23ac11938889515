"""Audio as a sequence of blocks, so that memory does not grow with its length.

Shapes: C channels, S samples; B windows.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from autosing.audio.encoded import FileBytes
from autosing.audio.io import AudioReader, Inspected, Resampler, inspect
from autosing.errors import InputError

Blocks = Iterator[np.ndarray]
"""samples_CS of any length, in order."""


@contextmanager
def reading(path: Path) -> Iterator[AudioReader]:
    """An audio file, opened. Raises InputError as AudioReader does, and where there is no file."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as held, AudioReader(FileBytes(held, 0, path.stat().st_size), str(path)) as reader:
        yield reader


def inspected(path: Path) -> Inspected:
    """Facts of an audio file, from decoding all of it. Raises InputError as `inspect` does."""
    with path.open("rb") as held:
        return inspect(FileBytes(held, 0, path.stat().st_size), str(path))


class Tape:
    """Blocks with a reading position: `look` fetches what lies ahead of it, and what lies behind it is dropped."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._held_CS = next(blocks, np.zeros((1, 0), np.float32))

    def look(self, num_samples: int) -> np.ndarray:
        """The next samples_CS, fewer if the blocks end. The position does not move."""
        missing, parts = num_samples - self._held_CS.shape[1], [self._held_CS]
        while missing > 0 and (block_CS := next(self._blocks, None)) is not None:
            parts.append(block_CS)
            missing -= block_CS.shape[1]
        if len(parts) > 1:
            self._held_CS = np.concatenate(parts, axis=1)
        return self._held_CS[:, :num_samples]

    def skip(self, num_samples: int) -> None:
        """Move the position forward over samples that were looked at."""
        self._held_CS = self._held_CS[:, num_samples:].copy()

    def pass_over(self, num_samples: int) -> None:
        """Move the position forward over samples that need not be kept, looked at or not."""
        while num_samples > 0 and (step := self.look(min(num_samples, 1 << 16)).shape[1]):
            self.skip(step)
            num_samples -= step

    def take(self, num_samples: int) -> np.ndarray:
        found_CS = self.look(num_samples)
        self.skip(num_samples)
        return found_CS


def fork(blocks: Blocks) -> tuple[Blocks, Blocks]:
    """Two readers of the same blocks. Blocks that both have read are not kept (itertools.tee would keep 57 of them)."""
    ahead: tuple[deque[np.ndarray], deque[np.ndarray]] = (deque(), deque())

    def read(own: deque[np.ndarray], other: deque[np.ndarray]) -> Blocks:
        while True:
            if own:
                yield own.popleft()
            elif (block_CS := next(blocks, None)) is not None:
                other.append(block_CS)
                yield block_CS
            else:
                return

    return read(ahead[0], ahead[1]), read(ahead[1], ahead[0])


def mixed(blocks: Blocks, others: Blocks, share: float) -> Blocks:
    """The blocks plus `share` times the others, which may be longer or shorter."""
    beside = Tape(others)
    for block_CS in blocks:
        other_CS = beside.take(block_CS.shape[1])
        both_CS = block_CS.copy()
        both_CS[:, : other_CS.shape[1]] += share * other_CS
        yield both_CS


def padded(blocks: Blocks, before: int, after: int, channels: int = 2) -> Blocks:
    """Silence of so many samples, the blocks, and silence again."""
    silences = [np.zeros((channels, count), np.float32) for count in (before, after)]
    return itertools.chain(silences[:1], blocks, silences[1:])


def as_long(blocks: Blocks, num_samples: int) -> Blocks:
    """The blocks cut or followed by silence, to so many samples in total. The blocks are read to their end."""
    left, channels = num_samples, 0
    for block_CS in blocks:
        channels = len(block_CS)
        if left > 0 and block_CS.shape[1]:
            yield block_CS[:, :left]
        left -= block_CS.shape[1]
    if left > 0 and channels:
        yield np.zeros((channels, left), np.float32)


def resampled(blocks: Blocks, from_hz: int, to_hz: int, num_samples: int, channels: int = 2) -> Blocks:
    """The blocks at another rate, `num_samples` in total."""
    return as_long(at_rate(blocks, from_hz, to_hz, channels), num_samples)


def at_rate(blocks: Blocks, from_hz: int, to_hz: int, channels: int) -> Blocks:
    """The blocks at another rate, round(S * to / from) samples in total."""
    if from_hz == to_hz:
        yield from blocks
        return
    resampler = Resampler(from_hz, to_hz, channels)
    for block_CS in blocks:
        yield resampler.push(block_CS)
    yield resampler.finish()


def overlap_add(
    blocks: Blocks,
    num_samples: int,
    window: int,
    stride: int,
    at_once: int,
    change: Callable[[np.ndarray], np.ndarray],
) -> Blocks:
    """Stereo blocks -> windows `stride` samples apart, `at_once` of them through `change` -> blocks again.

    change: windows_BCS -> windows_BCS, each independent. Overlapping windows are cross-faded (triangular weights). A
    window that exceeds the end is centred in `window` samples, with the samples before it to its left. demucs does the
    same, so that a network gets the same input.
    """
    half = window // 2
    tape = Tape(padded(blocks, half, 0))
    weight_S = np.minimum(np.arange(1, window + 1), np.arange(window, 0, -1)).astype(np.float32)
    weight_S /= weight_S.max()
    out_CS, total_S = np.zeros((2, window), np.float32), np.zeros(window, np.float32)
    offsets = range(0, num_samples, stride)
    for first in range(0, len(offsets), at_once):
        group = [(offset, min(window, num_samples - offset)) for offset in offsets[first : first + at_once]]
        windows = []
        for _, length in group:
            before = half - (window - length) // 2
            heard_CS = tape.look(before + window)[:, before:]
            windows.append(np.pad(heard_CS, ((0, 0), (0, window - heard_CS.shape[1]))))
            tape.skip(stride)
        for (offset, length), found_CS in zip(group, change(np.stack(windows)), strict=True):
            trim = (window - length) // 2
            out_CS[:, :length] += weight_S[:length] * found_CS[:, trim : trim + length]
            total_S[:length] += weight_S[:length]
            ready = length if offset + stride >= num_samples else stride
            yield out_CS[:, :ready] / total_S[:ready]
            out_CS = np.pad(out_CS[:, stride:], ((0, 0), (0, stride)))
            total_S = np.pad(total_S[stride:], (0, stride))
