"""Samples, block by block -> encoded parts of a minute, kept in a file: only one is in memory."""

import numpy as np

from autosing.audio.encoded import FileBytes, Scratch
from autosing.audio.io import Resampler, Writer, rate_kept

PART_S = 60
"""The last part takes the rest, so it is up to twice as long; audio shorter than that is one part."""


class PartsWriter:
    """Each part is a file of its own. Parts of flac and wav, joined, are the whole, sample for sample."""

    def __init__(self, sample_rate_hz: int, channels: int, format: str, duration_s: float) -> None:
        self._rate, self._channels, self._format = rate_kept(sample_rate_hz, format), channels, format
        same = self._rate == sample_rate_hz
        self._resampler = None if same else Resampler(sample_rate_hz, self._rate, channels)
        self._parts: list[FileBytes] = []
        self._scratch, self._num_parts = Scratch(), num_parts(duration_s)
        self._begin()

    def write(self, samples_CS: np.ndarray) -> None:
        self._lay(self._resampler.push(samples_CS) if self._resampler else samples_CS)

    def finish(self) -> list[FileBytes]:
        """All that was written, in order."""
        if self._resampler:
            self._lay(self._resampler.finish())
        self._end()
        assert len(self._parts) == self._num_parts, (len(self._parts), self._num_parts)
        return self._parts

    def _lay(self, samples_CS: np.ndarray) -> None:
        while len(self._parts) < self._num_parts - 1 and samples_CS.shape[1] >= self._room:
            self._writer.write(samples_CS[:, : self._room])
            samples_CS = samples_CS[:, self._room :]
            self._end()
            self._begin()
        self._writer.write(samples_CS)
        self._room -= samples_CS.shape[1]

    def _begin(self) -> None:
        self._writer, self._room = Writer(self._rate, self._channels, self._format), PART_S * self._rate

    def _end(self) -> None:
        self._parts.append(self._scratch.put([self._writer.finish()]))


def num_parts(duration_s: float) -> int:
    return max(1, int(duration_s // PART_S))
