"""Past dropout: in training some of the codes so far are hidden from a decoder, so that it must heed its conditions.

What comes next follows from the last code more simply than from the words; a model that leans on it loses the words as
soon as it goes on from codes of its own. Tacotron drops out half of what its decoder is told of the last frame (Wang et
al. 2017, arXiv:1703.10135, section 3.3). Here whole codes or columns are hidden, in every clip another share of them.
"""

import torch
from torch import Tensor


def hidden_past(clips: int, places: int, share: float, device: torch.device | str = "cpu") -> Tensor | None:
    """hidden_BT1 (bool), for the decoder's inputs; None where nothing is hidden. Draws from torch's generator.

    `share`: of hidden places, 0 to 0.5; a clip's own share is drawn evenly from 0 to twice that.
    """
    if share == 0:
        return None
    share_B1 = 2 * share * torch.rand(clips, 1, device=device)
    return (torch.rand(clips, places, device=device) < share_B1)[..., None]
