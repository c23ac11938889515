"""A task's modules -> the same modules with their trained weights divided among the ranks (torch's fully_shard).

It is a file of its own because importing fully_shard takes seconds, which other runs should not wait for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from train.distributed import Gradients, Ranks

T = TypeVar("T")


class _Forward(nn.Module):
    """The task's modules as fully_shard sees them: `forward` runs the function that it is given."""

    def __init__(self, modules: nn.Module) -> None:
        super().__init__()
        self.inner = modules

    def forward(self, make: Callable[[], T]) -> T:
        return make()


class ShardedGradients(Gradients):
    """Gradients by torch's fully_shard: each rank holds its shard of the trained weights, and so of their gradients,
    optimiser state and average. Weights and gradients are whole while a loss and its gradients are computed.

    So each of R ranks saves (R - 1) / R of the memory of optimiser and average; activations, weights and gradients take
    the same memory as with DDP. Build it before optimisers and averages, and see `whole_tensors`, `shard_as`.
    A parameter that no rank used has a gradient of 0 (DDP: none), so its moments and weight decay are still updated.
    """

    def __init__(self, modules: nn.ModuleDict, ranks: Ranks) -> None:
        super().__init__(dict(modules.items()), 1)
        frozen = {parameter for parameter in modules.parameters() if not parameter.requires_grad}
        mesh = init_device_mesh(ranks.device.type, (ranks.world,))
        self._forward = _Forward(modules)
        self._root = fully_shard(self._forward, mesh=mesh, reshard_after_forward=False, ignored_params=frozen)

    def forward(self, make: Callable[[], T]) -> T:
        made: T = self._forward(make)
        return made

    def backward(self, phase: str, loss: Tensor, last: bool, retain_graph: bool) -> None:
        self._root.set_requires_gradient_sync(last)
        for parameter in self._trained(phase):  # whole, since `forward`
            if parameter.grad is None:
                # Ranks may use different parameters, but must reduce the same ones.
                parameter.grad = torch.zeros_like(parameter)
        loss.backward(inputs=self._trained(phase), retain_graph=retain_graph)

    @contextmanager
    def whole(self) -> Iterator[None]:
        self._root.unshard()
        try:
            yield
        finally:
            self._root.reshard()
