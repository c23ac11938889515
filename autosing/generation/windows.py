"""A length to sing and a model's context -> windows, each of which begins with a part that is already generated."""


def next_window(done: int, total: int, context: int, overlap: int) -> tuple[int, int]:
    """(first, last) frame of the next window when `done` of `total` frames are generated.

    If everything fits, there is one window. Otherwise a window begins `overlap` frames before `done`; the last window
    begins as early as the context allows, because a longer prompt costs a single forward pass and gives more context.
    """
    assert 0 <= done < total and 0 < overlap < context, (done, total, context, overlap)
    first = max(0, done - overlap)
    if total - first <= context:
        return max(0, total - context), total
    return first, first + context
