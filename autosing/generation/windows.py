"""A length to sing and a model's context -> windows: each begins with what is already sung, and adds to it."""


def next_window(done: int, total: int, context: int, overlap: int) -> tuple[int, int]:
    """(first, last) frame of the window to come when `done` of `total` frames are sung.

    All of it at once where it fits; else a window begins `overlap` frames back, and the last one as far back as the
    context allows: a longer prompt costs one pass, and gives more to go on.
    """
    assert 0 <= done < total and 0 < overlap < context, (done, total, context, overlap)
    first = max(0, done - overlap)
    if total - first <= context:
        return max(0, total - context), total
    return first, first + context
