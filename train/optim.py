"""A task's parameter groups -> one AdamW for each phase; the schedule's factor -> each group's learning rate."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from train.distributed import is_sharded
from train.schedules import lr_factor
from train.task import Task

if TYPE_CHECKING:
    from train.config import TrainConfig


def build_optimisers(task: Task, config: "TrainConfig") -> dict[str, Optimizer]:
    """Phase -> AdamW over the phase's groups. Every trained parameter of the phase's module must be in one group."""
    return {phase: _build(task, phase, config) for phase in task.phases}


def _build(task: Task, phase: str, config: "TrainConfig") -> Optimizer:
    groups = []
    for group in task.parameter_groups(phase):
        held = dict(group, params=list(group["params"]))
        held.setdefault("lr_scale", 1.0)
        held.setdefault("weight_decay", 0.0)
        if held["params"]:
            groups.append(held)
    given = [id(p) for group in groups for p in group["params"]]
    trained = {id(p): name for name, p in task.modules[phase].named_parameters() if p.requires_grad}
    missing = sorted(name for key, name in trained.items() if key not in set(given))
    assert not missing, f"task {task.name}, phase {phase}: no group holds {', '.join(missing)}"
    assert len(given) == len(set(given)), f"task {task.name}, phase {phase}: a parameter is in two groups"
    own = config.of_phase(phase)
    assert own.lr is not None and own.betas is not None
    return AdamW(groups, lr=own.lr, betas=own.betas, fused=True)  # only the fused one knows `found_inf`: see step_if


def set_lr(optimiser: Optimizer, config: "TrainConfig", phase: str, update: int) -> float:
    """Set every group's learning rate for this update; returns that of a group of scale 1."""
    factor = lr_factor(
        update, config.steps, config.schedule, config.warmup_steps, config.final_lr_ratio, config.decay_fraction
    )
    top = config.of_phase(phase).lr
    assert top is not None
    for group in optimiser.param_groups:
        group["lr"] = top * factor * group["lr_scale"]
    return top * factor


def parameters_of(optimiser: Optimizer) -> list[nn.Parameter]:
    return [p for group in optimiser.param_groups for p in group["params"]]


def clip(parameters: Sequence[nn.Parameter], limit: float) -> Tensor:
    """Scale the gradients so that their norm is at most `limit` (0: leave them); returns the norm before."""
    norm: Any = torch.nn.utils.clip_grad_norm_(parameters, limit if limit > 0 else float("inf"))
    whole: Tensor = norm.full_tensor() if is_sharded(norm) else norm
    return whole


def step_if(optimiser: Optimizer, good: Tensor) -> None:
    """Update if `good` (a bool on the device) is true; else leave weights and moments as they are. The device decides,
    in the same way as for torch's GradScaler."""
    optimiser.found_inf = (~good).float()  # type: ignore[attr-defined]
    optimiser.step()
