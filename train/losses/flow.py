"""(SvcFlow, what it is told, true sound) -> how far its prior, its flow and the sound of its frames are from the truth.

The prior mean against the frames; the flow's objective around a time drawn for each crop (autosing.nn.flow_matching);
the structural similarity of prior and frames as pictures (Wang 2004, SSIM); and the sound of the frames that the flow
points at, through the space's frozen decoder: spectra, and what a speech recogniser hears.

Shapes: B crops, S samples, F frames of the space, T folded steps, D numbers a frame, E = 256 singer.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from autosing.config import Config
from autosing.models.acoustic import AcousticSpace
from autosing.models.svc_flow import SvcFlow
from autosing.models.told import Told
from autosing.nn.convnext_flow import fold_frames, unfold_frames
from autosing.nn.flow_matching import StraightFlow
from train.flow_drops import with_drops
from train.losses.perceptual import PerceptualLoss
from train.losses.spectral import SpectralLoss
from train.losses.structure import structure_loss


class FlowLossSettings(Config):
    """Weights, and how much of a crop is decoded."""

    prior_weight: float = Field(default=1.0, ge=0)
    structure_weight: float = Field(default=0.2, ge=0)
    sound_weight: float = Field(default=0.2, ge=0)
    """Of the spectral loss of the decoded frames; 0: nothing is decoded."""
    heard_weight: float = Field(default=1.0, ge=0)
    """Of what the listener hears in them."""
    sound_frames: int = Field(default=96, ge=32)
    """How much of a crop is decoded, from a random frame on: decoder and listener cost more than the model itself."""
    sound_after: int = Field(default=0, ge=0)
    """The step from which on anything is decoded: before, frames are too far off to sound like words."""
    listener: str = "whisper-tiny.en"
    sound_share: float = Field(default=1.0, gt=0, le=1)
    """Of the crops of a batch, how many are decoded."""
    drop_singer: float = Field(default=0.1, ge=0, le=1)
    """How often the singer is left out, so that guidance can be told from it."""
    drop_content: float = Field(default=0.1, ge=0, le=1)
    """How often content, pitch and loudness are."""


class Drawn(NamedTuple):
    """What other losses may want of a step."""

    h_BWT: Tensor
    """What the encoder made of content, pitch and loudness."""
    data_BDT: Tensor
    """The true frames, folded."""
    pointed_BDT: Tensor
    """Where the flow points from the drawn time; of a flow that is not straight, the prior mean."""


class FlowLosses:
    """Raises InputError where frames of the space are to be made sound and cannot be."""

    def __init__(self, settings: FlowLossSettings, space: AcousticSpace) -> None:
        self.settings, self.space = settings, space
        self.spectral = self.heard = None
        if settings.sound_weight > 0:
            space.check_sounds("by task.vocoder")
            self.spectral = SpectralLoss(space.spec.sample_rate_hz)
            if settings.heard_weight > 0:
                self.heard = PerceptualLoss(space.spec.sample_rate_hz, settings.listener)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What the losses hold, of which nothing is trained: it goes where the task's modules go."""
        held = {"space": self.space, "spectral": self.spectral, "heard": self.heard}
        return {name: module for name, module in held.items() if module is not None}

    def __call__(
        self, model: SvcFlow, told: Told, audio_BS: Tensor, f0_hz_BF: Tensor, step: int
    ) -> tuple[Tensor, dict[str, Tensor], Drawn]:
        """`f0_hz_BF` is 0 where unvoiced. Every part is a mean over crops of one length."""
        settings = self.settings
        with torch.no_grad(), torch.autocast(audio_BS.device.type, enabled=False):
            x_BDF = self.space.frames(audio_BS, f0_hz_BF)
        data_BDT = fold_frames(x_BDF, model.config.fold)
        h_BWT = model.tell(told)
        shares = (settings.drop_singer, settings.drop_content) if model.training else (0.0, 0.0)
        mu_BDT, heard_BWT, known_BDT, singer_BE = with_drops(model, told, h_BWT, *shares)
        parts = {"prior": F.mse_loss(mu_BDT.float(), data_BDT)}
        objective, estimate = model.objective, model.estimator(heard_BWT, known_BDT, singer_BE)
        t_B = objective.draw_times(torch.rand(len(data_BDT), device=data_BDT.device))
        source_BDT = objective.source(known_BDT.float(), torch.randn_like(data_BDT))
        point_BDT, target_BDT = objective.point(data_BDT, source_BDT, known_BDT.float(), t_B)
        estimate_BDT = estimate(point_BDT, t_B).float()
        parts["flow"] = F.mse_loss(estimate_BDT, target_BDT)
        loss = settings.prior_weight * parts["prior"] + parts["flow"]
        if settings.structure_weight:
            parts["structure"] = structure_loss(mu_BDT.float(), data_BDT)
            loss = loss + settings.structure_weight * parts["structure"]
        pointed_BDT = mu_BDT.float()
        if isinstance(objective, StraightFlow):
            pointed_BDT = point_BDT + (1 - t_B)[:, None, None] * estimate_BDT
            sounds = step >= settings.sound_after or not model.training  # so that validation losses stay comparable
            if self.spectral is not None and sounds:
                made_BS, true_BS = self.window(model, pointed_BDT, audio_BS, f0_hz_BF)
                parts["sound"], _ = self.spectral(made_BS, true_BS)
                loss = loss + settings.sound_weight * parts["sound"]
                if self.heard is not None:
                    parts["heard"] = self.heard(made_BS, true_BS)
                    loss = loss + settings.heard_weight * parts["heard"]
        return loss, parts, Drawn(h_BWT, data_BDT, pointed_BDT)

    def window(self, model: SvcFlow, x_BDT: Tensor, audio_BS: Tensor, f0_hz_BF: Tensor) -> tuple[Tensor, Tensor]:
        """(made_BS, true_BS) of `sound_frames` frames: from a random one on, in validation from the first on. Of the
        batch's crops the first, since they are in no order."""
        heard = max(1, round(self.settings.sound_share * len(x_BDT)))
        x_BDT, audio_BS, f0_hz_BF = x_BDT[:heard], audio_BS[:heard], f0_hz_BF[:heard]
        hop = self.space.spec.hop_samples
        made_BS, inside = decoded_part(
            self.space, x_BDT, model.config.fold, f0_hz_BF, self.settings.sound_frames, anywhere=model.training
        )
        return made_BS, audio_BS[:, inside.start * hop : inside.stop * hop]


def decoded_part(
    space: AcousticSpace, x_BDT: Tensor, fold: int, f0_hz_BF: Tensor, most_frames: int, anywhere: bool
) -> tuple[Tensor, slice]:
    """(made_BS, of which frames): as much of each crop is decoded, from a random frame on, or from the first."""
    num_frames = f0_hz_BF.shape[1]
    length = min(most_frames, num_frames)
    first = int(torch.randint(num_frames - length + 1 if anywhere else 1, ()))
    inside = slice(first, first + length)
    return space.sound(unfold_frames(x_BDT, fold, num_frames)[..., inside], f0_hz_BF[:, inside]), inside
