"""Solvers: their orders of convergence where the answer is known, and the schedule of noise."""

import math

import numpy as np
import pytest
import torch

from autosing.nn.flow_matching import (
    StraightFlow,
)
from autosing.nn.solvers import (
    ODE_METHODS,
    VpSchedule,
    dpm_solver,
    even_times,
    ml_sde,
    solve_ode,
)
from tests.test_flow_matching import MEAN, PRIOR, SPREAD, VP, flow_velocity, order, starts, vp_noise

# Orders of convergence


@pytest.mark.parametrize(("method", "wanted"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
def test_ode_solvers_have_their_order_on_a_linear_equation(method, wanted):
    """dx/dt = -2 t x + t has the solution 1/2 + c exp(-t^2)."""
    x_BDT, _ = starts()
    exact_BDT = 0.5 + (x_BDT - 0.5) * math.exp(-1)
    errors = [
        float((solve_ode(lambda x, t: -2 * t * x + t, x_BDT, even_times(0, 1, n), method) - exact_BDT).abs().max())
        for n in (32, 64)
    ]
    assert order(errors) == pytest.approx(wanted, abs=0.12) and errors[1] < 0.02


@pytest.mark.parametrize(("method", "wanted"), [("euler", 1), ("midpoint", 3), ("heun", 2)])
@pytest.mark.parametrize("flow", [StraightFlow(0.0, False), StraightFlow(1e-2, True)], ids=["rectified", "cfm"])
def test_a_flow_between_normals_ends_where_it_must(flow, method, wanted):
    """x keeps its place in the distribution: so many deviations from the mean. (The midpoint's leading error vanishes
    on these flows, and at t = 1 Euler's too.)"""
    noise_BDT, prior_BDT = starts()
    end, left = 0.7, 1 - (1 - flow.sigma_min) * 0.7
    exact_BDT = end * MEAN + (left * PRIOR if flow.around_prior else 0.0)
    exact_BDT = exact_BDT + math.sqrt((end * SPREAD) ** 2 + left**2) * noise_BDT
    velocity = flow.velocity(lambda x, t_B: flow_velocity(x, t_B, flow), prior_BDT)
    errors = []
    for steps in (32, 64):
        found_BDT = solve_ode(velocity, flow.source(prior_BDT, noise_BDT), even_times(0, end, steps), method)
        errors.append(float((found_BDT - exact_BDT).abs().max()))
    assert order(errors) == pytest.approx(wanted, abs=0.15) and errors[1] < 0.02


def vp_end(steps: int, method: str) -> float:
    """The largest error of the probability flow's end, from given starts."""
    x_BDT, prior_BDT = starts()
    schedule, end = VP.schedule, 0.01

    def moments(t: float) -> tuple[float, float]:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        return PRIOR + alpha * (MEAN - PRIOR), math.sqrt(alpha**2 * SPREAD**2 + sigma**2)

    (mean_1, spread_1), (mean_0, spread_0) = moments(1.0), moments(end)
    exact_BDT = mean_0 + (x_BDT - mean_1) * spread_0 / spread_1
    if method in ODE_METHODS:
        found_BDT = solve_ode(VP.velocity(vp_noise, prior_BDT), x_BDT, even_times(1.0, end, steps), method)
    else:
        times_N = schedule.even_log_snr(1.0, end, steps)
        denoise = VP.denoised(vp_noise, prior_BDT)
        found_BDT = PRIOR + dpm_solver(denoise, x_BDT - PRIOR, times_N, schedule, int(method[-1]))
    return float((found_BDT - exact_BDT).abs().max())


@pytest.mark.parametrize(
    ("method", "wanted"),
    [("euler", 1), ("midpoint", 2), ("heun", 2), ("dpm++1", 1), ("dpm++2", 2), ("dpm++3", 3)],
)
def test_solvers_have_their_order_on_the_probability_flow(method, wanted):
    assert order([vp_end(n, method) for n in (320, 640)]) == pytest.approx(wanted, abs=0.25)


def test_higher_orders_pay_already_at_twenty_steps():
    """With ten, order 3 is still no better than order 2 here."""
    errors = [vp_end(20, f"dpm++{n}") for n in (1, 2, 3)]
    assert errors[0] > 4 * errors[1] > 16 * errors[2]


def sde_moments(steps: int, spread: float) -> tuple[float, float]:
    """Mean and variance of what the SDE solver gives: it is linear in start and noise, so unit noises tell them."""
    units_NN = torch.eye(steps + 1, dtype=torch.float64)
    rows_BN = torch.cat([torch.zeros(1, steps + 1, dtype=torch.float64), units_NN])
    prior_BDT = torch.full((steps + 2, 1, 1), PRIOR, dtype=torch.float64)
    denoise = VP.denoised(lambda x, t_B: vp_noise(x, t_B, spread), prior_BDT)
    noise_NBDT = rows_BN.T[1:, :, None, None]
    found_B = (
        PRIOR + ml_sde(denoise, rows_BN[:, 0, None, None], even_times(1, 0, steps), VP.schedule, noise_NBDT).flatten()
    )
    return float(found_B[0]), float((found_B[1:] - found_B[0]).square().sum())


def test_the_ml_solver_is_exact_on_a_point_and_of_order_one_on_a_spread():
    for steps in (1, 2, 5, 20):
        mean, variance = sde_moments(steps, spread=0.0)
        assert mean == pytest.approx(MEAN) and variance == pytest.approx(0, abs=1e-9)
    errors = [abs(sde_moments(n, SPREAD)[1] - SPREAD**2) for n in (200, 400)]
    assert order(errors) == pytest.approx(1, abs=0.15) and errors[1] < 0.02
    assert sde_moments(400, SPREAD)[0] == pytest.approx(MEAN, abs=0.02)


def test_the_ml_step_is_that_of_the_papers_coefficients():
    """kappa, omega and sigma of DiffVC's theorem, in their Euler-like step with the score."""
    schedule, prior = VP.schedule, PRIOR
    x_BDT, prior_BDT = starts()
    t, h = 0.6, 0.1

    def gamma(s: float, t: float) -> float:
        beta, slope = schedule.beta_first, schedule.beta_last - schedule.beta_first
        return math.exp(-0.5 * (beta * (t - s) + slope * (t * t - s * s) / 2))

    def variance(s: float, t: float) -> float:
        return 1 - gamma(s, t) ** 2

    beta_t = schedule.beta(t)
    mu = gamma(t - h, t) * variance(0, t - h) / variance(0, t)
    nu = gamma(0, t - h) * variance(t - h, t) / variance(0, t)
    kappa = nu * variance(0, t) / (gamma(0, t) * beta_t * h) - 1
    omega = (mu - 1) / (beta_t * h) + (1 + kappa) / variance(0, t) - 0.5
    sigma = math.sqrt(variance(0, t - h) * variance(t - h, t) / variance(0, t))
    score_BDT = -vp_noise(x_BDT, torch.full((1,), t, dtype=torch.float64)) / math.sqrt(variance(0, t))
    noise_BDT = torch.ones_like(x_BDT)
    expected_BDT = x_BDT + beta_t * h * ((0.5 + omega) * (x_BDT - prior) + (1 + kappa) * score_BDT) + sigma * noise_BDT
    denoise = VP.denoised(vp_noise, prior_BDT)
    found_BDT = prior + ml_sde(denoise, x_BDT - prior, [t, t - h], schedule, noise_BDT[None])
    torch.testing.assert_close(found_BDT, expected_BDT)


def test_order_two_of_dpm_is_near_the_published_second_update():
    """Lu et al. 2022, algorithm 2, has h / 2 in place of the exact integral: the two agree to h^3."""
    schedule, x_BDT = VP.schedule, starts()[0]
    differences = []
    for steps in (20, 40):
        times_N = schedule.even_log_snr(0.9, 0.1, steps)
        lam = [schedule.log_snr(t) for t in times_N]
        h_before, h = lam[1] - lam[0], lam[2] - lam[1]
        answers = [torch.sin(3 * x_BDT), torch.sin(3 * x_BDT + h_before)]
        told = iter(answers)
        found_BDT = dpm_solver(lambda x, t, told=told: next(told), x_BDT, times_N[:3], schedule, 2)
        x1_BDT = schedule.sigma(times_N[1]) / schedule.sigma(times_N[0]) * x_BDT
        x1_BDT = x1_BDT - schedule.alpha(times_N[1]) * math.expm1(-h_before) * answers[0]
        r = h_before / h
        both_BDT = (1 + 1 / (2 * r)) * answers[1] - answers[0] / (2 * r)
        theirs_BDT = schedule.sigma(times_N[2]) / schedule.sigma(times_N[1]) * x1_BDT
        theirs_BDT = theirs_BDT - schedule.alpha(times_N[2]) * math.expm1(-h) * both_BDT
        differences.append(float((found_BDT - theirs_BDT).abs().max()))
    assert order(differences) == pytest.approx(3, abs=0.3)


# The schedule


def test_the_schedule_is_the_integral_of_its_beta_and_its_inverse_is_one():
    schedule = VpSchedule()
    grid = np.linspace(0, 0.8, 100_001)
    total = np.trapezoid([schedule.beta(t) for t in grid], grid)
    assert schedule.total(0.8) == pytest.approx(total) and schedule.alpha(1.0) < 0.01
    assert schedule.alpha(0.3) ** 2 + schedule.sigma(0.3) ** 2 == pytest.approx(1)
    for t in (1e-3, 0.1, 0.5, 1.0):
        assert schedule.time_of(schedule.log_snr(t)) == pytest.approx(t)
    gaps = np.diff([schedule.log_snr(t) for t in schedule.even_log_snr(1.0, 1e-3, 7)])
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-6)
