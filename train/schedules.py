"""Update number -> factor on the learning rate. A function of the number alone, so a resumed run needs no state."""

import math
from typing import Literal

Schedule = Literal["cosine", "linear", "wsd", "const", "exponential", "noam"]


def lr_factor(
    update: int, steps: int, schedule: Schedule = "cosine", warmup: int = 0, final: float = 0.0, decay: float = 0.2
) -> float:
    """The factor of update 0 .. steps-1: it rises linearly over `warmup` updates to 1, then falls to `final`.

    cosine and linear fall from the end of the warm-up; wsd (warm-up, stable, decay) stays at 1 and falls linearly over
    the last `decay` share of the steps; const stays at 1; exponential falls by the same factor in each update, to
    `final` at the last (VITS's decay of 0.999875 per epoch is of this kind); noam falls with the inverse square root of
    the update from the end of the warm-up on (Vaswani 2017, equation 3) and ignores `final`.
    """
    if update < warmup:
        return (update + 1) / (warmup + 1)
    start = warmup
    if schedule == "const":
        return 1.0
    if schedule == "noam":
        return math.sqrt((warmup + 1) / (update + 1))
    if schedule == "wsd":
        start = max(warmup, steps - 1 - round(decay * steps))
    progress = min(1.0, max(0.0, (update - start) / max(1, steps - 1 - start)))
    if schedule == "exponential":
        return max(final, 1e-9) ** progress
    if schedule == "cosine":
        progress = (1 - math.cos(math.pi * progress)) / 2
    return 1.0 + (final - 1.0) * progress
