"""The launcher's environment -> rank, world size and device; and the few collective operations that the loop needs.

Whether run alone, under torchrun or by a cluster, the loop sees ranks, not launchers.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from autosing.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process's rank, the number of ranks, and the device of its tensors."""

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0


def join(device: str = "auto") -> Ranks:
    """Read RANK, WORLD_SIZE and LOCAL_RANK; start the process group if there is more than one. Call `leave` after."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda: torch finds no GPU here; set device=cpu or device=auto")
    on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(place)
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if on_gpu else "gloo", rank=rank, world_size=world)
    return Ranks(rank, world, place)


def leave() -> None:
    """End the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


class _LossOf(nn.Module):
    """A phase's module as DDP sees it: `forward` returns a loss that is already computed.

    DDP follows the loss's graph back to the parameters it depends on, so a task may call any method of any module.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        # Which parameters a task uses changes from batch to batch. If it uses all, DDP would warn that none is unused.
        self.unused = nn.Parameter(torch.zeros((), device=next(module.parameters()).device))

    def forward(self, loss: Tensor) -> Tensor:
        return loss


class Gradients:
    """Each phase's gradients, averaged over ranks by DDP during the last backward pass of an update.

    There is one DDP for each phase, beside the task's modules and not around them, so that their names stay the same. A
    parameter that no rank used has no gradient, as on one rank.
    """

    def __init__(self, modules: Mapping[str, nn.Module], world: int) -> None:
        self._modules, self._ddp = modules, dict[str, DistributedDataParallel]()
        if world > 1:
            self._ddp = {
                phase: DistributedDataParallel(
                    _LossOf(module), broadcast_buffers=False, find_unused_parameters=True, gradient_as_bucket_view=True
                )
                for phase, module in modules.items()
            }

    def forward(self, make: Callable[[], T]) -> T:
        """The result of `make`, with whole (unsharded) weights while it runs."""
        return make()

    def backward(self, phase: str, loss: Tensor, last: bool, retain_graph: bool) -> None:
        """Add the loss's gradients to the phase's parameters alone; an update's `last` call averages over ranks."""
        ddp = self._ddp.get(phase)
        with ddp.no_sync() if ddp and not last else nullcontext():
            loss = ddp(loss) if ddp else loss
            loss.backward(inputs=self._trained(phase), retain_graph=retain_graph)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Inside, every rank has the whole weights. All ranks must enter it."""
        yield

    def close(self) -> None:
        """Free DDP's reducers, which hold the process group. Call it before `leave`.

        Freed after it, a reducer would end the group's threads while it holds Python's lock, for which such a thread
        may wait to free its last tensor: neither would ever go on.
        """
        self._ddp.clear()

    def _trained(self, phase: str) -> list[nn.Parameter]:
        return [parameter for parameter in self._modules[phase].parameters() if parameter.requires_grad]


def is_sharded(tensor: Any) -> bool:
    """Whether it is torch's DTensor. Its method is looked up, because importing the class takes a second or two."""
    return hasattr(tensor, "full_tensor")


def whole_tensors(held: Any) -> Any:
    """Nested dicts of tensors, with sharded tensors made whole: on rank 0's CPU, None on other ranks. A device holds
    one whole tensor at a time. All ranks must call it."""
    if isinstance(held, dict):
        return {name: whole_tensors(value) for name, value in held.items()}
    if not is_sharded(held):
        return held
    whole = held.full_tensor()
    return whole.cpu() if dist.get_rank() == 0 else None


def shard_as(value: Tensor, like: Any) -> Tensor:
    """This rank's shard of a whole tensor, if `like` is sharded and of its shape; else the tensor."""
    if not is_sharded(like) or value.shape != like.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def share_buffers(modules: nn.Module, prefixes: Sequence[str], world: int) -> None:
    """Copy rank 0's buffers whose names begin with one of the prefixes to all ranks."""
    if world > 1:
        for name, buffer in modules.named_buffers():
            if name.startswith(tuple(prefixes)):
                dist.broadcast(buffer, 0)


def total(values: Tensor, world: int) -> Tensor:
    """The sum over ranks."""
    if world > 1:
        dist.all_reduce(values)
    return values


def gather(value: T, world: int) -> list[T]:
    """Every rank's value, by rank."""
    if world == 1:
        return [value]
    found: list[Any] = [None] * world
    dist.all_gather_object(found, value)
    return found


def rows_of_all_ranks(x_MD: Tensor, rows_of_clips: Sequence[int]) -> Tensor:
    """The rows of all ranks' clips in the order of the stream, as one rank with all the clips would have them.

    rows_of_clips: how many rows each clip of this rank has. Rank r of R has every R-th clip from r on (train.order).
    """
    if not dist.is_initialized():
        return x_MD
    counts = gather(list(rows_of_clips), dist.get_world_size())
    longest = max(map(sum, counts))
    padded_MD = torch.cat([x_MD, x_MD.new_zeros(longest - len(x_MD), *x_MD.shape[1:])]).contiguous()
    parts = [torch.empty_like(padded_MD) for _ in counts]
    dist.all_gather(parts, padded_MD)
    clips = [part_MD[: sum(rows)].split(rows) for part_MD, rows in zip(parts, counts, strict=True)]
    return torch.cat([rows_MD for turn in zip_longest(*clips) for rows_MD in turn if rows_MD is not None])
