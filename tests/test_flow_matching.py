"""Flows: objectives, straight couplings, seeds, masks."""

import math

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
    evaluations,
    frame_noise,
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
