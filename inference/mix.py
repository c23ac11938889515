"""vocals and an instrumental -> stems at the levels of a mix, and the mix: their sum, with peaks under full scale.

Shapes: C channels, S samples.
"""

import math
from dataclasses import dataclass

import numpy as np

from autosing.audio.io import Audio
from autosing.audio.loudness import amplified, integrated_lufs, true_peak_db

USUAL_BALANCE_LU = 0.0
"""Vocals as loud as the instrumental: the default where the reference has no vocals to measure."""
BALANCE_RANGE_LU = (-9.0, 9.0)
"""A balance outside this range comes from a poor separation, not from the reference's mix; it is clipped."""
CEILING_DBTP = -1.0


@dataclass(frozen=True)
class Mix:
    """Stems at the levels at which they were mixed: mix = vocals + instrumental, to float rounding."""

    vocals: Audio
    instrumental: Audio | None
    mix: Audio
    balance_lu: float | None
    """Loudness of the vocals above that of the instrumental, as mixed; None without an instrumental."""


def balance_lu(vocals: Audio, instrumental: Audio) -> float | None:
    """How much louder the vocals are than the instrumental; None where one of them is silent."""
    return balance_of(integrated_lufs(vocals), integrated_lufs(instrumental))


def balance_of(vocals_lufs: float, instrumental_lufs: float) -> float | None:
    """The same of loudnesses that are known."""
    difference = vocals_lufs - instrumental_lufs
    if not math.isfinite(difference):
        return None
    low, high = BALANCE_RANGE_LU
    return min(max(difference, low), high)


def lay_over(vocals: Audio, instrumental: Audio | None, balance: float | None, music_gain_db: float = 0.0) -> Mix:
    """Mix mono vocals with the instrumental, `balance` LU above it (None: the default), then apply the music's gain.

    Both must have the same length and rate. No limiter: where the sum's true peak would exceed -1 dBTP, all stems are
    attenuated together. Without an instrumental the vocals alone are kept under that ceiling.
    """
    if instrumental is None:
        quiet = headroom_db(true_peak_db(vocals))
        alone = amplified(vocals, quiet)
        return Mix(alone, None, alone, None)
    assert vocals.sample_rate_hz == instrumental.sample_rate_hz, (vocals.sample_rate_hz, instrumental.sample_rate_hz)
    assert vocals.samples_CS.shape[1] == instrumental.samples_CS.shape[1], (vocals.samples_CS, instrumental.samples_CS)
    wanted = USUAL_BALANCE_LU if balance is None else balance
    spread_CS = np.broadcast_to(vocals.samples_CS, instrumental.samples_CS.shape)
    found = integrated_lufs(Audio(spread_CS, vocals.sample_rate_hz)) - integrated_lufs(instrumental)
    gain_db = voice_gain_db(found, balance)
    music = amplified(instrumental, music_gain_db)
    voice_CS = spread_CS * np.float32(10 ** (gain_db / 20))
    total = Audio(voice_CS + music.samples_CS, vocals.sample_rate_hz)
    quiet_db = headroom_db(true_peak_db(total))
    heard = wanted - music_gain_db if math.isfinite(found) else None
    return Mix(amplified(vocals, gain_db + quiet_db), amplified(music, quiet_db), amplified(total, quiet_db), heard)


def voice_gain_db(found_lu: float, balance: float | None) -> float:
    """Of a voice that is so far above its music, to lie `balance` above it; 0 where one of them is silent."""
    wanted = USUAL_BALANCE_LU if balance is None else balance
    return wanted - found_lu if math.isfinite(found_lu) else 0.0


def headroom_db(peak_db: float) -> float:
    """The gain, at most 0, that keeps such a true peak under the ceiling."""
    return min(0.0, CEILING_DBTP - peak_db)
