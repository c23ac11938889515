"""Schedules and parameter groups: what every update's rate is."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from train.config import TrainConfig
from train.optim import build_optimisers, set_lr
from train.schedules import lr_factor
from train.task import decay_groups

NAMES = st.sampled_from(["cosine", "linear", "wsd", "const", "exponential", "noam"])


@given(NAMES, st.integers(1, 200), st.integers(0, 50), st.floats(0, 1), st.floats(0, 1))
def test_a_schedule_climbs_then_never_climbs_again_and_ends_where_it_should(name, steps, warmup, final, decay):
    factors = [lr_factor(k, steps, name, warmup, final, decay) for k in range(steps)]
    assert all(0 <= factor <= 1 for factor in factors)
    climb, rest = factors[:warmup], factors[warmup:]
    assert climb == sorted(climb) and all(factor > 0 for factor in climb)
    assert rest == sorted(rest, reverse=True)
    if steps > warmup + 1 and name in ("cosine", "linear", "exponential"):
        assert factors[warmup] == 1 and factors[-1] == pytest.approx(final, abs=1e-8)


def test_known_points():
    assert [lr_factor(k, 11, "linear", final=0.0) for k in (0, 5, 10)] == pytest.approx([1, 0.5, 0])
    assert [lr_factor(k, 11, "cosine", final=0.2) for k in (0, 5, 10)] == pytest.approx([1, 0.6, 0.2])
    assert [lr_factor(k, 101, "wsd", 10, 0.0, 0.5) for k in (5, 10, 50, 75, 100)] == pytest.approx(
        [6 / 11, 1, 1, 0.5, 0]
    )
    assert [lr_factor(k, 11, "exponential", final=0.01) for k in (0, 5, 10)] == pytest.approx([1, 0.1, 0.01])
    assert [lr_factor(k, 999, "noam", 99) for k in (49, 99, 399)] == pytest.approx([0.5, 1, 0.5])


class Two:
    name, phases = "two", ("model",)

    def __init__(self, groups):
        self.modules = nn.ModuleDict({"model": nn.Linear(3, 2)})
        self._groups = groups

    def parameter_groups(self, phase):
        return self._groups(self.modules["model"])


def test_groups_keep_their_scale_and_decay():
    config = TrainConfig(lr=1.0, steps=3, schedule="linear", final_lr_ratio=0.0)
    task = Two(lambda m: [{"params": [m.weight], "lr_scale": 0.5, "weight_decay": 0.1}, {"params": [m.bias]}])
    optimiser = build_optimisers(task, config)["model"]
    assert set_lr(optimiser, config, "model", 1) == 0.5
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.5]
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.1, 0.0]
    assert optimiser.param_groups[0]["betas"] == (0.9, 0.95)


def test_a_parameter_that_no_group_holds_is_found_at_once():
    with pytest.raises(AssertionError, match="no group holds bias"):
        build_optimisers(Two(lambda m: [{"params": [m.weight]}]), TrainConfig())


def test_matrices_decay_and_vectors_do_not():
    frozen = nn.Parameter(torch.zeros(2, 2), requires_grad=False)
    matrices, vectors = decay_groups([*nn.Linear(3, 2).parameters(), frozen])
    assert [p.ndim for p in matrices["params"]] == [2] and matrices["weight_decay"] == 0.1
    assert [p.ndim for p in vectors["params"]] == [1] and vectors["weight_decay"] == 0.0
