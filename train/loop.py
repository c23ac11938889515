"""(task, dataset, config) -> a run: the one training loop. It fits a screen and knows no task.

A run's folder holds config.yaml, checkpoints/ (to resume), model.safetensors + model.json (to use), metrics.jsonl,
events/ (TensorBoard) and samples/.

An update whose gradients are not finite is refused on the device: neither weights nor moments change, so that nothing
non-finite is ever averaged, saved or exported. Refused updates are counted on the device, too. The count is read when
the loop waits for the device anyway: before it logs, saves, validates or listens. If too many were refused in a row,
the run ends. (A task with `after_step` needs the count at once, so it waits at every step.)
"""

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from autosing.errors import InputError
from autosing.ids import seed_of
from train.callbacks import Callback, Run, autocast, on_device
from train.data import Batches
from train.distributed import gather, share_buffers, total
from train.optim import clip, parameters_of, set_lr, step_if


def run_steps(run: Run, batches: Batches, callbacks: Sequence[Callback]) -> None:
    """Update until the config's number of steps: batch, loss, backward, clip, step where finite, after_step."""
    state, config, task = run.state, run.config, run.task
    window = _Window(run)
    most_refused = state.refused.clone()
    run.state.modules.train()
    for update in range(state.step, config.steps):
        micro_batches = [on_device(next(batches), run.ranks) for _ in range(config.accumulate)]
        counts = mean_counts(run, micro_batches)
        # Each of these holds the graph that its phases share until the last phase has stepped.
        running = [task.losses(batch, update + 1, counts) for batch in micro_batches]
        good = torch.ones_like(state.refused, dtype=torch.bool)
        for phase in task.phases:
            optimiser = state.optimisers[phase]
            rate = set_lr(optimiser, config, phase, update)
            optimiser.zero_grad(set_to_none=True)
            for number, losses in enumerate(running):
                torch.manual_seed(seed_of("step", config.seed, update, phase, number, run.ranks.rank))
                with autocast(run):
                    yielded, loss, metrics = state.gradients.forward(losses.__next__)
                assert yielded == phase, f"task {task.name}: loss of {yielded}, expected that of {phase}"
                # Only this phase's parameters: a generator's loss must leave no gradient in the discriminator.
                state.gradients.backward(
                    phase, loss / config.accumulate, last=number == config.accumulate - 1,
                    retain_graph=phase != task.phases[-1],
                )  # fmt: skip
                window.add(phase, {"loss": loss, **metrics})
            good &= _step(run, optimiser, phase, window)
        del running, losses, loss
        state.step = update + 1
        state.refused = torch.where(good, 0, state.refused + 1)
        most_refused = torch.maximum(most_refused, state.refused)
        if (run.reports or task.has_after_step) and int(most_refused) >= config.max_refused:
            raise _diverged(run, int(most_refused))
        if task.has_after_step and good:
            with torch.no_grad():
                task.after_step(state.step)
        elif task.has_after_step:
            task.forget()
        share_buffers(state.modules, task.shared_buffers, run.ranks.world)
        if config.ema_decay is not None:
            state.update_average(config.ema_decay)
        if run.due(config.save_every):
            state.position = batches.start.after(gather(batches.taken, run.ranks.world))
        if run.due(config.log_every):
            window.log(rate, batches)
        for callback in callbacks:
            callback(run)


def mean_counts(run: Run, micro_batches: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """The divisors of the losses of each batch of this update: means over its micro-batches on all ranks."""
    counted = [run.task.counts(batch) for batch in micro_batches]
    if not counted[0]:
        return {}
    sums = torch.stack([torch.stack([counts[name].float() for counts in counted]).sum() for name in counted[0]])
    means = total(sums, run.ranks.world) / (len(micro_batches) * run.ranks.world)
    return dict(zip(counted[0], means.clamp(min=1.0), strict=True))


def _diverged(run: Run, refused: int) -> InputError:
    config, state = run.config, run.state
    remedy = f"--set lr={config.lr / 3:.2g}" + (" or --set precision=fp32" if run.precision != "fp32" else "")
    return InputError(
        f"run {run.folder}: step {state.step}: the gradients of {refused} updates in a row were not finite "
        f"(lr {config.lr:g}, {run.precision}); start another --run with {remedy}; the last checkpoint here is kept",
        "diverged",
    )


def _step(run: Run, optimiser: Optimizer, phase: str, window: "_Window") -> torch.Tensor:
    """One optimiser's update. Returns False (on the device, on all ranks alike) if it was refused."""
    norm = clip(parameters_of(optimiser), run.config.of_phase(phase).grad_clip or 0.0)
    good = torch.isfinite(norm)
    step_if(optimiser, good)
    window.add(phase, {"grad_norm": torch.where(good, norm, 0)}, good)
    window.refused = window.refused + ~good
    return good


class _Window:
    """Means of losses and metrics since the last log."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._clear()

    def _clear(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, torch.Tensor | int] = {}
        self._steps, self._since = self._run.state.step, time.monotonic()
        self.refused = torch.zeros_like(self._run.state.refused)

    def add(self, phase: str, values: dict[str, torch.Tensor], counted: torch.Tensor | int = 1) -> None:
        prefix = "" if len(self._run.task.phases) == 1 else f"{phase}/"
        for name, value in values.items():
            value = value.detach().float().to(self._run.ranks.device, non_blocking=True)
            self._sums[prefix + name] = self._sums[prefix + name] + value if prefix + name in self._sums else value
            self._counts[prefix + name] = self._counts.get(prefix + name, 0) + counted

    def log(self, rate: float, batches: Batches) -> None:
        run = self._run
        names = list(self._sums)
        means = torch.stack([self._sums[name] / self._counts[name] for name in names]).to(run.ranks.device)
        values: dict[str, Any] = dict(
            zip(names, (total(means, run.ranks.world) / run.ranks.world).tolist(), strict=True)
        )
        samples = (run.state.step - self._steps) * run.config.batch_size * run.config.accumulate * run.ranks.world
        seconds = time.monotonic() - self._since
        phases = run.task.phases
        run.last_loss = values.get("loss" if len(phases) == 1 else f"{phases[-1]}/loss")
        values |= {"lr": rate, "refused": int(self.refused), "skipped": batches.skipped}
        if run.recorder:
            run.recorder.numbers(run.state.step, {**values, "samples_per_s": samples / max(seconds, 1e-9)})
        self._clear()
