"""Content, pitch, loudness and a singer -> frames of an acoustic space: a prior mean, and a flow around it.

Grad-SVC's idea, with the estimator and the objective as choices.

    content -> prenet -> encoder (+ pitch, loudness) -> h, in which who sings shall not be heard
    h, singer -> prior mean mu
    noise (around mu), h, singer -> flow, a few steps -> frames

Two frames are folded into one, so the networks take 47 steps a second in the codec's latent.

Shapes: B clips, F frames of the space, T = F / fold steps, D numbers of the space, W width, E = 256 singer, K times.
"""

from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.checkpoint import load_model, restore
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.acoustic import AcousticSpace, InSpace, SpaceSpec, Vocoder, load_space
from autosing.models.told import Sampling, Told, loudness_told
from autosing.nn.centred import Centred
from autosing.nn.convnext import ConvNeXt
from autosing.nn.convnext_flow import ConvNeXtFlow, ConvNeXtFlowConfig, fold_frames, unfold_frames
from autosing.nn.excitation import F0_FEATURES, f0_features
from autosing.nn.flow_matching import Estimator, FlowConfig, guided, objective_of, sample
from autosing.nn.masked import ContentPrenet
from autosing.nn.unet import UNet, UNetConfig
from autosing.schemas.records import Part

SINGER_WIDTH = 256


class SvcFlowConfig(Config):
    """The model's numbers; about 5 M by default."""

    space: SpaceSpec
    content: tuple[Part, ...]
    """The encoders' layers that content is made of."""
    flow: FlowConfig = FlowConfig()
    estimator: Literal["convnext", "unet"] = "convnext"
    fold: int = Field(2, ge=1)
    centred: bool = False
    """Singers are told by where they lie from the mean of the train split's. GE2E vectors of singers have a cosine of
    0.8: as they are, what they have in common is most of what a network is told. Runs of before know no centre."""
    prenet: bool = False
    """Grad-SVC's stack of instance norms before the encoder; without: one projection."""
    encoder_blocks: int = Field(4, ge=1)
    blocks: int = Field(5, ge=1)
    """Of the ConvNeXt estimator."""
    width: int = Field(256, ge=8, multiple_of=8)
    hidden: int = Field(768, ge=8)
    dropout: float = Field(0.1, ge=0, lt=1)
    usual_steps: int = Field(4, ge=1)
    """By so many it is sung unless asked otherwise; see `flow.steps` for a distilled one."""
    usual_guidance_singer: float = Field(1.0, ge=0)
    """So hard the singer is followed unless asked otherwise; 1: no guidance, and half the cost."""

    @property
    def content_width(self) -> int:
        return sum(part.width for part in self.content)


class SvcFlow(nn.Module):
    """`sing` makes frames; `tell`, `prior` and `estimator` are what training asks one by one."""

    def __init__(self, config: SvcFlowConfig) -> None:
        super().__init__()
        self.config, self.objective = config, objective_of(config.flow)
        width, channels = config.width, config.fold * config.space.width
        if config.prenet:
            self.enter: nn.Module = ContentPrenet(config.content_width, width)
        else:
            self.enter = nn.Sequential(nn.Dropout(config.dropout), nn.Conv1d(config.content_width, width, 3, padding=1))
        told = config.fold * (F0_FEATURES + 1)
        self.who: Centred | nn.Identity = Centred(SINGER_WIDTH) if config.centred else nn.Identity()
        self.encoder = ConvNeXt(width + told, width, config.hidden, config.encoder_blocks)
        self.prior_singer = nn.Linear(SINGER_WIDTH, 2 * width)
        self.prior_out = nn.Sequential(nn.Conv1d(width, width, 3, padding=1), nn.GELU(), nn.Conv1d(width, channels, 1))
        if config.estimator == "convnext":
            self.flow: nn.Module = ConvNeXtFlow(
                ConvNeXtFlowConfig(
                    channels=channels, conditions=width + channels, singer=SINGER_WIDTH, width=width,
                    hidden=config.hidden, blocks=config.blocks, dropout=config.dropout,
                )
            )  # fmt: skip
        else:
            self.flow = UNet(UNetConfig(bands=channels, singer=SINGER_WIDTH))
        nn.init.zeros_(self.prior_singer.weight)
        nn.init.zeros_(self.prior_singer.bias)

    def tell(self, told: Told) -> Tensor:
        """h_BWT: what is sung, on which pitch and how loud. Nothing of who sings is told."""
        fold = self.config.fold
        # The first feature says whether anybody sings; here the pitch goes on where nobody does.
        voiced_B1F = told.voiced_BF[:, None].to(told.loudness_db_BF.dtype)
        pitch_BDF, loudness_B1F = f0_features(told.f0_hz_BF), loudness_told(told.loudness_db_BF)[:, None]
        frames_BDF = torch.cat([voiced_B1F, pitch_BDF[:, 1:], loudness_B1F], dim=1)
        content_BCT = fold_frames(told.content_BCF, fold).unflatten(1, (fold, -1)).mean(1)
        x_BWT = self.enter(content_BCT)
        return self.encoder(torch.cat([x_BWT, fold_frames(frames_BDF, fold)], dim=1))

    def prior(self, h_BWT: Tensor, singer_BE: Tensor) -> Tensor:
        """mu_BDT."""
        gain_B1W, shift_B1W = self.prior_singer(self.who(singer_BE))[:, None].chunk(2, dim=2)
        steered_BWT = (h_BWT.mT * (1 + gain_B1W) + shift_B1W).mT
        mu_BDT: Tensor = self.prior_out(steered_BWT)
        return mu_BDT

    def estimator(self, h_BWT: Tensor, mu_BDT: Tensor, singer_BE: Tensor) -> Estimator:
        """(x_BDT, t_B) -> the objective's target, with the conditions bound to it."""
        who_BE = self.who(singer_BE)
        if isinstance(self.flow, UNet):
            unet = self.flow
            return lambda x_BDT, t_B: unet(x_BDT, t_B, mu_BDT, who_BE)
        assert isinstance(self.flow, ConvNeXtFlow)
        flow, told = self.flow, self.flow.tell(torch.cat([h_BWT, mu_BDT], dim=1), who_BE)
        return lambda x_BDT, t_B: flow(x_BDT, t_B, told)

    def guided_estimator(
        self, h_BWT: Tensor, mu_BDT: Tensor, singer_BE: Tensor, guidance: float, guidance_singer: float = 1.0
    ) -> Estimator:
        """`estimator`, led away from what it says for nobody, and without content and singer; 1: not at all."""
        estimate, nobody_BE = self.estimator(h_BWT, mu_BDT, singer_BE), torch.zeros_like(singer_BE)
        if guidance_singer != 1:
            nobodys = self.estimator(h_BWT, self.prior(h_BWT, nobody_BE), nobody_BE)
            estimate = guided(estimate, nobodys, guidance_singer)
        if guidance == 1:
            return estimate
        untold = self.estimator(torch.zeros_like(h_BWT), torch.zeros_like(mu_BDT), nobody_BE)
        return guided(estimate, untold, guidance)

    @torch.no_grad()
    def sing(self, told: Told, sampling: Sampling, first_frame: int = 0) -> Tensor:
        """x_BDF. `first_frame`: where in its song the stretch begins, a multiple of `fold`: noise belongs to a song's
        frames, so chunks of one song fit together, whatever their sizes."""
        fold = self.config.fold
        assert first_frame % fold == 0, (first_frame, fold)
        steps = self.num_steps(sampling)
        h_BWT = self.tell(told)
        mu_BDT = self.prior(h_BWT, told.singer_BE)
        by_singer = sampling.guidance_singer
        by_singer = self.config.usual_guidance_singer if by_singer is None else by_singer
        estimate = self.guided_estimator(h_BWT, mu_BDT, told.singer_BE, sampling.guidance, by_singer)
        x_BDT = sample(
            self.objective, estimate, mu_BDT, sampling.seed, None, sampling.method, steps,
            sampling.temperature, first_frame // fold,
        )  # fmt: skip
        return unfold_frames(x_BDT, fold, told.num_frames)

    def num_steps(self, sampling: Sampling) -> int:
        """Raises InputError for those that a distilled model does not know."""
        own = self.config.flow.steps
        if own is None:
            return sampling.steps or self.config.usual_steps
        steps = sampling.steps or own
        if own % steps or sampling.method != "euler":
            fit = " or ".join(str(k) for k in range(1, own + 1) if own % k == 0)
            raise InputError(
                f"steps {steps} method {sampling.method}: the model was distilled to {own} of euler and knows no "
                f"other times; leave both out, or give steps {fit}"
            )
        return steps


class SvcFlowVoice(InSpace):
    """A run of `autosing train svc_flow`, ready to sing: the networks and the space that makes them sound."""

    takes: ClassVar[frozenset[str]] = frozenset(Sampling.model_fields)
    """Of Sampling: all."""

    def __init__(self, model: SvcFlow, space: AcousticSpace) -> None:
        self.model, self.space = model.eval(), space

    @property
    def content(self) -> tuple[Part, ...]:
        """The encoders' layers that content must be of."""
        return self.model.config.content

    def sing(self, told: Told, sampling: Sampling, first_frame: int = 0) -> Tensor:
        return self.model.sing(told, sampling, first_frame)


def load_svc_flow(folder: Path, device: str | torch.device = "cpu", vocoder: Vocoder | None = None) -> SvcFlowVoice:
    """A run folder -> the model. Raises InputError where it is none, or its space's codec is another by now."""
    file = load_model(folder, "svc_flow")
    model = SvcFlow(SvcFlowConfig.build(file.config, origin=str(folder)))
    restore(model, file, folder)
    space = load_space(model.config.space, vocoder, str(device))
    return SvcFlowVoice(model.to(device).eval().requires_grad_(False), space)
