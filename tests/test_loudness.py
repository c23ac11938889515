"""Loudness of frames: a known level at known pitches, in time with the sound, as long as the pitch track."""

import numpy as np
import pytest

from autosing.audio.io import Audio, encode
from autosing.audio.loudness import FLOOR_DB, frame_loudness_db
from autosing.config import Config
from processing.stages.clip import ClipVocals
from processing.stages.loudness import MeasureLoudness

RATE = 24_000


def sine(hz: float, seconds: float = 1.0, level_db: float = 0.0) -> Audio:
    samples_S = 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return Audio(samples_S.astype(np.float32)[None], RATE)


@pytest.mark.parametrize(("hz", "wanted_db"), [(1000, 0.0), (100, -19.1), (200, -10.9), (4000, 1.0)])
def test_sines_have_the_levels_of_the_standards_table(hz, wanted_db):
    """IEC 61672-1, table 3."""
    db_T = frame_loudness_db(sine(hz))
    assert len(db_T) == 100 and db_T.dtype == np.float32
    assert db_T[5:95] == pytest.approx(wanted_db, abs=0.3)
    assert frame_loudness_db(sine(hz, level_db=-30))[5:95] == pytest.approx(wanted_db - 30, abs=0.3)


def test_silence_is_the_floor_and_a_beginning_stands_in_its_frame():
    silence_S = np.zeros(RATE // 2, np.float32)
    db_T = frame_loudness_db(Audio(np.concatenate([silence_S, sine(1000).samples_CS[0]])[None], RATE))
    assert (db_T[:48] == FLOOR_DB).all() and db_T[50] == pytest.approx(-3.0, abs=0.5) and db_T[53] > -0.5
    assert not len(frame_loudness_db(Audio(np.zeros((1, 10), np.float32), RATE)))


def test_the_stage_gives_a_frame_for_each_of_pitch_and_rejects_nothing():
    stage = MeasureLoudness(Config())
    found = stage.apply(ClipVocals("a", encode(sine(440, 2.345))))
    assert len(found.loudness_db) == 234
    assert len(stage.apply(ClipVocals("b", encode(Audio(np.zeros((1, RATE), np.float32), RATE)))).loudness_db) == 100
