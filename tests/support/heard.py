"""A song of a few words as the aligner hears it: scores of frames, its lines, and where words were placed."""

from collections.abc import Sequence

import numpy as np

from autosing.alignment.chain import CLASSES
from autosing.alignment.emissions import Scoring, class_scores
from autosing.alignment.place import PlacedLine, Scores, SungLine
from autosing.text.letters import letters

PRIOR_L = np.full(27, -np.log(27))


def heard(num_frames: int, words: Sequence[tuple[str, int, int]]) -> np.ndarray:
    """letter_TL in which each (word, start, end) in frames is heard letter by letter, and silence elsewhere."""
    letter_TL = np.full((num_frames, 27), np.log(1e-3))
    letter_TL[:, 0] = np.log(0.9)
    for word, start, end in words:
        sound = letters(word)
        for frame in range(start, end):
            letter_TL[frame, 0] = np.log(1e-3)
            letter_TL[frame, CLASSES[sound[(frame - start) * len(sound) // (end - start)]]] = np.log(0.9)
    return letter_TL


def scores_of(num_frames: int, words: Sequence[tuple[str, int, int]]) -> Scores:
    class_TC = class_scores(heard(num_frames, words), PRIOR_L, Scoring(0.3, 0.02, 0.5, 0.3, 4.0, 1.0))
    return Scores(class_TC, np.zeros(num_frames, np.float32))


SONG = [("river", 50, 80), ("stone", 90, 130), ("golden", 300, 350), ("moon", 350, 420), ("river", 600, 630),
        ("stone", 640, 680)]  # fmt: skip
LINES = [SungLine("river stone", ("river", "stone")), SungLine("golden moon", ("golden", "moon")),
         SungLine("river stone", ("river", "stone"))]  # fmt: skip


def starts(placed: Sequence[PlacedLine]) -> list[list[float] | None]:
    return [None if line.words is None else [word.start_s for word in line.words] for line in placed]
