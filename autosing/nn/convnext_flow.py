"""A small estimator of flows: ConvNeXt blocks along time, their norms steered by the time of the flow and the singer.

    x_t, conditions (content, pitch, loudness) -> convolution -> blocks, conditioned on t and singer -> estimate

For frames of the codec's latent: 32 numbers at 93.75 Hz, of which two are folded into one of 64, so 47 steps a second.
ConvNeXt as in Vocos (arXiv:2306.00814); conditioning by adaptive norms with gates that start at zero as in DiT (Peebles
& Xie 2022, arXiv:2212.09748, section 3.2).

Shapes: B clips, D numbers per frame, T frames, C conditions per frame, E singer's vector, W width.
"""

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.config import Config
from autosing.errors import InputError
from autosing.nn.unet import sinusoids


class ConvNeXtFlowConfig(Config):
    """About 3.6 M parameters with 542 conditions: 512 of Whisper base, 28 of pitch, 2 of loudness."""

    channels: int = Field(default=64, ge=1)
    """Numbers per frame of the flow's data."""
    conditions: int = Field(default=542, ge=0)
    singer: int = Field(default=256, ge=0)
    width: int = Field(default=256, ge=2, multiple_of=2)
    hidden: int = Field(default=768, ge=1)
    blocks: int = Field(default=5, ge=1)
    kernel: int = Field(default=7, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def model_post_init(self, _: object) -> None:
        if self.kernel % 2 == 0:
            raise InputError(f"kernel {self.kernel}: need an odd number, so that frames stay where they are")


class ConvNeXtFlow(nn.Module):
    """(x_BDT, t_B, told) -> estimate_BDT. `told` is the result of `tell` for the conditions, the same in all steps.

    Frames outside the mask are not used, and are 0 in the result.
    """

    def __init__(self, config: ConvNeXtFlowConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.Conv1d(config.channels, width, config.kernel, padding=config.kernel // 2)
        self.conditions = nn.Conv1d(config.conditions, width, 1, bias=False) if config.conditions else None
        self.singer = nn.Linear(config.singer, width) if config.singer else None
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(SteeredBlock(config) for _ in range(config.blocks))
        self.steer_out = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, config.channels)
        for layer in (self.steer_out, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def tell(self, conditions_BCT: Tensor | None, singer_BE: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """(frames_BWT, singer_BW)."""
        frames_BWT = None if self.conditions is None else self.conditions(conditions_BCT)
        return frames_BWT, None if self.singer is None else self.singer(singer_BE)

    def forward(
        self, x_BDT: Tensor, t_B: Tensor, told: tuple[Tensor | None, Tensor | None], mask_BT: Tensor | None = None
    ) -> Tensor:
        frames_BWT, singer_BW = told
        mask_B1T = None if mask_BT is None else mask_BT[:, None].to(x_BDT.dtype)
        y_BWT = self.enter(x_BDT if mask_B1T is None else x_BDT * mask_B1T)
        if frames_BWT is not None:
            y_BWT = y_BWT + frames_BWT
        steer_BW = self.time(sinusoids(1000 * t_B, self.config.width))
        if singer_BW is not None:
            steer_BW = steer_BW + singer_BW
        steer_BW = F.silu(steer_BW)
        for block in self.blocks:
            y_BWT = block(y_BWT, steer_BW, mask_B1T)
        gain_B1W, shift_B1W = self.steer_out(steer_BW)[:, None].chunk(2, dim=2)
        y_BTW = F.layer_norm(y_BWT.mT, (self.config.width,)) * (1 + gain_B1W) + shift_B1W
        y_BDT = self.out(y_BTW).mT
        return y_BDT if mask_B1T is None else y_BDT * mask_B1T


class SteeredBlock(nn.Module):
    """Depthwise convolution over time, a norm with conditioned gain and shift, a two-layer perceptron, a conditioned
    gate."""

    def __init__(self, config: ConvNeXtFlowConfig) -> None:
        super().__init__()
        width = self.width = config.width
        self.depthwise = nn.Conv1d(width, width, config.kernel, padding=config.kernel // 2, groups=width)
        self.up = nn.Linear(width, config.hidden)
        self.down = nn.Linear(config.hidden, width)
        self.dropout = nn.Dropout(config.dropout)
        self.steer = nn.Linear(width, 3 * width)
        nn.init.zeros_(self.steer.weight)
        nn.init.zeros_(self.steer.bias)

    def forward(self, x_BWT: Tensor, steer_BW: Tensor, mask_B1T: Tensor | None) -> Tensor:
        gain_B1W, shift_B1W, gate_B1W = self.steer(steer_BW)[:, None].chunk(3, dim=2)
        y_BTW = self.depthwise(x_BWT if mask_B1T is None else x_BWT * mask_B1T).mT
        y_BTW = F.layer_norm(y_BTW, (self.width,)) * (1 + gain_B1W) + shift_B1W
        y_BTW = self.down(self.dropout(F.gelu(self.up(y_BTW)))) * gate_B1W
        return x_BWT + y_BTW.mT


def fold_frames(x_BDF: Tensor, fold: int) -> Tensor:
    """x_BDT with D * fold numbers a frame, T = F / fold rounded up: neighbours stacked, zeros after the last."""
    x_BDF = F.pad(x_BDF, (0, -x_BDF.shape[2] % fold))
    return x_BDF.unflatten(2, (-1, fold)).permute(0, 3, 1, 2).flatten(1, 2)


def unfold_frames(x_BDT: Tensor, fold: int, num_frames: int) -> Tensor:
    """The inverse of `fold_frames`: x_BDF with F = num_frames."""
    return x_BDT.unflatten(1, (fold, -1)).permute(0, 2, 3, 1).flatten(2, 3)[..., :num_frames]
