"""Lines that were not found get a place between those that were."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.alignment.place import PlacedLine, PlacedWord, SungLine
from processing.alignment.guess import fill_gaps


@given(
    st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.none() | st.floats(0, 40)), min_size=1, max_size=8),
    st.floats(-5, 5), st.floats(-0.5, 0.5), st.floats(0.5, 30),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_every_word_found_or_not_lies_within_the_song_and_in_order(drawn, offset_s, shift_s, duration_s):
    """AutoSing multiplied seconds by the rate for the last line's end: far beyond the song."""
    lines = [SungLine("la " * count, ("la",) * count, stamp) for count, _, stamp in drawn]
    edges = np.linspace(0, duration_s, sum(count for count, _, _ in drawn) + 1)
    placed, at = [], 0
    for count, found, _ in drawn:
        words = tuple(PlacedWord(edges[at + k], edges[at + k + 1], 1.0) for k in range(count))
        placed.append(PlacedLine(words if found else None))
        at += count
    times = [
        t
        for line in fill_gaps(placed, lines, offset_s, shift_s, duration_s)
        for w in line
        for t in (w.start_s, w.end_s)
    ]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= duration_s + 1e-4
