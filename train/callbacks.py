"""What happens between updates, at regular steps: validate, listen, save. Each gets the run and looks at its step."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from autosing.checkpoint import save_model
from autosing.device import multiplies_bf16
from autosing.ids import seed_of
from autosing.schemas.sample import DatasetIndex
from autosing.storage.store import Place
from train.config import TrainConfig
from train.data import SampleStream, finite_batches
from train.distributed import Ranks, gather, whole_tensors
from train.order import Lane
from train.record import Recorder
from train.state import TrainState, write_checkpoint
from train.task import Task


@dataclass
class Run:
    """A training run in progress."""

    task: Task
    config: TrainConfig
    folder: Path
    data: Place
    index: DatasetIndex
    state: TrainState
    ranks: Ranks
    recorder: Recorder | None
    """None on every rank but the first."""
    last_loss: float | None = None
    last_valid_loss: float | None = None

    @cached_property
    def precision(self) -> str:
        """fp32 or bf16: what `auto` of the config is on this device."""
        if self.config.precision != "auto":
            return self.config.precision
        return "bf16" if multiplies_bf16(str(self.ranks.device)) else "fp32"

    def due(self, every: int) -> bool:
        return self.state.step % every == 0 or self.state.step >= self.config.steps

    @property
    def reports(self) -> bool:
        """Whether this step is followed by logging, saving, validating or listening, which wait for the device."""
        config = self.config
        return any(map(self.due, (config.log_every, config.save_every, config.valid_every, config.listen_every)))

    @property
    def origin(self) -> dict[str, str]:
        """What must be the same for a run to be resumed."""
        return {"task": self.task.name, "dataset": self.index.fingerprint}


Callback = Callable[[Run], None]
"""Called on every rank. Only rank 0 has the recorder and writes; collective operations run on all ranks."""


def validate(run: Run) -> None:
    """Compute the last phase's loss (of a GAN the generator's) on the start of the valid split, in fixed order and with
    fixed random draws."""
    split = run.index.splits.get("valid")
    if not run.due(run.config.valid_every) or split is None or not split.rows or not run.config.valid_batches:
        return
    lane = Lane(run.ranks.rank, run.ranks.world, chunk=run.config.batch_size)
    stream = SampleStream(run.data, split, run.task, lane, seed=0, shuffle=False, epochs=1, window=1)
    phase, sums, samples = run.task.phases[-1], {"valid/loss": 0.0}, 0
    with run.state.averaged(), torch.no_grad():
        for number, (count, batch) in enumerate(finite_batches(stream, run.config.valid_batches)):
            torch.manual_seed(seed_of("valid", number, run.ranks.rank))
            batch = on_device(batch, run.ranks)
            with autocast(run):
                shown = run.task.losses(batch, run.state.step, run.task.counts(batch))
                loss, metrics = next((loss, metrics) for name, loss, metrics in shown if name == phase)
            samples += count
            for name, value in {"loss": loss, **metrics}.items():
                sums[f"valid/{name}"] = sums.get(f"valid/{name}", 0.0) + float(value) * count
    everyone = gather((samples, sums), run.ranks.world)
    total = sum(count for count, _ in everyone)
    if total == 0:
        return
    names = dict.fromkeys(name for _, part in everyone for name in part)
    means = {name: sum(part.get(name, 0.0) for _, part in everyone) / total for name in names}
    run.last_valid_loss = means["valid/loss"]
    if run.recorder:
        run.recorder.numbers(run.state.step, means)


def listen(run: Run) -> None:
    """Make the task's fixed prompts audible, and measure them: ears find bugs that losses hide."""
    if not run.due(run.config.listen_every):
        return
    torch.manual_seed(seed_of("listen", run.config.seed))
    with run.state.averaged(), torch.no_grad():
        if run.recorder:
            for name, audio in run.task.listen(run.state.step).items():
                run.recorder.sound(run.state.step, name, audio)
            if figures := run.task.figures(run.state.step):
                run.recorder.numbers(run.state.step, {f"heard/{name}": value for name, value in figures.items()})


def keep(run: Run) -> None:
    """Save the model for use, then the checkpoint: where there is a finished checkpoint, there is the model too."""
    if not run.due(run.config.save_every):
        return
    with run.state.averaged(), torch.no_grad():
        model = run.task.export()
        weights = whole_tensors(dict(model.state))
        if run.ranks.leads:
            extra = {**model.extra, "training": {**run.origin, "step": run.state.step}}
            save_model(run.folder, model.kind, model.config, weights, extra)
    held = run.state.state_dict()
    if run.ranks.leads:
        write_checkpoint(run.folder, held, run.origin, run.config.keep_checkpoints)


def autocast(run: Run) -> torch.autocast:
    """bf16 or none, never fp16 (AutoSing's training always used fp16)."""
    return torch.autocast(run.ranks.device.type, torch.bfloat16, enabled=run.precision == "bf16")


def on_device(batch: dict[str, torch.Tensor], ranks: Ranks) -> dict[str, torch.Tensor]:
    return {name: tensor.to(ranks.device, non_blocking=True) for name, tensor in batch.items()}
