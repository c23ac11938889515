"""Vowels that come late or early are found, and put in their place without a consonant being touched."""

import numpy as np

from autosing.songs.onsets import Lateness, lateness, vowel_starts
from autosing.songs.retune import retune

RATE_HZ = 24000
STARTS_S = np.array([0.5, 1.0, 1.5])


def line(starts_s: np.ndarray) -> np.ndarray:
    """At each start, after 50 ms of hiss, 0.3 s of a vowel of 200 Hz with formants at 600 and 1200 Hz."""
    time_S = np.arange(RATE_HZ * 2) / RATE_HZ
    hiss_S = 0.03 * np.diff(np.random.default_rng(0).standard_normal(len(time_S) + 1), prepend=0)[1:]
    voice_S = sum(np.sin(2 * np.pi * 200 * h * time_S + h * h) / (1 + abs(h - 3) + abs(h - 6)) for h in range(1, 12))
    since_S = np.min([np.where(time_S < s - 0.05, np.inf, time_S - s) for s in starts_s], axis=0)
    vowel_S = np.clip(since_S / 0.01, 0, 1) * np.clip((0.3 - since_S) / 0.02, 0, 1)
    return 0.2 * np.where(np.isfinite(since_S), vowel_S, 0) * voice_S + (since_S < 0) * hiss_S


def test_starts_of_vowels_are_found_where_they_are_and_nothing_where_nothing_rises():
    for shift_s in (-0.04, 0.0, 0.04):
        found_s = vowel_starts(line(STARTS_S + shift_s), RATE_HZ, STARTS_S)
        assert np.all(np.abs(found_s - STARTS_S - shift_s) < 0.008)
    assert np.all(np.isnan(vowel_starts(line(STARTS_S), RATE_HZ, np.array([0.65, 0.001]))))


def test_late_vowels_come_into_their_place_and_hiss_moves_whole():
    late_s = np.array([0.03, -0.02, 0.04])
    sound_S = line(STARTS_S + late_s)
    voiced_F = np.zeros(160, bool)
    for start_s in STARTS_S:
        first = round(start_s * RATE_HZ / 300)
        voiced_F[first : first + 20] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[False], voiced_F, [False]]).astype(int))) * 300
    rests = list(zip([0, *edges[1::2].tolist()], [*edges[::2].tolist(), 48000], strict=True))
    late = lateness(STARTS_S * RATE_HZ, late_s * RATE_HZ, rests)
    timed_S = retune(sound_S, RATE_HZ, np.full(160, 200.0), voiced_F, 300, late)
    assert np.all(np.abs(vowel_starts(timed_S, RATE_HZ, STARTS_S) - STARTS_S) < 0.008)
    for start_s, each_s in zip(STARTS_S, late_s, strict=True):
        first, last, moved = (round(s * RATE_HZ) for s in (start_s - 0.03, start_s - 0.001, each_s))
        assert np.allclose(timed_S[first:last], sound_S[first + moved : last + moved], atol=1e-9)


def test_time_never_runs_backwards_and_rests_are_late_as_a_whole():
    rng = np.random.default_rng(2)
    for _ in range(50):
        starts = np.cumsum(rng.integers(1500, 9000, 12)).astype(float)
        rests = [(int(at) - 1200, int(at)) for at in starts[::3]]
        late = lateness(starts, np.where(rng.random(12) < 0.3, np.nan, rng.uniform(-1500, 1500, 12)), rests)
        place = np.arange(120000) + late.of(np.arange(120000))
        assert np.all(np.diff(place) >= 0.49)
        for first, last in rests:
            assert len(set(np.diff(place[first : last + 1]).round(9))) == 1 and place[first] % 1 == 0
    assert isinstance(late, Lateness)
