"""A call of a network -> how many multiply-accumulates it takes, by torch's own counter.

Counted are matrix products, convolutions and attention; not Fourier transforms, norms and what works number by number.
"""

from collections.abc import Callable

import torch


def count_macs(work: Callable[[], object]) -> int:
    """Multiply-accumulates of one call (a multiplication and an addition are one), on the sizes it is called with."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops()) // 2
