"""(data, prior mean, noise) -> the training loss of a flow model; and a trained model, a prior and a seed -> new data.

There are three objectives (`objective_of`): score matching on the variance-preserving SDE that ends around a prior mean
(Grad-TTS, Grad-SVC), flow matching on the optimal-transport path, and rectified flow, which may be trained again on
pairs that it generated itself (reflow). Each has its path, its target, and the velocity that follows from an estimate.

An estimator is a function of (x_BDT, t_B); conditions, mask and singer are already bound to it.

Shapes: B clips, D numbers per frame, T frames, K times.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from autosing.config import Config
from autosing.errors import InputError
from autosing.nn.solvers import (
    ODE_METHODS,
    VP_METHODS,
    Method,
    VpSchedule,
    dpm_solver,
    even_times,
    frame_noise,
    ml_sde,
    solve_ode,
)

Estimator = Callable[[Tensor, Tensor], Tensor]
"""(x_BDT, t_B) -> an estimate of the objective's target."""


class FlowConfig(Config):
    """Which objective to use, and its parameters."""

    objective: Literal["vp", "cfm", "rectified"] = "rectified"
    around_prior: bool = False
    """Flows begin at the prior mean plus noise, not at noise alone. vp always does."""
    sigma_min: float = Field(default=1e-4, ge=0, lt=1)
    """cfm: the standard deviation that remains around each datum at the end."""
    beta_first: float = Field(default=0.05, gt=0)
    beta_last: float = Field(default=20.0, gt=0)
    """Of vp: its noise a unit of time, at data and at noise."""
    steps: int | None = Field(default=None, ge=1, le=4)
    """Distilled: trained on a teacher's pairs at the times of so many steps of Euler alone, and sampled by these. None:
    at any time."""

    def model_post_init(self, _: object) -> None:
        if self.steps is not None and self.objective == "vp":
            raise InputError("flow.steps: vp cannot be distilled on straight ways; need objective rectified or cfm")

    @property
    def times_K(self) -> list[float] | None:
        """What a distilled model is trained at."""
        return None if self.steps is None else even_times(0.0, 1.0, self.steps)[:-1]


class Objective(ABC):
    """A path between a source (noise, or noise around a prior) and data."""

    begin: float
    """The time at the source, where sampling begins."""
    end: float
    around_prior: bool

    def source(self, prior_BDT: Tensor, noise_BDT: Tensor) -> Tensor:
        """Where the path begins."""
        return prior_BDT + noise_BDT if self.around_prior else noise_BDT

    @abstractmethod
    def point(self, data_BDT: Tensor, source_BDT: Tensor, prior_BDT: Tensor, t_B: Tensor) -> tuple[Tensor, Tensor]:
        """(x_BDT at time t, target_BDT that the estimator must predict from it)."""

    @abstractmethod
    def draw_times(self, uniform_B: Tensor) -> Tensor:
        """t_B of training from numbers in [0, 1)."""

    @abstractmethod
    def velocity(self, estimate: Estimator, prior_BDT: Tensor) -> Callable[[Tensor, float], Tensor]:
        """(x_BDT, t) -> dx/dt of the deterministic flow."""

    def loss(
        self,
        estimate: Estimator,
        data_BDT: Tensor,
        prior_BDT: Tensor,
        mask_BT: Tensor | None = None,
        source_BDT: Tensor | None = None,
        times_K: Sequence[float] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Mean squared error over the frames of the mask, at a time drawn for each clip.

        source_BDT: the sources that belong to the data (`reflow_pairs`); by default they are drawn.
        times_K: draw from these times only. (begin,) distils a reflowed model to one step (Liu et al. 2022,
        arXiv:2209.03003, section 2), (0, 1/2) to two.
        """
        clips, device = len(data_BDT), data_BDT.device
        if source_BDT is None:
            noise_BDT = torch.randn(data_BDT.shape, generator=generator, device=device, dtype=data_BDT.dtype)
            source_BDT = self.source(prior_BDT, noise_BDT)
        uniform_B = torch.rand(clips, generator=generator, device=device, dtype=data_BDT.dtype)
        if times_K is None:
            t_B = self.draw_times(uniform_B)
        else:
            t_B = torch.tensor(times_K, device=device, dtype=data_BDT.dtype)[(uniform_B * len(times_K)).long()]
        x_BDT, target_BDT = self.point(data_BDT, source_BDT, prior_BDT, t_B)
        return masked_mean((estimate(x_BDT, t_B) - target_BDT).square(), mask_BT)


class VpScore(Objective):
    """Grad-TTS (Popov et al. 2021, arXiv:2105.06337, forward diffusion with unit covariance): from data at t = 0

        dX = (mu - X) beta / 2 dt + sqrt(beta) dW

    The estimator predicts the noise, -sigma times the score: this is their weighted loss, with the other sign."""

    begin, end = 1.0, 1e-3
    around_prior = True

    def __init__(self, schedule: VpSchedule) -> None:
        self.schedule = schedule

    def point(self, data_BDT: Tensor, source_BDT: Tensor, prior_BDT: Tensor, t_B: Tensor) -> tuple[Tensor, Tensor]:
        """The SDE's closed solution, mu + alpha (data - mu) + sigma noise."""
        first, last = self.schedule.beta_first, self.schedule.beta_last
        total_B11 = (first * t_B + (last - first) * t_B.square() / 2)[:, None, None]
        noise_BDT, alpha_B11 = source_BDT - prior_BDT, (-total_B11 / 2).exp()
        sigma_B11 = (-torch.expm1(-total_B11)).sqrt()
        return prior_BDT + alpha_B11 * (data_BDT - prior_BDT) + sigma_B11 * noise_BDT, noise_BDT

    def draw_times(self, uniform_B: Tensor) -> Tensor:
        return 1e-5 + (1 - 2e-5) * uniform_B

    def velocity(self, estimate: Estimator, prior_BDT: Tensor) -> Callable[[Tensor, float], Tensor]:
        """The probability flow (Song et al. 2021, arXiv:2011.13456, equation 13), as Grad-TTS samples."""

        def slope(x_BDT: Tensor, t: float) -> Tensor:
            noise_BDT = estimate(x_BDT, _times(x_BDT, t))
            return self.schedule.beta(t) / 2 * (prior_BDT - x_BDT + noise_BDT / self.schedule.sigma(t))

        return slope

    def denoised(self, estimate: Estimator, prior_BDT: Tensor) -> Callable[[Tensor, float], Tensor]:
        """(x_BDT - prior_BDT, t) -> the data less the prior: relative to mu, the process is the plain VP one."""

        def data(away_BDT: Tensor, t: float) -> Tensor:
            noise_BDT = estimate(prior_BDT + away_BDT, _times(away_BDT, t))
            return (away_BDT - self.schedule.sigma(t) * noise_BDT) / self.schedule.alpha(t)

        return data


class StraightFlow(Objective):
    """x = (1 - (1 - s) t) source + t data, target data - (1 - s) source: flow matching on the optimal-transport path
    (Lipman et al. 2023, arXiv:2210.02747, equations 22 and 23); with s = 0 rectified flow (Liu et al. 2022,
    arXiv:2209.03003, equation 1)."""

    begin, end = 0.0, 1.0

    def __init__(self, sigma_min: float, around_prior: bool) -> None:
        self.sigma_min, self.around_prior = sigma_min, around_prior

    def point(self, data_BDT: Tensor, source_BDT: Tensor, prior_BDT: Tensor, t_B: Tensor) -> tuple[Tensor, Tensor]:
        t_B11 = t_B[:, None, None]
        x_BDT = (1 - (1 - self.sigma_min) * t_B11) * source_BDT + t_B11 * data_BDT
        return x_BDT, data_BDT - (1 - self.sigma_min) * source_BDT

    def draw_times(self, uniform_B: Tensor) -> Tensor:
        return uniform_B

    def velocity(self, estimate: Estimator, prior_BDT: Tensor) -> Callable[[Tensor, float], Tensor]:
        return lambda x_BDT, t: estimate(x_BDT, _times(x_BDT, t))


def objective_of(config: FlowConfig) -> Objective:
    if config.objective == "vp":
        return VpScore(VpSchedule(config.beta_first, config.beta_last))
    return StraightFlow(config.sigma_min if config.objective == "cfm" else 0.0, config.around_prior)


@torch.no_grad()
def sample(
    objective: Objective,
    estimate: Estimator,
    prior_BDT: Tensor,
    seed: torch.Generator | int,
    mask_BT: Tensor | None = None,
    method: Method = "euler",
    steps: int = 4,
    temperature: float = 1.0,
    first_frame: int = 0,
) -> Tensor:
    """New data_BDT; where the mask is false, the prior unchanged.

    seed: a number, or a generator from which one is drawn. The noise of a frame follows from it and the frame's number,
    counted from `first_frame`, so that chunks of one song fit together. temperature scales all noise; 0: no noise.
    Raises InputError for a method that cannot solve this objective, and for steps below 1.
    """
    noise_NBDT = _noise(prior_BDT, seed, first_frame, 1 + steps * (method == "ml-sde"))
    start_BDT = objective.source(prior_BDT, temperature * noise_NBDT[0])
    return _follow(objective, estimate, prior_BDT, start_BDT, mask_BT, method, steps, temperature * noise_NBDT[1:])


@torch.no_grad()
def reflow_pairs(
    objective: Objective,
    estimate: Estimator,
    prior_BDT: Tensor,
    seed: torch.Generator | int,
    mask_BT: Tensor | None = None,
    method: Method = "heun",
    steps: int = 10,
) -> tuple[Tensor, Tensor]:
    """(source_BDT, data_BDT) pairs that the flow maps to one another. A second rectified flow that is trained on them
    has straighter paths (reflow, Liu et al. 2022, section 2). Raises InputError for a stochastic solver."""
    if method == "ml-sde":
        raise InputError("reflow by ml-sde: its result does not follow from its start alone; take an ODE solver")
    source_BDT = objective.source(prior_BDT, _noise(prior_BDT, seed, 0, 1)[0])
    no_noise = prior_BDT.new_zeros(0)
    return source_BDT, _follow(objective, estimate, prior_BDT, source_BDT, mask_BT, method, steps, no_noise)


def _follow(
    objective: Objective,
    estimate: Estimator,
    prior_BDT: Tensor,
    start_BDT: Tensor,
    mask_BT: Tensor | None,
    method: Method,
    steps: int,
    noise_NBDT: Tensor,
) -> Tensor:
    if steps < 1:
        raise InputError(f"{steps} steps: need one or more")
    if mask_BT is not None:
        start_BDT = torch.where(mask_BT[:, None], start_BDT, prior_BDT)
    if method in ODE_METHODS:
        times_N = even_times(objective.begin, objective.end, steps)
        return solve_ode(objective.velocity(estimate, prior_BDT), start_BDT, times_N, method, mask_BT)
    if method not in VP_METHODS:
        raise InputError(f"solver {method}: none of {', '.join([*ODE_METHODS, *VP_METHODS])}")
    if not isinstance(objective, VpScore):
        raise InputError(f"solver {method}: only for the objective vp; take one of {', '.join(ODE_METHODS)}")
    schedule, denoise = objective.schedule, objective.denoised(estimate, prior_BDT)
    if method == "ml-sde":
        away_BDT = ml_sde(denoise, start_BDT - prior_BDT, even_times(1.0, 0.0, steps), schedule, noise_NBDT, mask_BT)
    else:
        times_N, order = schedule.even_log_snr(objective.begin, objective.end, steps), int(method[-1])
        away_BDT = dpm_solver(denoise, start_BDT - prior_BDT, times_N, schedule, order, mask_BT)
    return prior_BDT + away_BDT


def guided(told: Estimator, untold: Estimator, scale: float) -> Estimator:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598, equation 6, scale = 1 + w): away from the
    unconditional estimate. scale 1: only the conditional estimate is computed; 0: only the unconditional one."""
    if scale == 1:
        return told

    def estimate(x_BDT: Tensor, t_B: Tensor) -> Tensor:
        untold_BDT = untold(x_BDT, t_B)
        return untold_BDT + scale * (told(x_BDT, t_B) - untold_BDT)

    return estimate


def drop_conditions(condition: Tensor, null: Tensor, share: float, generator: torch.Generator | None = None) -> Tensor:
    """For training: each clip's condition in a batch [B, ...] is replaced with the probability `share` by `null`, a
    learned vector or zeros of the shape of one clip's condition."""
    dropped_B = torch.rand(len(condition), generator=generator, device=condition.device) < share
    return torch.where(dropped_B.view(-1, *[1] * (condition.dim() - 1)), null, condition)


def masked_mean(error_BDT: Tensor, mask_BT: Tensor | None) -> Tensor:
    """The mean over all numbers of the frames where the mask is true."""
    if mask_BT is None:
        return error_BDT.mean()
    weight_B1T = mask_BT[:, None].to(error_BDT.dtype)
    return (error_BDT * weight_B1T).sum() / (weight_B1T.sum() * error_BDT.shape[1]).clamp(min=1)


def _times(x_BDT: Tensor, t: float) -> Tensor:
    return torch.full((len(x_BDT),), t, dtype=x_BDT.dtype, device=x_BDT.device)


def _noise(prior_BDT: Tensor, seed: torch.Generator | int, first_frame: int, draws: int) -> Tensor:
    if isinstance(seed, torch.Generator):
        seed = int(torch.randint(2**62, (), generator=seed, device=seed.device))
    clips, width, num_frames = prior_BDT.shape
    noise_NBDT = frame_noise(seed, (clips, width, num_frames), first_frame, draws, prior_BDT.device)
    return noise_NBDT.to(prior_BDT.dtype)
