"""A true stem and its estimate -> signal to distortion ratio in dB, by fast_bss_eval.

Shapes: C channels, S samples.
"""

import numpy as np


def sdr_db(reference_CS: np.ndarray, estimate_CS: np.ndarray) -> float:
    """BSS-eval's SDR (filters of 512 samples are forgiven), the mean of the channels."""
    import fast_bss_eval

    pairs = zip(reference_CS, estimate_CS, strict=True)
    # A little on the diagonal: the band above a voice's own is empty, and the filter would be free there.
    scores = [
        fast_bss_eval.sdr(a[None].astype(np.float64), b[None].astype(np.float64), load_diag=1e-9) for a, b in pairs
    ]
    return float(np.mean(scores))


def si_sdr_db(reference_CS: np.ndarray, estimate_CS: np.ndarray) -> float:
    """Scale-invariant SDR: only a gain is forgiven. The mean of the channels."""
    import fast_bss_eval

    pairs = zip(reference_CS, estimate_CS, strict=True)
    return float(
        np.mean([fast_bss_eval.si_sdr(a[None].astype(np.float64), b[None].astype(np.float64)) for a, b in pairs])
    )
