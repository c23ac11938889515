"""Two Gaussians on the two sides of a flow -> how far apart they are, in nats a frame.

Shapes: B clips, D numbers, F frames.
"""

from torch import Tensor


def flow_divergence(
    mapped_BDF: Tensor, log_std_BDF: Tensor, prior_mean_BDF: Tensor, prior_log_std_BDF: Tensor, log_det_B: Tensor,
    mask_BF: Tensor, frames: Tensor,
) -> Tensor:  # fmt: skip
    """An estimate of KL(q || p) of a Gaussian q whose sample a flow took to `mapped`, where the prior p lies.

    Kim et al. 2021 (VITS, arXiv:2106.06103), equations 3 and 4, with the entropy of q in closed form:
    E[log q] is -log_std - 1/2 (log 2 pi + 1), and log p = log N(mapped; prior) + log_det. The sum over numbers and
    frames of the mask, divided by `frames`. Called the other way round (a sample of the prior, brought back, against
    the posterior), it is so-vits-svc 5.0's backward divergence.
    """
    squared_BDF = (mapped_BDF - prior_mean_BDF).square() * (-2 * prior_log_std_BDF).exp()
    each_BDF = prior_log_std_BDF - log_std_BDF - 0.5 + 0.5 * squared_BDF
    return ((each_BDF * mask_BF[:, None]).sum() - log_det_B.sum()) / frames
