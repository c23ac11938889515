"""x_BWT -> x_BWT: gated dilated convolutions whose skips are summed, told who sings (WaveNet without its causality).

As in VITS (Kim et al. 2021, arXiv:2106.06103, posterior encoder and coupling layers; gates: van den Oord et al. 2016,
arXiv:1609.03499, equation 2). Frames beyond the mask are neither seen nor made.

Shapes: B clips, W width, T frames, E numbers of a singer.
"""

from torch import Tensor, nn


class WaveNet(nn.Module):
    """One stack. Receptive field: 1 + (kernel - 1) * the sum of the dilations."""

    def __init__(
        self, width: int, layers: int, kernel: int, singer: int = 0, dilation: int = 1, dropout: float = 0.0
    ) -> None:
        """`dilation`: by which the dilation grows from layer to layer; 1: all look at neighbours."""
        super().__init__()
        assert kernel % 2, kernel
        self.convs = nn.ModuleList(
            nn.Conv1d(width, 2 * width, kernel, dilation=dilation**i, padding=dilation**i * (kernel // 2))
            for i in range(layers)
        )
        # The last layer has no one to hand a residual to.
        self.outs = nn.ModuleList(nn.Conv1d(width, 2 * width if i < layers - 1 else width, 1) for i in range(layers))
        self.singer = nn.Linear(singer, 2 * width * layers) if singer else None
        self.dropout = nn.Dropout(dropout)
        self.width = width

    def forward(self, x_BWT: Tensor, singer_BE: Tensor | None = None, mask_BT: Tensor | None = None) -> Tensor:
        mask_B1T = None if mask_BT is None else mask_BT[:, None].to(x_BWT.dtype)
        told_LBP1: list[Tensor | None] = [None] * len(self.convs)
        if self.singer is not None:
            assert singer_BE is not None, "this stack is told who sings"
            told_LBP1 = list(self.singer(singer_BE)[..., None].chunk(len(self.convs), dim=1))
        total_BWT: Tensor | None = None
        for conv, out, told_BP1 in zip(self.convs, self.outs, told_LBP1, strict=True):
            both_BPT = conv(x_BWT if mask_B1T is None else x_BWT * mask_B1T)
            if told_BP1 is not None:
                both_BPT = both_BPT + told_BP1
            value_BWT, gate_BWT = both_BPT.chunk(2, dim=1)
            y_BPT = out(self.dropout(value_BWT.tanh() * gate_BWT.sigmoid()))
            skip_BWT = y_BPT[:, -self.width :]
            total_BWT = skip_BWT if total_BWT is None else total_BWT + skip_BWT
            if y_BPT.shape[1] > self.width:
                x_BWT = x_BWT + y_BPT[:, : self.width]
        assert total_BWT is not None
        return total_BWT if mask_B1T is None else total_BWT * mask_B1T


class GaussianWaveNet(nn.Module):
    """x_BCT -> (mean_BDT, log_std_BDT): VITS's posterior encoder."""

    def __init__(
        self, in_channels: int, out_channels: int, width: int, layers: int, kernel: int, singer: int, dropout: float = 0
    ) -> None:
        super().__init__()
        self.enter = nn.Conv1d(in_channels, width, 1)
        self.body = WaveNet(width, layers, kernel, singer, dropout=dropout)
        self.leave = nn.Conv1d(width, 2 * out_channels, 1)

    def forward(self, x_BCT: Tensor, singer_BE: Tensor, mask_BT: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return gaussian(self.leave(self.body(self.enter(x_BCT), singer_BE, mask_BT)))


def gaussian(both_BDT: Tensor) -> tuple[Tensor, Tensor]:
    """(mean, log of the spread) of what a network says of both, in fp32; the spread within bounds that a sample and a
    divergence survive."""
    mean_BDT, log_std_BDT = both_BDT.float().chunk(2, dim=1)
    return mean_BDT, log_std_BDT.clamp(-6.0, 3.0)
