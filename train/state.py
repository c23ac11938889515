"""TrainState: the one object that a run resumes from, and its place on disk, RUN/checkpoints/step-NNNNNNNNN.pt.

It holds weights and buffers, optimisers, the average of the weights, the update's number and the stream's position.
Schedules are functions of the number, and random generators are seeded anew for each step from (seed, step), so
neither needs storing.
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
    """How ranks share them, and the weights."""
    ema: dict[str, Tensor] | None = None
    """Parameter name -> its average; None where no average is kept."""
    step: int = 0
    """Updates done."""
    position: Position = field(default_factory=Position)
    """Which samples are done, in the numbers of all epochs: the same for any ranks and workers."""
    refused: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.long))
    """Updates refused in a row; on the device, so that counting them does not wait for it."""

    def update_average(self, decay: float) -> None:
        """EMA of the parameters; early on the decay is (1 + step) / (10 + step) so that the start is forgotten."""
        if self.ema is None:
            return
        decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.modules.named_parameters():
                self.ema[name].lerp_(parameter, 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, `modules` hold the averaged weights (if any is kept), whole, and are in eval mode. Every rank enters
        it."""
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
        """On rank 0 the same for any ranks, sharded or not. Every rank calls it."""
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
        # Checkpoints of before held each rank's place in its lane.
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
    """The whole checkpoints of a run, oldest first."""
    return sorted((run / "checkpoints").glob("step-*.pt"))


def write_checkpoint(run: Path, held: dict[str, Any], origin: dict[str, str], keep: int) -> Path:
    """A TrainState's state_dict. Beside first, then one rename; then all but the last `keep` are removed. `origin`: the
    task and the dataset."""
    path = run / "checkpoints" / f"step-{held['step']:09d}.pt"
    with replacing(path) as file:
        torch.save({**held, "origin": origin}, file)
    for old in checkpoints(run)[:-keep]:
        old.unlink()
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU. Raises InputError where it is not readable."""
    try:
        held: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"checkpoint {path}: not readable ({reason}); delete it to go on from the one before"
        ) from None
    return held
