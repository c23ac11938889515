"""Pitch: tones of known f0, silence, level, chunks; the stage and its scores."""

import numpy as np
import pytest

from autosing.audio import pitch
from autosing.audio.io import Audio, encode
from autosing.audio.pitch import load_tracker
from autosing.errors import InputError
from autosing.metrics.pitch import pitch_scores
from autosing.stage import Rejected
from processing.stages.clip import ClipVocals
from processing.stages.pitch import PitchConfig, TrackPitch

RATE_HZ = 16_000


def vibrato(seconds: float, centre_hz: float = 220.0) -> tuple[np.ndarray, np.ndarray]:
    """(a voice-like tone_S with a vibrato of a semitone each way, its f0 every 10 ms)."""
    t_S = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    f0_S = centre_hz * 2 ** (np.sin(2 * np.pi * 2 * t_S) / 12)
    phase_S = 2 * np.pi * np.cumsum(f0_S) / RATE_HZ
    tone_S = sum(np.sin(k * phase_S) / k for k in range(1, 12)) * 0.2
    return tone_S.astype(np.float32), f0_S[:: RATE_HZ // 100]


@pytest.mark.parametrize(("name", "median_cents"), [("fcpe", 8), ("swiftf0", 8), ("crepe-tiny", 12)])
def test_a_vibrato_is_followed_in_pitch_and_time(name, median_cents):
    """CREPE's bins lie 20 cents apart, so it is coarser."""
    tone_S, f0_T = vibrato(2.0)
    tracked_T = load_tracker(name)(tone_S, RATE_HZ)
    assert len(tracked_T) == 200 and tracked_T.dtype == np.float32
    inside = slice(10, 190)
    cents_T = 1200 * np.abs(np.log2(tracked_T[inside] / f0_T[inside]))
    assert np.median(cents_T) < median_cents and (cents_T < 50).mean() > 0.98


def soprano(hz: float) -> np.ndarray:
    """A voice that high, with vibrato and a little breath."""
    seconds_S = np.arange(2 * RATE_HZ) / RATE_HZ
    phase_S = 2 * np.pi * np.cumsum(hz * 2 ** (0.3 / 12 * np.sin(2 * np.pi * 5.5 * seconds_S))) / RATE_HZ
    voice_S = sum(np.sin(k * phase_S) / k**1.3 for k in range(1, int(RATE_HZ / 2 / hz)))
    return (0.2 * voice_S + 1e-3 * np.random.default_rng(0).standard_normal(len(voice_S))).astype(np.float32)


def test_a_high_soprano_is_found_by_a_tracker_that_reaches_so_far():
    voice_S = soprano(1200)
    found_T = load_tracker("swiftf0")(voice_S, RATE_HZ)
    assert (np.abs(1200 * np.log2(np.maximum(found_T, 1) / 1200)) < 60).mean() > 0.95
    stage = TrackPitch(PitchConfig())
    stage.setup()
    rejected = stage.apply(ClipVocals("a", encode(Audio(voice_S[None], RATE_HZ))))
    assert rejected.reason == "mostly_unvoiced" and "(fcpe, 32.7 to 1100 Hz)" in rejected.measurement
    with pytest.raises(InputError, match=r"fcpe covers 32\.7 to 1100 Hz; give --set pitch\.tracker=swiftf0"):
        PitchConfig.build({"max_hz": 1300.0})
    narrow_T = load_tracker("swiftf0", range_hz=(50.0, 1100.0))(voice_S, RATE_HZ)
    assert not narrow_T.any() and PitchConfig(tracker="swiftf0", max_hz=1300).range_hz == (47.0, 1300)


def test_pauses_are_zero_and_level_does_not_matter():
    tone_S, _ = vibrato(1.0)
    audio_S = np.concatenate([tone_S, np.zeros(RATE_HZ, np.float32), tone_S])
    track = load_tracker("fcpe")
    quiet_T, loud_T = track(0.01 * audio_S, RATE_HZ), track(5 * audio_S, RATE_HZ)
    assert not quiet_T[115:185].any() and (quiet_T[5:95] > 0).all() and (quiet_T[205:295] > 0).all()
    np.testing.assert_allclose(quiet_T, loud_T, rtol=1e-3)
    assert not track(np.zeros(RATE_HZ, np.float32), RATE_HZ).any()


def test_long_audio_is_tracked_in_chunks_that_leave_no_seam(monkeypatch):
    tone_S, f0_T = vibrato(3.0)
    monkeypatch.setattr(pitch, "_CHUNK_FRAMES", 100)
    tracked_T = load_tracker("fcpe")(tone_S, RATE_HZ)
    assert len(tracked_T) == 300
    cents_T = 1200 * np.abs(np.log2(tracked_T[5:295] / f0_T[5:295]))
    assert cents_T.max() < 30


def test_a_clip_without_singing_is_rejected_with_its_measurement():
    stage = TrackPitch(PitchConfig(tracker="swiftf0"))
    stage.setup()
    hiss_S = 0.1 * np.random.default_rng(0).normal(size=2 * RATE_HZ).astype(np.float32)
    found = stage.apply(ClipVocals("a", encode(Audio(hiss_S[None], RATE_HZ))))
    assert isinstance(found, Rejected) and found.reason == "mostly_unvoiced"
    sung = stage.apply(ClipVocals("a", encode(Audio(vibrato(2.0)[0][None], RATE_HZ))))
    assert sung.voiced_fraction == pytest.approx(1, abs=0.05) and len(sung.f0_hz) == 200


def test_scores_of_known_errors():
    true_T = np.full(200, 220.0)
    true_T[100:120] = 0
    octave_T = true_T.copy()
    octave_T[:45] *= 2
    scores = pitch_scores(true_T, 100, octave_T, 100)
    assert scores["accuracy"] == pytest.approx(135 / 180) and scores["chroma"] == 1
    missing_T = true_T.copy()
    missing_T[:18] = 0
    assert pitch_scores(true_T, 100, missing_T, 100)["recall"] == pytest.approx(0.9, abs=0.01)
    assert pitch_scores(np.repeat(true_T, 2), 200, true_T * 2 ** (0.3 / 12), 100)["accuracy"] > 0.97
