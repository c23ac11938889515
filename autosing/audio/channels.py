"""Two channels -> one: their mean, or half their difference where they hold the same in opposite phase.

A wrong cable or a stereo widener inverts a voice in one channel; it cancels in the mean of the channels. Channels count
as opposed if the mean's power is a tenth of the channels' or less (-10 dB). For unrelated channels it is a half, for
wide music about a third, so ordinary audio is not affected. It is decided once for a song or clip, because a change of
sign inside it would click. Shapes: S samples, C channels.
"""

from typing import Self

import numpy as np

_SHARE = 0.1
_EVERY, _LOUD_POWER = 8, 1e-4
"""Powers are compared by every 8th sample; what is above -40 dBFS counts as loud."""
_LOUD_S = 60


class Opposition:
    """Whether the channels seen so far are opposed. More than two never are."""

    def __init__(self) -> None:
        self._channels = self._product = 0.0
        self._loud = 0

    def heard(self, block_SC: np.ndarray) -> Self:
        if block_SC.shape[1] == 2:
            few_SC = np.ascontiguousarray(block_SC[::_EVERY])
            power = float(np.vdot(few_SC, few_SC))
            self._channels += power
            self._product += 2 * float(np.vdot(few_SC[:, 0], few_SC[:, 1]))
            self._loud += len(block_SC) if power > _LOUD_POWER * few_SC.size else 0
        return self

    def is_clear(self, sample_rate_hz: int) -> bool:
        """Whether enough loud audio has been seen that the rest will not change the result."""
        return self._loud >= _LOUD_S * sample_rate_hz

    def found(self) -> bool:
        # The mean's power is (channels + product) / 4, the channels' is channels / 2.
        return self._channels > 0 and self._channels + self._product <= 2 * _SHARE * self._channels

    def mono_S(self, block_SC: np.ndarray) -> np.ndarray:
        """The channels of a block mixed to one."""
        return mean_S(block_SC, self.found())


class MonoLevel:
    """Mean and standard deviation of the channels mixed to one, block by block."""

    def __init__(self) -> None:
        self._opposition, self._held = Opposition(), 0
        self._sums = {turned: [0.0, 0.0] for turned in (False, True)}

    def heard(self, block_SC: np.ndarray) -> None:
        self._held += len(block_SC)
        self._opposition.heard(block_SC)
        for turned in self._sums if block_SC.shape[1] == 2 else (False,):
            mono_S = mean_S(block_SC, turned)
            self._sums[turned][0] += float(mono_S.sum(dtype=np.float64))
            self._sums[turned][1] += float(np.vdot(mono_S, mono_S))

    def found(self) -> tuple[float, float]:
        total, squares = self._sums[self._opposition.found()]
        mean = total / self._held
        return mean, float((max(0.0, squares - self._held * mean**2) / max(self._held - 1, 1)) ** 0.5)


def mean_S(block_SC: np.ndarray, turned: bool = False) -> np.ndarray:
    """The mean of the channels; `turned`: with the second of two inverted."""
    mono_S: np.ndarray = upright_SC(block_SC, turned).mean(axis=1, dtype=np.float32)
    return mono_S


def upright_SC(block_SC: np.ndarray, turned: bool) -> np.ndarray:
    """The block; `turned`: with the second of its two channels inverted."""
    return block_SC * np.array([1, -1], np.float32) if turned else block_SC
