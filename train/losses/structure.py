"""(generated frames, true frames) -> how different they are as images: one minus the structural similarity.

Shapes: B clips, D values per frame, T frames.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

_SIZE, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def structure_loss(made_BDT: Tensor, true_BDT: Tensor) -> Tensor:
    """1 - SSIM (Wang et al. 2004, equation 13, Gaussian windows of 11 x 11), mean over the image; 0 for equal frames.

    Both are scaled by the minimum and maximum of the true image, which then spans 0 to 1.
    """
    low_B11 = true_BDT.amin((1, 2), keepdim=True)
    span_B11 = (true_BDT.amax((1, 2), keepdim=True) - low_B11).clamp(min=1e-5)
    x, y = ((part - low_B11) / span_B11 for part in (made_BDT, true_BDT))
    x, y = x[:, None], y[:, None]
    at_K = torch.arange(_SIZE, device=x.device, dtype=x.dtype) - _SIZE // 2
    window_K = (-at_K.square() / (2 * _SIGMA**2)).exp()
    window_11KK = torch.outer(window_K, window_K)[None, None] / window_K.sum().square()

    def mean(z: Tensor) -> Tensor:
        return F.conv2d(z, window_11KK)

    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x.square(), mean(y * y) - mean_y.square()
    covariance = mean(x * y) - mean_x * mean_y
    similarity = ((2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)) / (
        (mean_x.square() + mean_y.square() + _C1) * (variance_x + variance_y + _C2)
    )
    return 1 - similarity.mean()
