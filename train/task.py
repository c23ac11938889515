"""The interface of a training task: all that the loop knows of t2s, sm2a, codec, semantic.

A task is one file: what it needs from a shard, its model, its losses with their source, its parameter groups.
Everything that a run must resume lives in `self.modules` (weights and buffers, EMA codebooks and counters too);
randomness comes from the `rng` given to `prepare`, and inside `loss` from torch's generator, which the loop seeds
for each step. So a resumed run equals the uninterrupted one.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from autosing.audio.io import Audio
from autosing.checkpoint import ModelFile
from autosing.config import Config
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.storage.store import Place

Counts: TypeAlias = Mapping[str, Tensor]


class Task(ABC):
    """One model's training. `modules` maps each phase to the module that its optimiser owns (more are allowed)."""

    name: ClassVar[str]
    Settings: ClassVar[type[Config]]
    """The class of `config`: the YAML's `task:` mapping."""
    members: tuple[str, ...]
    """The groups that it reads (autosing.schemas.sample.GROUPS), with or without "meta"."""
    length_file: ClassVar[str] = ""
    """The file whose size tells the length of a clip for this task (semantic.npy), by which `bucket` groups clips of
    similar length; empty for a task that crops all clips to one length."""
    phases: ClassVar[tuple[str, ...]] = ("model",)
    """In a step each phase computes its loss and steps its optimiser, in this order. GANs: discriminator, generator."""
    shardable: ClassVar[bool] = True
    """Whether `parallel: fsdp` is possible. It is not if `after_step` writes trained weights, as they are sharded."""
    shared_buffers: ClassVar[tuple[str, ...]] = ()
    """Prefixes of the names in `modules` of buffers that would differ between ranks: rank 0's are copied to all ranks
    after each step. Buffers that every rank computes alike need not be named."""
    compiled: ClassVar[tuple[str, ...]] = ()
    """Names in `modules` that `compile: true` compiles: whole layers without data-dependent control flow in Python."""

    modules: nn.ModuleDict
    device: torch.device = torch.device("cpu")
    """Set by the loop when it moves `modules`."""

    def __init__(self, config: Any, index: DatasetIndex) -> None:
        """Build `self.modules`. Raises InputError if the dataset does not fit (codec, codebook sizes)."""
        self.config, self.index = config, index

    def describe(self) -> dict[str, str]:
        """Choices of the config or the dataset that people should see at the start: {"size": "small"}."""
        return {}

    def survey(self, dataset: Place) -> None:  # noqa: B027  (most tasks need none)
        """Before the first clip: what must be known of the whole train split, read from its shards. Every rank and
        every resumed run does it anew and finds the same."""

    def parameter_groups(self, phase: str) -> list[dict[str, Any]]:
        """[{"params", "lr_scale": float, "weight_decay": float}], other AdamW options (betas, eps) allowed.

        By default matrices decay by 0.1 and vectors (norms, biases) do not.
        """
        return decay_groups(self.modules[phase].parameters())

    @abstractmethod
    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any] | None:
        """One training item: crop, pad, drop conditions. Runs in loader workers, on the CPU; a function of the
        sample and rng alone. None: the task cannot use the sample; it is counted, and its batch is smaller."""

    @abstractmethod
    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Items -> a batch of tensors, on the CPU (the loop moves them to the device). Runs in loader workers."""

    def counts(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The numbers of items that the losses of a batch are means over, by name: {"codes": 512}. Empty: its samples.

        An update may take several batches (`accumulate`, ranks) with different numbers. `loss` divides its sums by the
        counts that it is given, the means over all of them, so that each token has the same weight in any batch.
        """
        return {}

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        """(scalar loss, metrics to log), for a task of one phase. Called under autocast. In `eval` mode nothing may be
        updated by it. `counts`: see above."""
        raise NotImplementedError(f"task {self.name}: needs loss (one phase) or losses (several)")

    def losses(
        self, batch: dict[str, Tensor], step: int, counts: Counts
    ) -> Iterator[tuple[str, Tensor, dict[str, Tensor]]]:
        """(phase, scalar loss, metrics) for each phase in turn. Several phases share what is computed before a yield.

        A phase's optimiser steps before the next loss is asked for, so a GAN makes its sound once, yields the
        discriminator's loss of the detached sound, then the generator's loss against the updated discriminator. A loss
        gives gradients to the parameters of its own phase only.
        """
        loss, metrics = self.loss(batch, step, counts)
        yield self.phases[0], loss, metrics

    def after_step(self, step: int) -> None:  # noqa: B027  (most tasks need none)
        """Called under no_grad when every phase has stepped: EMA codebooks, dead codes. Not called after a refused
        update, so a task that defines it waits for the device at every step."""

    def forget(self) -> None:  # noqa: B027  (most tasks need none)
        """Called instead of `after_step` if the update was refused: drop what its losses have collected."""

    @property
    def has_after_step(self) -> bool:
        return type(self).after_step is not Task.after_step

    def listen(self, step: int) -> dict[str, Audio]:
        """The sound of fixed prompts, name -> audio. Called in `eval` mode under no_grad."""
        return {}

    def figures(self, step: int) -> dict[str, float]:
        """What is measured on these sounds, name -> number. Called after `listen`, in the same way."""
        return {}

    @abstractmethod
    def export(self) -> ModelFile:
        """The content of model.safetensors and model.json."""


def one_after_another(sounds: Mapping[str, Tensor], sample_rate_hz: int) -> dict[str, Audio]:
    """Name -> audio_BS, the clips of each name in a row, to be listened to."""
    return {
        name: Audio(audio_BS.flatten()[None].cpu().numpy().clip(-1, 1), sample_rate_hz)
        for name, audio_BS in sounds.items()
    }


def decay_groups(parameters: Iterable[nn.Parameter], weight_decay: float = 0.1) -> list[dict[str, Any]]:
    """Matrices with weight decay, vectors without: the usual two groups."""
    trained = [p for p in parameters if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "lr_scale": 1.0, "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "lr_scale": 1.0, "weight_decay": 0.0},
    ]
