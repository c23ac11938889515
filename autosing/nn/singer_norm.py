"""x_BDT, a singer -> x_BDT: a layer norm whose gain and shift are told by who sings (SCLN).

Speaker-conditional layer normalisation (Min et al. 2021, Meta-StyleSpeech, arXiv:2106.03153, equation 4), as
so-vits-svc 5.0 has it before its generator.

Shapes: B clips, D numbers a frame, T frames, E numbers of a singer.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class SingerNorm(nn.Module):
    """Begins with gain 1 and shift 0 for everyone. `normalise=False`: the gain and shift alone, for numbers whose size
    already means something (the codec's latent)."""

    def __init__(self, width: int, singer: int, normalise: bool = True) -> None:
        super().__init__()
        self.width, self.normalise = width, normalise
        self.tell = nn.Linear(singer, 2 * width)
        nn.init.zeros_(self.tell.weight)
        nn.init.zeros_(self.tell.bias)

    def forward(self, x_BDT: Tensor, singer_BE: Tensor) -> Tensor:
        gain_BD1, shift_BD1 = self.tell(singer_BE)[..., None].chunk(2, dim=1)
        if self.normalise:
            x_BDT = F.layer_norm(x_BDT.mT, (self.width,)).mT
        return x_BDT * (1 + gain_BD1) + shift_BD1
