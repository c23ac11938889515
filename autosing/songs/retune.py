"""A voice that sings nearly what it was asked, nearly when; that f0, how late -> the same voice, on pitch and in time.

What is off is small (a few cents in a note, up to a semitone where it starts), so time itself is bent: each moment is
read where the voice is in the asked phase of its cycle. Where that place has moved too far away, a whole cycle is left
out or sung twice, faded over one cycle. Formants move by what is corrected, noise and unvoiced parts not at all.
WORLD's resynthesis follows f0 no better on the median and costs three times as much (LOG.md).

Shapes: S samples, F frames of f0 at even steps from the first sample on, T times of WORLD's analysis.
"""

import numpy as np

from autosing.audio.runs import runs
from autosing.songs.onsets import Lateness

ON_TIME = Lateness(np.zeros(1), np.zeros(1))
_ANALYSIS_S = 0.005
_MOST_SEMITONES = 3
"""Found further from what was asked, f0 is taken for an error of the analysis: there nothing is corrected."""
_MOST_CYCLES = 0.75
"""How far from its place a moment may be read."""
_RETURN_S = 0.01
"""The end of a voiced stretch fades back to the voice as it was."""
_TAPS = 16


def retune(
    audio_S: np.ndarray,
    sample_rate_hz: int,
    asked_hz_F: np.ndarray,
    voiced_F: np.ndarray,
    frame_samples: int,
    late: Lateness = ON_TIME,
) -> np.ndarray:
    """As many samples as before; outside of the voiced frames the same ones, moved by whole ones where they are late.

    asked_hz_F is positive everywhere; both it and voiced_F tell of the time at which the voice shall sound.
    """
    audio_S = audio_S.astype(np.float64)
    place_S = np.clip(np.arange(len(audio_S)) + late.of(np.arange(len(audio_S))), 0, len(audio_S) - 1)
    asked_hz_S = _between(asked_hz_F, np.arange(len(audio_S)) / frame_samples)
    sung_hz_S = _sung(audio_S, sample_rate_hz, asked_hz_F, voiced_F, frame_samples)
    sung_cycles_S = np.cumsum(sung_hz_S) / sample_rate_hz
    asked_cycles_S = np.cumsum(asked_hz_S) / sample_rate_hz
    retuned_S = _read(audio_S, place_S)
    for first_frame, last_frame in runs(voiced_F):
        first, last = first_frame * frame_samples, min(last_frame * frame_samples, len(audio_S))
        if last - first < 2 * _RETURN_S * sample_rate_hz:
            continue
        sung_here_S = np.interp(place_S[first:last], np.arange(len(audio_S)), sung_cycles_S)
        wanted_S = asked_cycles_S[first:last] + sung_here_S[0] - asked_cycles_S[first]
        voice_S = _read_in_phase(audio_S, sung_cycles_S, wanted_S, _whole_cycles(sung_here_S - wanted_S))
        fade = round(_RETURN_S * sample_rate_hz)
        back_S = np.concatenate([np.zeros(last - first - fade), _rise(fade)])
        retuned_S[first:last] = voice_S * (1 - back_S) + retuned_S[first:last] * back_S
    return retuned_S


def _sung(
    audio_S: np.ndarray, sample_rate_hz: int, asked_hz_F: np.ndarray, voiced_F: np.ndarray, frame_samples: int
) -> np.ndarray:
    """sung_hz_S: the f0 near the asked one that WORLD finds; the asked one where nothing is voiced or nothing found."""
    import pyworld

    time_T = np.arange(int(len(audio_S) / sample_rate_hz / _ANALYSIS_S) + 1) * _ANALYSIS_S
    frame_T = time_T * sample_rate_hz / frame_samples
    asked_hz_T = _between(asked_hz_F, frame_T)
    voiced_T = voiced_F[np.clip(frame_T.astype(int), 0, len(voiced_F) - 1)]
    found_hz_T = np.where(voiced_T, asked_hz_T, 0.0)
    for _ in range(2):  # the second look starts from the first
        found_hz_T = pyworld.stonemask(audio_S, found_hz_T, time_T, sample_rate_hz)
        octaves_T = np.log2(np.where(found_hz_T > 0, found_hz_T, asked_hz_T) / asked_hz_T)
        octaves_T[~voiced_T | (np.abs(octaves_T) > _MOST_SEMITONES / 12)] = 0
        found_hz_T = np.where(voiced_T, asked_hz_T * 2**octaves_T, 0.0)
    padded = np.pad(octaves_T, 1, mode="edge")
    octaves_T = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    sample_S = np.arange(len(audio_S))
    octaves_S = np.interp(sample_S / sample_rate_hz, time_T, octaves_T)
    return np.asarray(_between(asked_hz_F, sample_S / frame_samples) * 2**octaves_S)


def _read_in_phase(
    audio_S: np.ndarray, cycles_S: np.ndarray, wanted_S: np.ndarray, skipped_S: np.ndarray
) -> np.ndarray:
    """The voice where its cycles are the wanted ones and those that are skipped; faded where another one is skipped."""
    voice_S = _read(audio_S, np.interp(wanted_S + skipped_S, cycles_S, np.arange(len(cycles_S))))
    for at in np.flatnonzero(np.diff(skipped_S)) + 1:
        half = int(np.searchsorted(wanted_S, wanted_S[at] + 0.5)) - at
        span = slice(max(0, at - half), at + half)
        before_S, after_S = (
            _read(audio_S, np.interp(wanted_S[span] + skipped, cycles_S, np.arange(len(cycles_S))))
            for skipped in (skipped_S[at - 1], skipped_S[at])
        )
        fade_S = _rise(len(before_S))
        voice_S[span] = before_S * (1 - fade_S) + after_S * fade_S
    return voice_S


def _whole_cycles(ahead_S: np.ndarray) -> np.ndarray:
    """skipped_S: whole cycles that keep within _MOST_CYCLES of what the voice is ahead, changed as seldom as may be."""
    skipped_S = np.zeros(len(ahead_S), int)
    at = 0
    while len(beyond := np.flatnonzero(np.abs(ahead_S[at:] - skipped_S[at]) > _MOST_CYCLES)):
        at += int(beyond[0])
        skipped_S[at:] = round(float(ahead_S[at]))
    return skipped_S


def _read(audio_S: np.ndarray, place_S: np.ndarray) -> np.ndarray:
    """The samples between samples: a sinc under a Hann window. Whole places are read as they are."""
    reach = _TAPS // 2
    whole_S = np.floor(place_S).astype(int)
    padded_S = np.pad(audio_S, reach)
    value_S = np.zeros(len(place_S))
    for tap in range(1 - reach, reach + 1):
        apart_S = place_S - whole_S - tap
        weight_S = np.sinc(apart_S) * (0.5 + 0.5 * np.cos(np.pi * apart_S / reach))
        value_S += weight_S * padded_S[whole_S + tap + reach]
    return np.where(place_S == whole_S, padded_S[whole_S + reach], value_S)


def _between(hz_F: np.ndarray, frame_S: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(np.interp(frame_S, np.arange(len(hz_F)), np.log(hz_F))))


def _rise(num_samples: int) -> np.ndarray:
    """From 0 to 1 as half a cosine."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * (np.arange(num_samples) + 0.5) / max(1, num_samples)))
