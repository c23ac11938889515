"""A length to sing and a model's context -> windows, each of which begins with some of what is already sung."""


def next_window(done: int, total: int, context: int, overlap: int) -> tuple[int, int]:
    """(first, last) frame of the next window when `done` of `total` frames are sung.

    One window where everything fits. Else a window begins `overlap` frames before `done`, the last one as early as the
    context allows: a longer prompt costs a single forward pass and gives the model more context.
    """
    assert 0 <= done < total and 0 < overlap < context, (done, total, context, overlap)
    first = max(0, done - overlap)
    if total - first <= context:
        return max(0, total - context), total
    return first, first + context
