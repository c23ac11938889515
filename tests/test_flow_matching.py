"""Flows and their solvers: orders of convergence where the answer is known, straight couplings, seeds, masks."""

import math

import numpy as np
import pytest
import torch

from autosing.errors import InputError
from autosing.nn.flow_matching import (
    FlowConfig,
    StraightFlow,
    VpScore,
    drop_conditions,
    guided,
    masked_mean,
    objective_of,
    reflow_pairs,
    sample,
)
from autosing.nn.solvers import (
    ODE_METHODS,
    VP_METHODS,
    VpSchedule,
    dpm_solver,
    evaluations,
    even_times,
    frame_noise,
    ml_sde,
    solve_ode,
)

VP = VpScore(VpSchedule())
PRIOR, MEAN, SPREAD = 0.7, -0.4, 0.5
"""Data are normal: so are all that lies between, and the best estimate is known."""


def vp_noise(x: torch.Tensor, t_B: torch.Tensor, spread: float = SPREAD) -> torch.Tensor:
    """The noise that is to be expected in x, for normal data around MEAN and a prior mean of PRIOR."""
    schedule = VP.schedule
    t = float(t_B[0])
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    mean = PRIOR + alpha * (MEAN - PRIOR)
    return sigma * (x - mean) / (alpha**2 * spread**2 + sigma**2)


def flow_velocity(x: torch.Tensor, t_B: torch.Tensor, flow: StraightFlow) -> torch.Tensor:
    """The mean of data - source given x, for the same data and independent noise around PRIOR or 0."""
    t, source = t_B[:, None, None], PRIOR if flow.around_prior else 0.0
    left = 1 - flow.sigma_min
    variance = t**2 * SPREAD**2 + (1 - left * t) ** 2
    covariance = t * SPREAD**2 - (1 - left * t) * left
    return MEAN - left * source + covariance / variance * (x - t * MEAN - (1 - left * t) * source)


def order(errors: list[float]) -> float:
    """Of convergence, from errors at N and 2 N steps."""
    return math.log2(errors[0] / errors[1])


def starts() -> tuple[torch.Tensor, torch.Tensor]:
    x_BDT = torch.linspace(-2, 2, 12, dtype=torch.float64).view(1, 2, 6)
    return x_BDT, torch.full_like(x_BDT, PRIOR)


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


# Objectives


def test_each_objective_has_its_ends_its_target_and_no_loss_for_the_truth():
    torch.manual_seed(0)
    data, noise, prior = torch.randn(3, 4, 2, 5, dtype=torch.float64)
    first_B, last_B = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    for name in ("vp", "cfm", "rectified"):
        objective = objective_of(FlowConfig(objective=name, around_prior=True))
        source = objective.source(prior, noise)
        begins, ends = (first_B, last_B) if objective.begin == 0 else (last_B, first_B)
        torch.testing.assert_close(objective.point(data, source, prior, begins)[0], source, atol=0.04, rtol=0)
        torch.testing.assert_close(objective.point(data, source, prior, ends)[0], data, atol=1e-3, rtol=0)
        target = objective.point(data, source, prior, first_B)[1]
        assert float(objective.loss(lambda x, t, y=target: y, data, prior, source_BDT=source)) < 1e-20
    assert target.equal(data - source)


def test_the_velocity_of_the_flow_is_the_derivative_of_its_path():
    """Along one pair's path, whose estimate is its own target."""
    torch.manual_seed(0)
    data, noise, prior = torch.randn(3, 4, 2, 5, dtype=torch.float64)
    t_B = torch.full((4,), 0.37, dtype=torch.float64, requires_grad=True)
    for name in ("vp", "cfm", "rectified"):
        objective = objective_of(FlowConfig(objective=name))
        source = objective.source(prior, noise)
        point = lambda t, o=objective, s=source: o.point(data, s, prior, t)[0]  # noqa: E731
        slope = torch.autograd.functional.jvp(point, t_B, torch.ones_like(t_B))[1]
        x, target = objective.point(data, source, prior, t_B.detach())
        torch.testing.assert_close(objective.velocity(lambda x, t, y=target: y, prior)(x, 0.37), slope)


def test_the_best_estimate_of_normal_data_has_the_least_loss():
    torch.manual_seed(0)
    data = MEAN + SPREAD * torch.randn(20_000, 1, 1, dtype=torch.float64)
    prior = torch.full_like(data, PRIOR)
    for name in ("vp", "cfm", "rectified"):
        objective = objective_of(FlowConfig(objective=name, sigma_min=0.01, around_prior=True))

        def best(x: torch.Tensor, t_B: torch.Tensor, objective=objective) -> torch.Tensor:
            return vp_noise(x, t_B) if isinstance(objective, VpScore) else flow_velocity(x, t_B, objective)

        losses = [
            float(
                objective.loss(
                    lambda x, t_B, best=best, gain=gain, shift=shift: gain * best(x, t_B) + shift, data, prior,
                    times_K=(0.4,), generator=torch.Generator().manual_seed(1),
                )
            )
            for gain, shift in ((1.0, 0.0), (0.9, 0.0), (1.1, 0.0), (1.0, 0.1), (1.0, -0.1))
        ]  # fmt: skip
        assert losses[0] < min(losses[1:])


def test_one_step_is_exact_where_the_coupling_is_straight():
    """data = a source + b: ways do not cross, so the velocity is the same all along each of them."""
    rectified = objective_of(FlowConfig(objective="rectified"))
    gain, shift = 0.4, 1.5

    def velocity(x: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        t = t_B[:, None, None]
        source = (x - t * shift) / (1 - t + t * gain)
        return (gain - 1) * source + shift

    prior_BDT = torch.zeros(2, 3, 70)
    source_BDT, whole_BDT = reflow_pairs(rectified, velocity, prior_BDT, 5, steps=50)
    torch.testing.assert_close(whole_BDT, gain * source_BDT + shift)
    for method in ODE_METHODS:
        torch.testing.assert_close(sample(rectified, velocity, prior_BDT, 5, method=method, steps=1), whole_BDT)
    assert float(rectified.loss(velocity, gain * source_BDT + shift, prior_BDT, source_BDT=source_BDT)) < 1e-10
    assert float(rectified.loss(velocity, gain * source_BDT + shift, prior_BDT)) > 0.1


def test_reflow_straightens_and_distils_to_one_step():
    """A bent flow's pairs, learned by a straight line at t = 0, give in one step what many steps gave."""
    flow = StraightFlow(0.0, False)
    bent = lambda x, t_B: flow_velocity(x, t_B, flow)  # noqa: E731
    prior_BDT = torch.zeros(64, 1, 8, dtype=torch.float64)
    many_BDT = sample(flow, bent, prior_BDT, 7, method="heun", steps=64)
    assert float((sample(flow, bent, prior_BDT, 7, steps=1) - many_BDT).abs().mean()) > 0.3
    source_BDT, data_BDT = reflow_pairs(flow, bent, prior_BDT, 3, steps=64)
    line = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    estimate = lambda x, t_B: line[0] * x + line[1]  # noqa: E731
    optimiser = torch.optim.LBFGS([line], max_iter=50)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = flow.loss(estimate, data_BDT, prior_BDT, source_BDT=source_BDT, times_K=(0.0,))
        loss.backward()
        return loss

    optimiser.step(closure)
    torch.testing.assert_close(sample(flow, estimate, prior_BDT, 7, steps=1), many_BDT, atol=1e-3, rtol=0)


# Sampling: seeds, temperature, masks


def curved(x: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
    return torch.sin(2 * x) + t_B[:, None, None]


@pytest.mark.parametrize("method", [*ODE_METHODS, *VP_METHODS])
def test_the_same_seed_gives_the_same_and_padding_changes_nothing(method):
    objective = VP if method in VP_METHODS else StraightFlow(0.0, False)
    prior_BDT = torch.randn(2, 3, 100, generator=torch.Generator().manual_seed(0))
    asked = []

    def counted(x: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        asked.append(0)
        return curved(x, t_B)

    first = sample(objective, counted, prior_BDT, 1, method=method, steps=5)
    assert len(asked) == evaluations(method, 5)
    assert first.equal(sample(objective, curved, prior_BDT, 1, method=method, steps=5))
    assert not first.equal(sample(objective, curved, prior_BDT, 2, method=method, steps=5))
    drawn = [
        sample(objective, curved, prior_BDT, torch.Generator().manual_seed(4), method=method, steps=5) for _ in "ab"
    ]
    assert drawn[0].equal(drawn[1])
    longer_BDT = torch.cat([prior_BDT, torch.full((2, 3, 61), 9.0)], dim=2)
    mask_BT = torch.arange(161).expand(2, -1) < 100
    padded = sample(objective, curved, longer_BDT, 1, mask_BT, method, steps=5)
    torch.testing.assert_close(padded[..., :100], first, rtol=0, atol=0)
    assert padded[..., 100:].equal(longer_BDT[..., 100:])


def test_the_noise_of_a_frame_follows_from_its_number():
    whole = frame_noise(3, (1, 4, 300), draws=2)
    assert whole[..., 130:300].equal(frame_noise(3, (1, 4, 170), first_frame=130, draws=2))
    assert whole.std() == pytest.approx(1, abs=0.05) and not whole[0].equal(whole[1])
    assert abs(float(torch.corrcoef(whole[0, 0, :, :256].reshape(-1, 64))[0, 1])) < 0.3


def test_temperature_scales_the_noise():
    flow, prior_BDT = StraightFlow(0.0, True), torch.full((1, 2, 500), PRIOR)
    velocity = lambda x, t_B: flow_velocity(x, t_B, flow)  # noqa: E731
    cold = sample(flow, velocity, prior_BDT, 0, steps=20, temperature=0.0)
    assert (cold == cold[0, 0, 0]).all() and float(cold[0, 0, 0]) == pytest.approx(MEAN, abs=1e-4)
    half, full = (sample(flow, velocity, prior_BDT, 0, steps=20, temperature=x) - MEAN for x in (0.5, 1.0))
    torch.testing.assert_close(2 * half, full, atol=1e-4, rtol=0)
    still = sample(VP, vp_noise, prior_BDT, 0, method="ml-sde", steps=10, temperature=0.0)
    assert (still == still[0, 0, 0]).all()


@pytest.mark.parametrize("method", [*ODE_METHODS, *VP_METHODS])
def test_samples_of_vp_are_distributed_as_the_data(method):
    drawn = sample(VP, vp_noise, torch.full((1, 4, 5000), PRIOR, dtype=torch.float64), 0, method=method, steps=60)
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(drawn.std()) == pytest.approx(SPREAD, abs=0.05)


def test_what_cannot_be_solved_is_refused():
    prior_BDT, flow = torch.zeros(1, 2, 3), StraightFlow(0.0, False)
    with pytest.raises(InputError, match="only for the objective vp"):
        sample(flow, curved, prior_BDT, 0, method="dpm++2")
    with pytest.raises(InputError, match="none of euler, midpoint"):
        sample(flow, curved, prior_BDT, 0, method="rk4")
    with pytest.raises(InputError, match="0 steps"):
        sample(flow, curved, prior_BDT, 0, steps=0)
    with pytest.raises(InputError, match="take an ODE solver"):
        reflow_pairs(VP, curved, prior_BDT, 0, method="ml-sde")


# Masks and conditions


def test_loss_counts_the_frames_of_the_mask_alone():
    torch.manual_seed(0)
    error_BDT, mask_BT = torch.rand(2, 3, 5), torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]]).bool()
    expected = (error_BDT[0, :, :2].sum() + error_BDT[1, :, :4].sum()) / 18
    torch.testing.assert_close(masked_mean(error_BDT, mask_BT), expected)
    assert float(masked_mean(error_BDT, torch.zeros(2, 5).bool())) == 0


def test_guidance_goes_on_along_the_line_from_untold_to_told():
    asked = []

    def told(x: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        return x + 3

    def untold(x: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        asked.append(0)
        return x + 1

    x, t_B = torch.zeros(1, 1, 1), torch.zeros(1)
    assert [float(guided(told, untold, scale)(x, t_B)) for scale in (1, 0, 2, 1.5)] == [3, 1, 5, 4]
    assert len(asked) == 3, "scale 1 asks nobody but the told one"


def test_dropped_conditions_are_whole_clips_and_as_many_as_asked():
    condition_BDT, null_D1 = torch.ones(4000, 2, 3), torch.tensor([[5.0], [6.0]])
    dropped = drop_conditions(condition_BDT, null_D1, 0.2, torch.Generator().manual_seed(0))
    gone_B = (dropped == null_D1).all(2).all(1)
    assert float(gone_B.float().mean()) == pytest.approx(0.2, abs=0.02)
    assert (dropped[~gone_B] == 1).all()
