"""A yes or no per frame -> its runs of yes. Shapes: T frames."""

import numpy as np


def runs(mask_T: np.ndarray) -> list[tuple[int, int]]:
    """(first frame, one past the last) of each run of True, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask_T, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
