"""TrainState: the one object that a run resumes from, and its file, RUN/checkpoints/step-NNNNNNNNN.pt.

It holds weights and buffers, optimisers, the average of the weights, the number of updates and the stream's position.
Schedules are functions of that number, and random generators are seeded for each step from (seed, step), so neither
needs to be stored.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from autosing.errors import InputError
from autosing.storage.store import replacing
from train.distributed import Gradients, shard_as, whole_tensors
from train.optim import parameters_of
from train.order import Position


@dataclass
class TrainState:
    """Everything that changes while a run runs."""

    modules: nn.ModuleDict
    optimisers: dict[str, Optimizer]
    gradients: Gradients
    """How gradients and weights are divided among ranks."""
    ema: dict[str, Tensor] | None = None
    """Parameter name -> its average; None if no average is kept."""
    step: int = 0
    """Updates done."""
    position: Position = field(default_factory=Position)
    """Which samples are done, numbered over all epochs: the same for any ranks and workers."""
    refused: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.long))
    """Updates refused in a row; on the device, so that counting them does not wait for it."""

    def update_average(self, decay: float) -> None:
        """EMA of the parameters; at first the decay is (1 + step) / (10 + step), so that the start is forgotten."""
        if self.ema is None:
            return
        decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.modules.named_parameters():
                self.ema[name].lerp_(parameter, 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, `modules` have the averaged weights (if kept), whole, and are in eval mode. All ranks must enter."""
        own = {name: p.detach().clone() for name, p in self.modules.named_parameters()} if self.ema else {}
        self._put(self.ema or {})
        self.modules.eval()
        try:
            with self.gradients.whole():
                yield
        finally:
            self._put(own)
            self.modules.train()

    def _put(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.modules.named_parameters():
                if name in values:
                    parameter.copy_(values[name])

    def state_dict(self) -> dict[str, Any]:
        """On rank 0 the same for any number of ranks, sharded or not. All ranks must call it."""
        held: dict[str, Any] = whole_tensors({
            "step": self.step,
            "position": self.position.state_dict(),
            "refused": int(self.refused),
            "modules": self.modules.state_dict(),
            "optimisers": {phase: optimiser.state_dict() for phase, optimiser in self.optimisers.items()},
            "ema": self.ema,
        })  # fmt: skip
        return held

    def load_state_dict(self, held: dict[str, Any]) -> None:
        self.step = held["step"]
        self.refused.fill_(held["refused"])
        # Older checkpoints hold each rank's place in its lane.
        old = held.get("positions")
        self.position = Position().after(old) if old else Position.of_state(held["position"])
        own = self.modules.state_dict()
        self.modules.load_state_dict({name: shard_as(value, own.get(name)) for name, value in held["modules"].items()})
        for phase, optimiser in self.optimisers.items():
            parameters = parameters_of(optimiser)
            states = {
                number: {name: shard_as(value, parameters[number]) for name, value in state.items()}
                for number, state in held["optimisers"][phase]["state"].items()
            }
            # The groups' options follow from the config.
            optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
        if self.ema is not None and held["ema"] is not None:
            for name, value in held["ema"].items():
                self.ema[name].copy_(shard_as(value, self.ema[name]))


def checkpoints(run: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    return sorted((run / "checkpoints").glob("step-*.pt"))


def write_checkpoint(run: Path, held: dict[str, Any], origin: dict[str, str], keep: int) -> Path:
    """Write a TrainState's state_dict (beside its final name, then renamed), and remove all but the last `keep`.
    `origin`: the task and the dataset."""
    path = run / "checkpoints" / f"step-{held['step']:09d}.pt"
    with replacing(path) as file:
        torch.save({**held, "origin": origin}, file)
    for old in checkpoints(run)[:-keep]:
        old.unlink()
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU. Raises InputError if it is not readable."""
    try:
        held: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"checkpoint {path}: not readable ({reason}); delete it to continue from the one before"
        ) from None
    return held
