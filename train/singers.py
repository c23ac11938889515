"""A dataset's train split -> its singers: the mean of each one's vectors, weighted by the clips' lengths, and a range;
and a clip -> who is told to sing it.

One pass over the shards in their order, in float64, before the first step: every rank finds the same bytes.

Shapes: E = 256 singer, T values of pitch at 100 Hz, N bins of pitch.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import nn

from autosing.errors import InputError
from autosing.models.singers import KnownSinger, as_extra
from autosing.nn.centred import Centred
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.storage.shards import Shard, files_of
from autosing.storage.store import Place
from train.data import split_of

_LOWEST_HZ, _BINS_AN_OCTAVE, _NUM_BINS = 20.0, 240, 240 * 8
"""Pitch is counted in bins of 5 cents from 20 to 5120 Hz, so that hours of singing need no sorting."""
_PERCENTILES = (0.05, 0.5, 0.95)
_LEAST_FRAMES = 10


Mode = Literal["clip", "mean"]
"""Who is told to sing a clip: its own vector, or the mean of its singer's in the train split."""


class Singers:
    """Of one run: what a task tells of who sings, and what it keeps of them with the model."""

    def __init__(self, mode: Mode) -> None:
        self._mode: Mode = mode
        self.known: tuple[KnownSinger, ...] = ()
        self._means: dict[str | None, np.ndarray] = {}

    def survey(self, dataset: Place, index: DatasetIndex) -> None:
        """See Task.survey."""
        self.known = singers_of(dataset, index)
        if self._mode == "mean":
            self._means = {singer.name: singer.vector_E for singer in self.known}

    def centre(self, who: nn.Module) -> None:
        """A model that tells singers from their centre is told where it lies."""
        if isinstance(who, Centred):
            who.fit([singer.vector_E for singer in self.known])

    def of(self, sample: Sample) -> np.ndarray:
        """singer_E. A clip without a name, and one of a singer who is not in the train split, has its own."""
        mean_E = self._means.get(sample.meta.singer) if self._means else None
        return _own(sample) if mean_E is None else mean_E

    def drawn(self, sample: Sample, rng: np.random.Generator, share: float) -> np.ndarray:
        """singer_E as `of` gives it in that share of the draws, else the clip's own."""
        return self.of(sample) if rng.random() < share else _own(sample)

    def extra(self) -> dict[str, Any]:
        """For ModelFile.extra."""
        return as_extra(self.known)


def _own(sample: Sample) -> np.ndarray:
    return np.asarray(sample.array("singer"), np.float32)


@dataclass
class _Seen:
    """Of one singer so far."""

    sum_E: np.ndarray = field(default_factory=lambda: np.zeros(256))
    clips: int = 0
    seconds: float = 0.0
    frames_N: np.ndarray = field(default_factory=lambda: np.zeros(_NUM_BINS, np.int64))

    def add(self, sample: Sample) -> None:
        self.sum_E += sample.meta.duration_s * sample.array("singer").astype(np.float64)
        self.clips += 1
        self.seconds += sample.meta.duration_s
        if not sample.has("pitch"):
            return
        f0_hz_T = sample.array("pitch")
        octave_T = np.log2(f0_hz_T[f0_hz_T > 0].astype(np.float64) / _LOWEST_HZ)
        bin_T = np.clip((octave_T * _BINS_AN_OCTAVE).astype(int), 0, _NUM_BINS - 1)
        self.frames_N += np.bincount(bin_T, minlength=_NUM_BINS)

    def found(self, name: str) -> KnownSinger:
        length = float(np.linalg.norm(self.sum_E))
        if length < 1e-3 * self.seconds:
            raise InputError(f"singer {name}: the vectors of its {self.clips} clips cancel out; check the clips' names")
        return KnownSinger.of(name, self.sum_E / length, self.clips, round(self.seconds, 3), self._range_hz())

    def _range_hz(self) -> tuple[float, float, float] | None:
        counted_N = self.frames_N.cumsum()
        if counted_N[-1] < _LEAST_FRAMES:
            return None
        bins = [int(np.searchsorted(counted_N, share * counted_N[-1])) for share in _PERCENTILES]
        low, middle, high = (round(_LOWEST_HZ * 2 ** ((k + 0.5) / _BINS_AN_OCTAVE), 3) for k in bins)
        return low, middle, high


def singers_of(dataset: Place, index: DatasetIndex) -> tuple[KnownSinger, ...]:
    """The named singers of the train split, by name; without ranges where its samples have no pitch. Raises InputError
    where it has no samples or a shard is bad."""
    seen: dict[str, _Seen] = {}
    wanted = files_of(("meta", "singer", "pitch"))
    for record in split_of(index, "train", dataset).shards:
        shard = Shard(dataset / record.path, wanted, record.rows, offsets=record.offsets)
        for row in range(len(shard)):
            sample = shard.sample(row)
            if sample.meta.singer is not None:
                seen.setdefault(sample.meta.singer, _Seen()).add(sample)
    return tuple(seen[name].found(name) for name in sorted(seen))
