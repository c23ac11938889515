"""A call of a network -> its number of multiply-accumulates, by torch's own counter.

Matrix products, convolutions and attention are counted; Fourier transforms, norms and elementwise operations are not.
"""

from collections.abc import Callable

import torch


def count_macs(work: Callable[[], object]) -> int:
    """Multiply-accumulates of one call (a multiplication with an addition counts once)."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops()) // 2
