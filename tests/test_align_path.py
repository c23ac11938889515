"""The path through the lyrics: silence in a line, singing in no line, lines squeezed together, stamps gone astray."""

from dataclasses import replace

import pytest

from autosing.alignment.chain import Costs
from autosing.alignment.place import SungLine, place_plain, place_stamped
from support.heard import LINES, SONG, scores_of, starts

COSTS = Costs(silent_letter=3.0, absent_line=20.0, gap=10.0, unlisted=20.0)
RATE_HZ = 50


def test_the_last_words_of_a_line_do_not_slide_onto_a_refrain_that_the_lyrics_do_not_hold():
    """`moon` is heard badly after `golden`, and well in the refrain 4 s later."""
    song = [("river", 50, 80), ("stone", 90, 130), ("golden", 300, 350), ("noon", 355, 400), ("silver", 600, 650),
            ("moon", 650, 720)]  # fmt: skip
    for stamps in ((None, None), (1.0, 6.0)):
        lines = [replace(line, start_s=start_s) for line, start_s in zip(LINES[:2], stamps, strict=True)]
        place = place_plain if stamps[0] is None else place_stamped
        placed, _ = place(scores_of(900, song), lines, COSTS, RATE_HZ)
        assert starts(placed)[0] == [1.0, 1.8]
        assert starts(placed)[1] == pytest.approx([6.0, 7.1], abs=0.3)


def test_a_held_note_costs_nothing_and_a_long_silence_in_a_line_no_more_than_a_gap():
    def score(*song):
        return place_plain(scores_of(1500, [*SONG[:2], *song]), LINES[:2], COSTS, RATE_HZ)

    _, short = score(("golden", 300, 350), ("moon", 350, 420))
    placed, held = score(("golden", 300, 350), ("moon", 350, 900))
    assert starts(placed)[1] == [6.0, 7.0] and held == pytest.approx(short, abs=15)
    apart = [score(("golden", 300, 350), ("moon", 350 + gap, 420 + gap)) for gap in (30, 200, 700)]
    assert [starts(placed)[1][1] for placed, _ in apart] == pytest.approx([7.6, 11.0, 21.0])
    costs = [short - found for _, found in apart]
    assert 0 < costs[0] < costs[1] == pytest.approx(costs[2], abs=0.5)


def test_words_that_a_path_squeezes_into_a_moment_get_the_room_up_to_the_next_line():
    sounds = [("ae", 300 + 60 * k, 318 + 60 * k) for k in range(4)]  # like `ah`, but not quite
    lines = [LINES[0], SungLine("ah ah ah ah", ("ah",) * 4)]
    placed, _ = place_plain(scores_of(750, [*SONG[:2], *sounds]), lines, COSTS, RATE_HZ)
    assert starts(placed)[1] == pytest.approx([6.0, 7.2, 8.4, 9.6], abs=0.1)


def test_a_line_behind_one_that_is_not_sung_is_found_though_its_stamp_is_late():
    absent = SungLine("whisper thunder", ("whisper", "thunder"), 12.0)
    first, second, late = (replace(line, start_s=s) for line, s in zip(LINES, (1.0, 6.0, 18.0), strict=True))
    placed, offset = place_stamped(scores_of(950, SONG), [first, second, absent, late], COSTS, RATE_HZ)
    assert offset.inlier_ratio >= 0.5
    assert starts(placed) == [[1.0, 1.8], [6.0, 7.0], None, [12.0, 12.8]]


def test_a_badly_heard_word_at_a_lines_edge_is_no_singing_that_the_lyrics_do_not_hold():
    """Half of `golden` is heard as other letters."""
    scores = scores_of(750, [*SONG[:2], ("bolten", 300, 350), *SONG[3:]])
    free, paid = (place_plain(scores, LINES, replace(COSTS, unlisted=cost), RATE_HZ)[0] for cost in (0.0, 20.0))
    assert starts(paid)[1] == [6.0, 7.0] and starts(free)[1] == [6.6, 7.0]


def test_a_refrain_that_the_lyrics_do_not_hold_is_paid_once_behind_absent_lines_too():
    absent = SungLine("whisper cliff", ("whisper", "cliff"))
    scores = scores_of(1100, [*SONG, ("banana", 700, 860), ("banana", 900, 1000)])
    for lines in (LINES, [*LINES, absent, absent]):
        found = []
        for cost in (0.0, 10.0):
            placed, score = place_plain(scores, lines, replace(COSTS, unlisted=cost, absent_line=5.0), RATE_HZ)
            assert starts(placed) == [[1.0, 1.8], [6.0, 7.0], [12.0, 12.8], None, None][: len(lines)]
            found.append(score)
        assert found[0] - found[1] == pytest.approx(10.0, abs=0.01)
