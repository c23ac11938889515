"""Frames of a space -> the phones in them (CTC, Graves et al. 2006): a loss that asks for frames which can be read.

VISinger puts CTC on the latent of its posterior, which it trains; a codec's latent is as it is. So a small recogniser
learns the phones of true frames, and frames that a model makes must be read by it likewise.

Shapes: B crops, D numbers, T folded frames, V phones, L labels.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from autosing.models.melody import PHONES
from autosing.nn.convnext import ConvNeXt


class Recogniser(nn.Sequential):
    """x_BDT -> logits_BVT. It is trained with the model, and is no part of it."""

    def __init__(self, channels: int) -> None:
        super().__init__(ConvNeXt(channels, 128, 256, 2), nn.Conv1d(128, PHONES, 1))

    def loss(self, data_BDT: Tensor, pointed_BDT: Tensor, label_BL: Tensor, labels: Tensor) -> Tensor:
        """A label's mean loss on the true frames, from which the recogniser learns, and on those pointed at, from which
        the model does. `labels`: how many there are."""
        frozen = {name: parameter.detach() for name, parameter in self.named_parameters()}
        labels_B = (label_BL > 0).sum(1)
        steps_B = labels_B.new_full((len(labels_B),), data_BDT.shape[2])
        total = data_BDT.new_zeros(())
        for logits_BVT in (self(data_BDT), functional_call(self, frozen, (pointed_BDT,))):
            log_TBV = logits_BVT.float().log_softmax(1).permute(2, 0, 1)
            total = total + F.ctc_loss(log_TBV, label_BL, steps_B, labels_B, reduction="sum", zero_infinity=True)
        return total / labels
