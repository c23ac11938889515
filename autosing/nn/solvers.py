"""A start and a network that gives velocities or denoised data -> the end of the flow, in few steps.

For any flow, by its velocity dx/dt: Euler, midpoint and Heun. For the variance-preserving (VP) process of diffusion, by
its denoiser: DPM-Solver++ of orders 1 to 3 and the maximum-likelihood solver of the reverse SDE.

Frames outside the mask are not changed. Coefficients are computed in float64, whatever the type of the frames.

Shapes: B clips, D numbers per frame, T frames, N times (one more than steps).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor

from autosing.ids import seed_of

OdeMethod = Literal["euler", "midpoint", "heun"]
VpMethod = Literal["dpm++1", "dpm++2", "dpm++3", "ml-sde"]
Method = OdeMethod | VpMethod
ODE_METHODS: tuple[OdeMethod, ...] = get_args(OdeMethod)
VP_METHODS: tuple[VpMethod, ...] = get_args(VpMethod)

Network = Callable[[Tensor, float], Tensor]
"""(x_BDT, t) -> a velocity, or denoised data, of x's shape."""

_BLOCK = 64
"""Frames that share a random generator."""


def evaluations(method: Method, steps: int) -> int:
    """How often the network is evaluated."""
    if method in ("midpoint", "heun"):
        return 2 * steps
    return steps + (method == "dpm++3")


def even_times(first: float, last: float, steps: int) -> list[float]:
    return [first + (last - first) * i / steps for i in range(steps + 1)]


def solve_ode(
    velocity: Network, x_BDT: Tensor, times_N: Sequence[float], method: OdeMethod, mask_BT: Tensor | None = None
) -> Tensor:
    """x at the last time, from x at the first. Explicit Runge-Kutta methods (Hairer, Norsett & Wanner 1993, II.1);
    order of convergence: Euler 1, midpoint and Heun 2."""
    for t, after in pairwise(times_N):
        step = after - t
        slope_BDT = velocity(x_BDT, t)
        if method == "midpoint":
            slope_BDT = velocity(_where(mask_BT, x_BDT + step / 2 * slope_BDT, x_BDT), t + step / 2)
        elif method == "heun":
            slope_BDT = (slope_BDT + velocity(_where(mask_BT, x_BDT + step * slope_BDT, x_BDT), after)) / 2
        x_BDT = _where(mask_BT, x_BDT + step * slope_BDT, x_BDT)
    return x_BDT


@dataclass(frozen=True)
class VpSchedule:
    """x_t = alpha_t x_0 + sigma_t noise with alpha^2 + sigma^2 = 1; beta is linear in t (Song et al. 2021,
    arXiv:2011.13456, equations 32 and 33). t = 0 is data, t = 1 noise."""

    beta_first: float = 0.05
    beta_last: float = 20.0

    def beta(self, t: float) -> float:
        return self.beta_first + (self.beta_last - self.beta_first) * t

    def total(self, t: float) -> float:
        """The integral of beta from 0 to t."""
        return self.beta_first * t + (self.beta_last - self.beta_first) * t * t / 2

    def alpha(self, t: float) -> float:
        return math.exp(-self.total(t) / 2)

    def sigma(self, t: float) -> float:
        return math.sqrt(-math.expm1(-self.total(t)))

    def log_snr(self, t: float) -> float:
        """lambda = ln(alpha / sigma), as in DPM-Solver: half the log of the signal-to-noise power ratio."""
        return math.log(self.alpha(t) / self.sigma(t))

    def time_of(self, log_snr: float) -> float:
        """The inverse of `log_snr`."""
        total = math.log1p(math.exp(-2 * log_snr))
        slope = self.beta_last - self.beta_first
        return 2 * total / (self.beta_first + math.sqrt(self.beta_first**2 + 2 * slope * total))

    def even_log_snr(self, first: float, last: float, steps: int) -> list[float]:
        """Times at equal distances of lambda."""
        times_N = [self.time_of(x) for x in even_times(self.log_snr(first), self.log_snr(last), steps)]
        return [first, *times_N[1:-1], last]


def dpm_solver(
    denoise: Network,
    x_BDT: Tensor,
    times_N: Sequence[float],
    schedule: VpSchedule,
    order: int,
    mask_BT: Tensor | None = None,
) -> Tensor:
    """DPM-Solver++, multistep (Lu et al. 2022, arXiv:2211.01095, equation 8): the denoised data, as a polynomial in
    lambda through the last `order` evaluations, integrated exactly. One evaluation per step.

    Order 3 takes its first step by the single-step method of order 2 (algorithm 1, r = 1/2), with one more evaluation:
    after a first step of order 1, the whole solver would have order 2.
    """
    answers: list[tuple[float, Tensor]] = []  # (lambda, denoised), the last first
    for t, after in pairwise(times_N):
        answers.insert(0, (schedule.log_snr(t), denoise(x_BDT, t)))
        del answers[order:]
        if order == 3 and len(answers) == 1:
            middle = schedule.time_of((schedule.log_snr(t) + schedule.log_snr(after)) / 2)
            halfway_BDT = _where(mask_BT, _exponential_step(x_BDT, t, middle, schedule, answers), x_BDT)
            between = [(schedule.log_snr(t), denoise(halfway_BDT, middle))]
            x_BDT = _where(mask_BT, _exponential_step(x_BDT, t, after, schedule, between), x_BDT)
        else:
            x_BDT = _where(mask_BT, _exponential_step(x_BDT, t, after, schedule, answers), x_BDT)
    return x_BDT


def ml_sde(
    denoise: Network,
    x_BDT: Tensor,
    times_N: Sequence[float],
    schedule: VpSchedule,
    noise_NBDT: Tensor,
    mask_BT: Tensor | None = None,
) -> Tensor:
    """The maximum-likelihood solver of the reverse SDE (Popov et al. 2022, arXiv:2109.13821, theorem 1, without the
    term of the data's own variance). Their step with kappa and omega written out is mu x + nu denoised + sigma noise,
    with their mu, nu and sigma: exact in distribution where the data is one point, of order 1 elsewhere.

    noise_NBDT: one for each step. times_N may end at 0.
    """
    for i, (t, after) in enumerate(pairwise(times_N)):
        noise, before = schedule.sigma(t) ** 2, schedule.sigma(after) ** 2
        kept = math.exp(-(schedule.total(t) - schedule.total(after)) / 2)  # gamma from `after` to t
        added = -math.expm1(-(schedule.total(t) - schedule.total(after)))
        mu, nu = kept * before / noise, schedule.alpha(after) * added / noise
        sigma = math.sqrt(before * added / noise)
        x_BDT = _where(mask_BT, mu * x_BDT + nu * denoise(x_BDT, t) + sigma * noise_NBDT[i], x_BDT)
    return x_BDT


def frame_noise(
    seed: int, shape: tuple[int, int, int], first_frame: int = 0, draws: int = 1, device: torch.device | None = None
) -> Tensor:
    """noise_NBDT, standard normal, of `draws` draws for (B, D, T). A frame's noise follows from the seed and the number
    of the frame, counted from `first_frame`. So neither padding nor chunking changes it, on any device."""
    clips, width, num_frames = shape
    last_frame = first_frame + num_frames
    blocks = [
        torch.randn(draws, clips, width, _BLOCK, generator=torch.Generator().manual_seed(seed_of("noise", seed, block)))
        for block in range(first_frame // _BLOCK, -(-last_frame // _BLOCK))
    ]
    start = first_frame % _BLOCK
    return torch.cat(blocks, dim=3)[..., start : start + num_frames].to(device)


def _exponential_step(
    x_BDT: Tensor, t: float, after: float, schedule: VpSchedule, answers: Sequence[tuple[float, Tensor]]
) -> Tensor:
    """x(after) = sigma_after / sigma_t x + alpha_after * the integral over u in [0, h] of exp(u - h) P(u), h the step
    of lambda and P Newton's polynomial through one to three answers (u = 0 at t)."""
    h = schedule.log_snr(after) - schedule.log_snr(t)
    moment_0 = -math.expm1(-h)  # the integrals of exp(u - h) u^k
    moment_1 = h - moment_0
    moment_2 = h * h - 2 * moment_1
    integral_BDT = moment_0 * answers[0][1]
    if len(answers) > 1:
        gap = answers[0][0] - answers[1][0]
        slope_BDT = (answers[0][1] - answers[1][1]) / gap
        integral_BDT = integral_BDT + moment_1 * slope_BDT
    if len(answers) > 2:
        gap_before = answers[1][0] - answers[2][0]
        slope_before_BDT = (answers[1][1] - answers[2][1]) / gap_before
        curve_BDT = (slope_BDT - slope_before_BDT) / (gap + gap_before)
        integral_BDT = integral_BDT + (moment_2 + gap * moment_1) * curve_BDT
    return schedule.sigma(after) / schedule.sigma(t) * x_BDT + schedule.alpha(after) * integral_BDT


def _where(mask_BT: Tensor | None, new_BDT: Tensor, old_BDT: Tensor) -> Tensor:
    return new_BDT if mask_BT is None else torch.where(mask_BT[:, None], new_BDT, old_BDT)
