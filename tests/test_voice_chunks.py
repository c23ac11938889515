"""Chunks of a source, its pitch as CSV, and the key of a singer: laws of what the voice engine stands on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosing.errors import InputError
from inference.voice.chunks import Joiner, chunks
from inference.voice.pitch import Range, carried_on, key_semitones, shifted
from inference.voice.pitch_csv import read_pitch_csv, write_pitch_csv


@given(st.integers(1, 900), st.integers(16, 200), st.integers(4, 60), st.integers(0, 15))
def test_chunks_of_any_size_join_to_the_whole_to_the_sample(num_frames, size, context, missing):
    hop = 16
    whole_S = np.random.default_rng(0).standard_normal(num_frames * hop).astype(np.float32)
    samples = len(whole_S) - missing
    joiner, made = Joiner(num_frames, hop, samples), []
    for chunk in chunks(num_frames, size, context, 8):
        assert chunk.start % 8 == 0 and chunk.start <= chunk.first < chunk.last <= chunk.end <= num_frames
        made.append(joiner.push(chunk, whole_S[chunk.start * hop : chunk.end * hop]))
    np.testing.assert_allclose(np.concatenate(made), whole_S[:samples], atol=1e-5)


def test_a_pitch_track_survives_its_csv_within_a_hundredth_of_a_cent(tmp_path):
    f0_hz_T = np.where(np.arange(300) % 7 == 0, 0, 60 * 2 ** (np.arange(300) / 70)).astype(np.float32)
    write_pitch_csv(f0_hz_T, tmp_path / "f0.csv")
    back_T = read_pitch_csv(tmp_path / "f0.csv", 300)
    assert ((back_T > 0) == (f0_hz_T > 0)).all()
    voiced_T = f0_hz_T > 0
    assert np.abs(1200 * np.log2(back_T[voiced_T] / f0_hz_T[voiced_T].astype(np.float64))).max() < 0.01


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows[:50] + rows[60:], "line 51: time 0.59 s, need 0.49"),
        (lambda rows: rows[:20], "19 rows, the source needs 100"),
        (lambda rows: [*rows[:9], "0.08,12.0,1", *rows[10:]], "line 10: 12 Hz voiced, need 20"),
        (lambda rows: [*rows[:9], "0.08,nan,1", *rows[10:]], "nan Hz voiced"),
        (lambda rows: [*rows[:9], "0.08,a,1", *rows[10:]], "need three numbers"),
        (lambda rows: ["t,f", *rows[1:]], "need a header"),
    ],
)
def test_a_csv_with_gaps_odd_pitch_or_too_few_rows_is_refused_with_its_line(tmp_path, change, says):
    write_pitch_csv(np.full(100, 220.0), tmp_path / "f0.csv")
    rows = (tmp_path / "f0.csv").read_text().splitlines()
    (tmp_path / "f0.csv").write_text("\n".join(change(rows)))
    with pytest.raises(InputError, match=says):
        read_pitch_csv(tmp_path / "f0.csv", 100)


def test_the_key_brings_a_low_song_to_a_high_singer_and_back():
    low, high = Range(90, 130, 200), Range(180, 260, 400)
    assert key_semitones(low, high) == 12
    assert key_semitones(high, low) == -12
    assert key_semitones(low, low) == 0 == key_semitones(None, high)


def test_pitch_is_shifted_by_fractions_and_carried_through_gaps():
    track_T = np.array([0, 100, 0, 0, 200, 0], np.float32)
    np.testing.assert_allclose(shifted(track_T, 0.5)[1], 100 * 2 ** (0.5 / 12), rtol=1e-6)
    np.testing.assert_allclose(
        carried_on(track_T), [100, 100, 100 * 2 ** (1 / 3), 100 * 2 ** (2 / 3), 200, 200], rtol=1e-5
    )
    assert (carried_on(np.zeros(3, np.float32)) == 220).all()
    with pytest.raises(InputError, match="--shift 99"):
        shifted(track_T, 99)
