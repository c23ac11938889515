"""A batch of crops -> some of them sung again in the voice of the next crop, and how far off that voice is.

A dataset has no clip that two singers sing alike, so reconstruction alone never asks for what a conversion is used for.
Here it is asked for: the content of one crop, moved to the other singer's range as `convert --key auto` does, in that
singer's voice. There is no truth to compare frames with; a speaker encoder says whether the voice was reached.

Shapes: B crops, F frames of the space, D numbers of a frame, T folded steps, E = 256 singer.
"""

import torch
from pydantic import Field
from torch import Tensor

from autosing.config import Config
from autosing.models.acoustic import AcousticSpace
from autosing.models.svc_flow import SvcFlow
from autosing.models.svc_vits import SvcVits
from autosing.models.told import Told
from autosing.nn.excitation import pulses
from train.clip_noise import ClipNoise
from train.losses.flow import decoded_part
from train.losses.voice import VoiceLoss


class ExchangeConfig(Config):
    """How many crops of a batch are exchanged, and how much of each is listened to."""

    weight: float = Field(default=0.0, ge=0)
    """Of how far off the voice is; 0: nothing is exchanged."""
    share: float = Field(default=0.25, gt=0, le=1)
    frames: int = Field(default=160, ge=32)
    """As much as the speaker encoder hears at once: 1.6 s."""


def exchanged(told: Told, count: int) -> Told:
    """The first `count` crops with the next crop's singer, each at the pitch of that singer's crop: the medians of the
    two, over voiced frames, are made one. A crop without voiced frames moves nobody."""
    middle_B = _median_octave(told)
    move_B = middle_B.roll(-1) - middle_B
    ratio_B = torch.where(move_B.isfinite(), move_B, 0.0).exp2()[:count]
    return Told(
        told.content_BCF[:count], told.f0_hz_BF[:count] * ratio_B[:, None], told.voiced_BF[:count],
        told.loudness_db_BF[:count], told.singer_BE.roll(-1, 0)[:count],
    )  # fmt: skip


def exchange_loss(config: ExchangeConfig, model: SvcFlow, space: AcousticSpace, voice: VoiceLoss, told: Told) -> Tensor:
    """One Euler step from noise makes the frames, which are decoded from a random frame on."""
    sung = exchanged(told, max(1, round(config.share * len(told.f0_hz_BF))))
    h_BWT = model.tell(sung)
    mu_BDT = model.prior(h_BWT, sung.singer_BE).detach()
    source_BDT = model.objective.source(mu_BDT.float(), torch.randn_like(mu_BDT, dtype=torch.float32))
    start_B = source_BDT.new_zeros(len(source_BDT))
    end_BDT = source_BDT + model.estimator(h_BWT, mu_BDT, sung.singer_BE)(source_BDT, start_B).float()
    f0_hz_BF = sung.f0_hz_BF * sung.voiced_BF
    made_BS, _ = decoded_part(space, end_BDT, model.config.fold, f0_hz_BF, config.frames, anywhere=True)
    return voice(made_BS, sung.singer_BE, model.who)


def exchange_of_vits(
    config: ExchangeConfig, model: SvcVits, voice: VoiceLoss, told: Told, inside_BF: Tensor, noise: ClipNoise
) -> Tensor:
    """As a conversion is made: a sample of the prior is brought back and decoded, from the first frame on."""
    sung = exchanged(told, max(1, round(config.share * len(told.f0_hz_BF))))
    count, frames = len(sung.f0_hz_BF), min(config.frames, sung.f0_hz_BF.shape[1])
    inside_BF = inside_BF[:count]
    like_BDF = sung.f0_hz_BF[:, None].expand(-1, model.config.latent, -1)
    x_BDF = model.drawn(sung, noise.of(like_BDF, 3)[:count], 1.0, inside_BF)
    f0_hz_BF = (sung.f0_hz_BF * (sung.voiced_BF & inside_BF))[:, :frames]
    pulses_BS = pulses(f0_hz_BF, model.config.hop_samples, model.config.sample_rate_hz)
    made_BS = model.voice(x_BDF[..., :frames], f0_hz_BF, pulses_BS, noise.samples(pulses_BS)[:count])
    return voice(made_BS, sung.singer_BE, model.who)


def _median_octave(told: Told) -> Tensor:
    """octave_B: the median over voiced frames; NaN where there is none."""
    octave_BF = torch.where(told.voiced_BF, told.f0_hz_BF.clamp(min=1.0).log2(), torch.nan)
    return octave_BF.nanmedian(1).values
