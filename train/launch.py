"""`autosing train`: a task's name, a dataset and a config -> a run that is started, resumed, or found done."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
import yaml

from autosing.config import load_config
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.schemas.sample import DatasetIndex
from autosing.storage.store import Place, write_whole
from train.callbacks import Callback, Run, keep, listen, validate
from train.config import CHANGEABLE, TrainConfig
from train.data import Batches, SampleStream, check_members, split_of
from train.distributed import Gradients, Ranks, join, leave
from train.loop import run_steps
from train.optim import build_optimisers
from train.order import Lane
from train.record import Recorder, Say, commit, read_metrics
from train.state import TrainState, checkpoints, read_checkpoint
from train.task import Task
from train.tasks import task_class

CALLBACKS: tuple[Callback, ...] = (validate, listen, keep)


@dataclass(frozen=True)
class Plan:
    """A run that is to be started or resumed, already checked: what every rank on any node must know."""

    task: str
    data: Place
    run: Path
    config: dict[str, Any]
    """A TrainConfig's values."""


Launcher: TypeAlias = Callable[[Plan, Say], dict[str, Any]]
"""Runs a plan on all its ranks and returns the summary row."""


def train(
    task_name: str,
    data: Place,
    run: Path,
    config: Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
    say: Say = lambda line: None,
    launcher: Launcher | None = None,
) -> dict[str, Any]:
    """Train until the config's steps are done. Returns a summary row: task, status, steps, losses, seconds.

    A run that is done is not changed. An interrupted run continues with `resume` and is refused without it.
    `launcher`: what runs the plan, by default this process (train.cluster.ray_launcher: the ranks of a cluster).
    Raises InputError: no dataset, members missing, an unknown key, a run of another task, dataset or config.
    """
    plan = make_plan(task_name, data, run, config, overrides, resume)
    if isinstance(plan, Plan):
        return (launcher or run_rank)(plan, say)
    say(f"{task_name}: the run's {plan['steps']} steps are done; nothing to do")
    return plan


def make_plan(
    task_name: str, data: Place, run: Path, config: Path | None = None, overrides: Sequence[str] = (),
    resume: bool = False,
) -> Plan | dict[str, Any]:  # fmt: skip
    """Check all that can be checked before any work. Returns the summary row instead if the run is done."""
    cls = task_class(task_name)
    index = DatasetIndex.load(data)
    check_members(cls, index, data)
    held = _latest(run)
    settled = _settle(cls, run, config, overrides, held is not None)
    if held is not None:
        _check_origin(run, held, {"task": task_name, "dataset": index.fingerprint})
        if held["step"] >= settled.steps:
            return {"task": task_name, "status": "already done", "steps": held["step"]}
        if not resume:
            raise InputError(
                f"run {run}: found {held['step']} of {settled.steps} steps; "
                "add --resume to continue, or give another --run"
            )
    return Plan(task_name, data, run, settled.dump())


def run_rank(plan: Plan, say: Say = lambda line: None) -> dict[str, Any]:
    """Run as one rank, from the run's last checkpoint if it has one, to its last step. Returns the summary row."""
    started = time.monotonic()
    cls = task_class(plan.task)
    index = DatasetIndex.load(plan.data)
    held = _latest(plan.run)
    config = TrainConfig.build(plan.config)
    ranks = join(config.device)
    with ExitStack() as at_end:
        at_end.callback(leave)
        current = _set_up(cls, config, plan.data, plan.run, index, ranks, held, say)
        at_end.callback(current.state.gradients.close)
        first = current.state.step
        if current.recorder:
            say(_opening(current))
        run_steps(current, _batches(current), CALLBACKS)
        if current.recorder:
            current.recorder.close()
    row = {
        "task": plan.task, "status": "resumed" if first else "trained", "steps": current.state.step,
        "loss": current.last_loss, "valid_loss": current.last_valid_loss, "parameters": _parameters(current),
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    warning = overfitting(read_metrics(plan.run)) if ranks.leads else None
    return row | ({"warning": warning} if warning else {})


def _latest(run: Path) -> dict[str, Any] | None:
    found = checkpoints(run)
    return read_checkpoint(found[-1]) if found else None


def _parameters(run: Run) -> int:
    return sum(p.numel() for p in run.task.modules.parameters())


def _opening(run: Run) -> str:
    clips = ", ".join(f"{name} {split.rows}" for name, split in run.index.splits.items())
    chosen = "".join(f"; {name}: {choice}" for name, choice in run.task.describe().items())
    return (
        f"{run.task.name}: {_parameters(run) / 1e6:.2f} M parameters on {run.ranks.world} x {run.ranks.device.type}, "
        f"{run.precision}{chosen}; clips: {clips}; steps {run.state.step} to {run.config.steps}"
    )


def overfitting(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """A warning if the valid loss in a run's metrics has risen well above its minimum; else None."""
    valid = [(row["valid/loss"], row["step"]) for row in rows if row.get("valid/loss") is not None]
    if not valid:
        return None
    (lowest, step), (last, _) = min(valid), valid[-1]
    if last <= lowest + 0.05 * abs(lowest):
        return None
    return (
        f"the valid loss rises: {lowest:.3g} at step {step}, {last:.3g} now, so the model memorises its clips; "
        f"for a model of unseen songs, train on more songs, or for about {step} steps"
    )


def show_config(task_name: str, config: Path | None = None, overrides: Sequence[str] = ()) -> str:
    """YAML of the complete config of a run of the task: given values, and defaults for the others."""
    settled = _settle(task_class(task_name), Path(), config, overrides, begun=False)
    text: str = yaml.safe_dump(settled.dump(), sort_keys=False, allow_unicode=True)
    return text


def _settle(cls: type[Task], run: Path, config: Path | None, overrides: Sequence[str], begun: bool) -> TrainConfig:
    """The resolved config. A run that was started keeps its own config, except for the keys in CHANGEABLE."""
    stored = run / "config.yaml"
    settled = load_config(TrainConfig, stored if begun and config is None else config, overrides)
    settled = settled.model_copy(update={"task": cls.Settings.build(settled.task, "task").dump()})
    if begun:
        held = load_config(TrainConfig, stored)
        # Settings that an older version did not have are compared as their defaults.
        held = held.model_copy(update={"task": cls.Settings.build(held.task, "task").dump()})
        before, now = held.dump(), settled.dump()
        changed = sorted(key for key in before.keys() - CHANGEABLE if before[key] != now[key])
        if changed:
            raise InputError(
                f"run {run}: was started with another {', '.join(changed)} (see {stored}); "
                "omit --config to keep its own, or give another --run"
            )
    return settled


def _check_origin(run: Path, held: dict[str, Any], wanted: dict[str, str]) -> None:
    for key, value in wanted.items():
        if held["origin"][key] != value:
            raise InputError(
                f"run {run}: was started with {key} {held['origin'][key]}, not with {value}; give another --run"
            )


def _set_up(
    cls: type[Task], config: TrainConfig, data: Place, run: Path, index: DatasetIndex, ranks: Ranks,
    held: dict[str, Any] | None, say: Say,
) -> Run:  # fmt: skip
    torch.manual_seed(seed_of("init", config.seed))
    task = cls(cls.Settings.build(config.task, "task"), index)
    task.survey(data)
    task.device = ranks.device
    task.modules.to(ranks.device)
    if unknown := sorted(set(config.phases) - set(task.phases)):
        raise InputError(f"phases.{unknown[0]}: task {cls.name} has {', '.join(task.phases)}; name one of them")
    if config.compile:
        for name in task.compiled:
            task.modules.get_submodule(name).compile()
    gradients = _gradients(task, config, ranks)
    ema = None
    if config.ema_decay is not None:
        ema = {name: p.detach().clone() for name, p in task.modules.named_parameters()}
    state = TrainState(task.modules, build_optimisers(task, config), gradients, ema)
    state.refused = state.refused.to(ranks.device)
    if held is not None:
        state.load_state_dict(held)
    recorder = None
    if ranks.leads:
        recorder = Recorder(run, state.step, config.steps, say)
        head = f"# autosing train {cls.name}\n# commit: {commit()}\n# dataset: {data.name} {index.fingerprint}\n"
        text = head + yaml.safe_dump(config.dump(), sort_keys=False, allow_unicode=True)
        write_whole(run / "config.yaml", text.encode())
    return Run(task, config, run, data, index, state, ranks, recorder)


def _gradients(task: Task, config: TrainConfig, ranks: Ranks) -> Gradients:
    """Must be called before optimisers and averages are built: sharding replaces the parameters."""
    if config.parallel == "fsdp" and not task.shardable:
        raise InputError(f"parallel fsdp: task {task.name} writes its weights itself, which fsdp divides; use ddp")
    if config.parallel == "fsdp" and ranks.world > 1:
        from train.sharding import ShardedGradients

        return ShardedGradients(task.modules, ranks)
    return Gradients({phase: task.modules[phase] for phase in task.phases}, ranks.world)


def _batches(run: Run) -> Batches:
    config, ranks = run.config, run.ranks
    lane = Lane(ranks.rank, ranks.world, run.state.position, chunk=config.batch_size)
    stream = SampleStream(
        run.data, split_of(run.index, "train", run.data), run.task, lane, config.seed, window=config.shuffle_shards,
        bucket=config.bucket, cache_bytes=config.cache_mb << 20,
    )  # fmt: skip
    return Batches(stream, config.workers, pin=ranks.device.type == "cuda")
