"""The path through the lyrics: silence in a line, singing in no line, lines squeezed together, stamps gone astray."""

from dataclasses import replace

import numpy as np
import pytest

from autosing.alignment.chain import CLASSES, Costs
from autosing.alignment.emissions import Scoring, class_scores
from autosing.alignment.place import Scores, SungLine, place_plain, place_stamped
from autosing.text.letters import letters

COSTS = Costs(silent_letter=3.0, absent_line=20.0, gap=10.0)
PRIOR_L = np.full(27, -np.log(27))
RATE_HZ = 50


def _heard(num_frames, words):
    """letter_TL in which each (word, start, end) in frames is heard letter by letter, and silence elsewhere."""
    letter_TL = np.full((num_frames, 27), np.log(1e-3))
    letter_TL[:, 0] = np.log(0.9)
    for word, start, end in words:
        sound = letters(word)
        for frame in range(start, end):
            letter_TL[frame, 0] = np.log(1e-3)
            letter_TL[frame, CLASSES[sound[(frame - start) * len(sound) // (end - start)]]] = np.log(0.9)
    return letter_TL


def _scores(num_frames, words):
    class_TC = class_scores(_heard(num_frames, words), PRIOR_L, Scoring(0.3, 0.02, 0.5, 0.3, 4.0, 1.0))
    return Scores(class_TC, np.zeros(num_frames, np.float32))


SONG = [("river", 50, 80), ("stone", 90, 130), ("golden", 300, 350), ("moon", 350, 420), ("river", 600, 630),
        ("stone", 640, 680)]  # fmt: skip
LINES = [SungLine("river stone", ("river", "stone")), SungLine("golden moon", ("golden", "moon")),
         SungLine("river stone", ("river", "stone"))]  # fmt: skip


def _starts(placed):
    return [None if line.words is None else [word.start_s for word in line.words] for line in placed]


def test_the_last_words_of_a_line_do_not_slide_onto_a_refrain_that_the_lyrics_do_not_hold():
    """`moon` is heard badly after `golden`, and well in the refrain 4 s later."""
    song = [("river", 50, 80), ("stone", 90, 130), ("golden", 300, 350), ("noon", 355, 400), ("silver", 600, 650),
            ("moon", 650, 720)]  # fmt: skip
    for stamps in ((None, None), (1.0, 6.0)):
        lines = [replace(line, start_s=start_s) for line, start_s in zip(LINES[:2], stamps, strict=True)]
        place = place_plain if stamps[0] is None else place_stamped
        placed, _ = place(_scores(900, song), lines, COSTS, RATE_HZ)
        assert _starts(placed)[0] == [1.0, 1.8]
        assert _starts(placed)[1] == pytest.approx([6.0, 7.1], abs=0.3)


def test_a_held_note_costs_nothing_and_a_long_silence_in_a_line_no_more_than_a_gap():
    def score(*song):
        return place_plain(_scores(1500, [*SONG[:2], *song]), LINES[:2], COSTS, RATE_HZ)

    _, short = score(("golden", 300, 350), ("moon", 350, 420))
    placed, held = score(("golden", 300, 350), ("moon", 350, 900))
    assert _starts(placed)[1] == [6.0, 7.0] and held == pytest.approx(short, abs=15)
    apart = [score(("golden", 300, 350), ("moon", 350 + gap, 420 + gap)) for gap in (30, 200, 700)]
    assert [_starts(placed)[1][1] for placed, _ in apart] == pytest.approx([7.6, 11.0, 21.0])
    costs = [short - found for _, found in apart]
    assert 0 < costs[0] < costs[1] == pytest.approx(costs[2], abs=0.5)


def test_words_that_a_path_squeezes_into_a_moment_get_the_room_up_to_the_next_line():
    sounds = [("ae", 300 + 60 * k, 318 + 60 * k) for k in range(4)]  # like `ah`, but not quite
    lines = [LINES[0], SungLine("ah ah ah ah", ("ah",) * 4)]
    placed, _ = place_plain(_scores(750, [*SONG[:2], *sounds]), lines, COSTS, RATE_HZ)
    assert _starts(placed)[1] == pytest.approx([6.0, 7.2, 8.4, 9.6], abs=0.1)


def test_a_line_behind_one_that_is_not_sung_is_found_though_its_stamp_is_late():
    absent = SungLine("whisper thunder", ("whisper", "thunder"), 12.0)
    first, second, late = (replace(line, start_s=s) for line, s in zip(LINES, (1.0, 6.0, 18.0), strict=True))
    placed, offset = place_stamped(_scores(950, SONG), [first, second, absent, late], COSTS, RATE_HZ)
    assert offset.inlier_ratio >= 0.5
    assert _starts(placed) == [[1.0, 1.8], [6.0, 7.0], None, [12.0, 12.8]]
