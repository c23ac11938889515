"""A latent as a model predicts it -> the latent as it is of true sound: a flow that begins around the prediction.

The idea of so-vits-svc 5.0's plug-in diffusion: the model is trained already and stays as it is; what its decoder
shall be given is refined, in a few steps of any solver of flows (autosing.nn.flow_matching).

Shapes: B clips, F frames, D numbers of the latent, W width of the states, E numbers of a singer.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.config import Config
from autosing.ids import seed_of
from autosing.models.told import Sampling
from autosing.nn.convnext_flow import ConvNeXtFlow, ConvNeXtFlowConfig
from autosing.nn.flow_matching import Estimator, FlowConfig, objective_of, sample


class RefinerConfig(Config):
    """About 1 M parameters by default, for states of 192 numbers."""

    flow: FlowConfig = FlowConfig(around_prior=True)
    spread: float = Field(default=0.5, gt=0)
    """Of the noise that is put on the prediction; the latent itself has a spread of about 1."""
    width: int = Field(default=192, ge=8, multiple_of=2)
    hidden: int = Field(default=576, ge=8)
    blocks: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    usual_steps: int = Field(default=4, ge=1)
    """By so many it is refined unless asked otherwise."""


class Refiner(nn.Module):
    """`refined` is its use; `loss` is what training asks for."""

    def __init__(self, config: RefinerConfig, latent: int, states: int, singer: int) -> None:
        super().__init__()
        self.config, self.objective = config, objective_of(config.flow)
        self.flow = ConvNeXtFlow(
            ConvNeXtFlowConfig(
                channels=latent, conditions=states + latent, singer=singer, width=config.width, hidden=config.hidden,
                blocks=config.blocks, dropout=config.dropout,
            )
        )  # fmt: skip

    def estimator(self, h_BWF: Tensor, predicted_BDF: Tensor, who_BE: Tensor) -> Estimator:
        """(x_BDF, t_B) -> the objective's target, both in spreads of the noise. `h_BWF`: the states from which the
        model predicted."""
        told = self.flow.tell(torch.cat([h_BWF, predicted_BDF], dim=1), who_BE)
        return lambda x_BDF, t_B: self.flow(x_BDF, t_B, told)

    def loss(self, h_BWF: Tensor, predicted_BDF: Tensor, true_BDF: Tensor, who_BE: Tensor, mask_BF: Tensor) -> Tensor:
        """The objective's, over the frames of the mask."""
        spread = self.config.spread
        estimate = self.estimator(h_BWF, predicted_BDF, who_BE)
        return self.objective.loss(
            lambda x_BDF, t_B: estimate(x_BDF, t_B).float(), true_BDF / spread, predicted_BDF / spread, mask_BF
        )

    @torch.no_grad()
    def refined(
        self, h_BWF: Tensor, predicted_BDF: Tensor, who_BE: Tensor, sampling: Sampling, first_frame: int = 0
    ) -> Tensor:
        """z_BDF. `first_frame`: see SvcVits.sing. Raises InputError for a method that cannot solve the objective."""
        spread = self.config.spread
        z_BDF = sample(
            self.objective, self.estimator(h_BWF, predicted_BDF, who_BE), predicted_BDF / spread,
            seed_of("refiner", sampling.seed), None, sampling.method, sampling.steps or self.config.usual_steps,
            sampling.temperature, first_frame,
        )  # fmt: skip
        return spread * z_BDF
