"""Simulated runs: what is known without a simulation holds, and the order is the runner's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing import simulate
from processing.simulate import StageCost, binding, busiest


def stage(name: str, seconds, reads=("index",), setup_s: float = 0.0) -> StageCost:
    return StageCost(name, reads, seconds, setup_s)


def alike(function):
    """With so many workers of one kind."""
    return lambda stages, count, *more, **how: function(
        stages, [(frozenset(s.name for s in stages), count)], *more, **how
    )


simulate_run, bounds, machines_that_help = map(
    alike, (simulate.simulate_run, simulate.bounds, simulate.machines_that_help)
)


def test_one_worker_takes_the_sum():
    run = simulate_run([stage("a", [3, 1, 2], setup_s=5), stage("b", [1, 1, 1], ("a",), setup_s=2)], 1)
    assert run.wall_s == run.busy_s == 6 + 5 + 3 + 2 and run.idle_share == 0


@pytest.mark.parametrize(("jobs", "workers", "wall_s"), [(8, 2, 12), (8, 4, 6), (9, 4, 9), (3, 8, 3)])
def test_equal_jobs_go_in_rounds(jobs, workers, wall_s):
    assert simulate_run([stage("a", [3.0] * jobs)], workers).wall_s == wall_s


def test_one_long_job_holds_the_whole_and_is_begun_first():
    assert simulate_run([stage("a", [1, 1, 1, 9, 1])], 2).wall_s == 9
    assert simulate_run([stage("a", [1, 1, 1, 9, 1])], 5).wall_s == 9


def test_a_partition_waits_for_its_own_input_and_for_no_other():
    """No barrier: while one partition is separated, another is aligned."""
    run = simulate_run([stage("a", [4.0, 2.0]), stage("b", [1.0, 5.0], ("a",))], 2)
    assert run.wall_s == 7


def test_each_worker_loads_a_stage_once():
    run = simulate_run([stage("a", [1.0] * 6, setup_s=10)], 3)
    assert run.wall_s == 12 and run.busy_s == 36


COSTS = st.lists(st.floats(0.1, 10), min_size=1, max_size=12)


@given(COSTS, COSTS, st.integers(1, 9), st.floats(0, 3))
@settings(max_examples=60, deadline=None)
def test_no_run_beats_its_bounds_and_list_scheduling_stays_below_their_sum(first, second, workers, setup_s):
    count = min(len(first), len(second))
    stages = [stage("a", first[:count], setup_s=setup_s), stage("b", second[:count], ("a",))]
    run, limits = simulate_run(stages, workers), bounds(stages, workers)
    work_s = sum(first[:count]) + sum(second[:count])
    longest = max(a + b for a, b in zip(first[:count], second[:count], strict=True))
    assert run.wall_s >= max(work_s / workers, longest) - 1e-6
    assert run.wall_s <= work_s / workers + setup_s + limits["the longest partition"] + 1e-6
    assert run.busy_s <= run.wall_s * workers + 1e-6
    assert simulate_run(stages, workers) == run


def test_machines_stop_helping_where_the_longest_partition_or_the_storage_binds():
    assert machines_that_help([stage("a", [1.0] * 1024)], 1) == (1024, "the longest partition")
    machines, binds = machines_that_help([stage("a", [1.0] * 1024)], 1, storage_s=128)
    assert (machines, binds) == (8, "storage")
    assert binding(bounds([stage("a", [1.0] * 64)], 4)) == "work"


def test_kinds_of_workers_do_not_help_each_other_out():
    """A hundred without a GPU make nothing faster that needs one."""
    stages = [stage("a", [2.0] * 8), stage("b", [4.0] * 8, ("a",)), stage("c", [1.0] * 8, ("b",))]
    gpus = [(frozenset("b"), 2), (frozenset("ac"), 100)]
    assert simulate.simulate_run(stages, gpus).wall_s == 2 + 8 * 4 / 2 + 1
    assert simulate.bounds(stages, gpus)["work"] == 16 and busiest(stages, gpus) == "b"
    assert busiest(stages, [(frozenset("b"), 100), (frozenset("ac"), 2)]) == "a"
    machines, binds = simulate.machines_that_help(stages, gpus)
    assert (machines, binds) == (4, "the longest partition")
