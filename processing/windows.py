"""Times where a song may be cut, and the singing between them -> the best disjoint windows."""

import numpy as np


def choose_windows(
    times_ms: np.ndarray,
    sung_ms: np.ndarray,
    cut_cost_ms: np.ndarray,
    min_ms: int,
    max_ms: int,
    min_fraction: float,
    unsung_cost: float = 0.1,
    window_cost_ms: float = 250.0,
) -> list[tuple[int, int]]:
    """The set of disjoint windows (i, j), pairs of indices into `times_ms`, of the greatest total worth.

    times_ms [N] ascending: where a cut may be, first and last are the song's ends. sung_ms [N]: the singing before each
    time. cut_cost_ms [N]: what a cut there costs. A window's worth is its singing, less `unsung_cost` times the rest,
    less the cost of its two cuts, less `window_cost_ms` (so that nothing is cut without need). Windows last min_ms to
    max_ms, at least `min_fraction` of each is sung, and only windows of positive worth are taken. A song shorter than
    min_ms is one window or none.

    Exact, by dynamic programming over the right end: the best total up to j is the best up to j-1, or a window (i, j)
    added to the best up to i.
    """
    min_ms = min(min_ms, int(times_ms[-1] - times_ms[0]))
    count = len(times_ms)
    best = np.zeros(count)
    taken = np.full(count, -1)
    for j in range(1, count):
        best[j] = best[j - 1]
        low = np.searchsorted(times_ms, times_ms[j] - max_ms, side="left")
        high = min(j, int(np.searchsorted(times_ms, times_ms[j] - min_ms, side="right")))
        if low >= high:
            continue
        length = times_ms[j] - times_ms[low:high]
        sung = sung_ms[j] - sung_ms[low:high]
        worth = sung - unsung_cost * (length - sung) - cut_cost_ms[low:high] - cut_cost_ms[j] - window_cost_ms
        worth[(worth <= 0) | (sung < min_fraction * length)] = -np.inf
        total = best[low:high] + worth
        i = int(np.argmax(total))
        if total[i] > best[j]:
            best[j], taken[j] = total[i], low + i
    windows = []
    j = count - 1
    while j > 0:
        if taken[j] < 0:
            j -= 1
        else:
            windows.append((int(taken[j]), j))
            j = int(taken[j])
    return windows[::-1]


def cut_times(
    duration_ms: int, words_ms: np.ndarray, lines_ms: np.ndarray, sung_T: np.ndarray, step_ms: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where a song may be cut, and what each cut costs.

    words_ms [W, 2], lines_ms [L, 2]: starts and ends. sung_T: whether there is singing, every `step_ms`. Returns
    (times_ms [N], cost_ms [N]): every 100 ms and the middle of each gap between words, never inside a word. A cut in
    singing costs 1 s, inside a line 0.5 s, and 0.1 s each within 300, 200 and 100 ms of a word, whose times may be off.
    """
    edges = np.sort(words_ms.ravel())
    middles = (edges[1:] + edges[:-1]) // 2 if len(edges) else edges
    times = np.unique(np.concatenate([np.arange(0, duration_ms, 100), edges, middles, [0, duration_ms]]))
    times = times[(times >= 0) & (times <= duration_ms)].astype(np.int64)
    times = times[(_inside(times, words_ms, 0) == 0) | (times == 0) | (times == duration_ms)]
    at = np.clip(times // step_ms, 0, len(sung_T) - 1)
    cost = 1000.0 * sung_T[at] + 500.0 * _inside(times, lines_ms, 0)
    cost += 100.0 * sum(_inside(times, words_ms, margin) for margin in (100, 200, 300))
    cost[[0, -1]] = 0
    return times, cost


def _inside(times: np.ndarray, spans: np.ndarray, margin: int) -> np.ndarray:
    """1 where a time lies strictly inside one of the spans [M, 2], each widened by a margin."""
    starts, ends = np.sort(spans[:, 0] - margin), np.sort(spans[:, 1] + margin)
    begun = np.searchsorted(starts, times, side="left")
    return (begun > np.searchsorted(ends, times, side="right")).astype(np.int64)
