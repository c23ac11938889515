"""The settings of a training run: those of the loop, and the task's own under `task:`."""

from typing import Any, Literal

from pydantic import Field

from autosing.config import Config
from train.schedules import Schedule


class PhaseConfig(Config):
    """Settings of one phase's optimiser; None: the run's value."""

    lr: float | None = Field(default=None, gt=0)
    betas: tuple[float, float] | None = None
    grad_clip: float | None = Field(default=None, ge=0)


class TrainConfig(Config):
    """One YAML for a run. CHANGEABLE lists what may change on resuming."""

    steps: int = Field(1000, ge=1)
    """Number of updates of the weights in the whole run."""
    batch_size: int = Field(8, ge=1)
    """Samples that a rank takes for one backward pass; those that the task cannot use are left out."""
    accumulate: int = Field(1, ge=1)
    """Backward passes for one update."""
    lr: float = Field(3e-4, gt=0)
    """Highest learning rate of the schedule, for parameter groups of scale 1."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's betas."""
    schedule: Schedule = "cosine"
    warmup_steps: int = Field(0, ge=0)
    final_lr_ratio: float = Field(0.1, ge=0, le=1)
    """Learning rate of the last update, relative to the highest."""
    decay_fraction: float = Field(0.2, ge=0, le=1)
    """wsd: the share of the steps in which the rate falls."""
    grad_clip: float = Field(1.0, ge=0)
    """Maximum norm of a phase's gradients; 0: no clipping."""
    phases: dict[str, PhaseConfig] = Field(default_factory=dict)
    """Phase -> its own settings: {discriminator: {lr: 1e-4}}."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """What is divided among ranks: each batch (ddp), or also the optimiser's state and the averages (fsdp), for models
    whose optimiser does not fit on one device; a little slower."""
    compile: bool = False
    """torch.compile the regions that the task names: minutes at the start, then faster steps on a GPU."""
    max_refused: int = Field(10, ge=1)
    """The run ends after so many updates in a row with non-finite gradients, which are refused. Checked whenever
    something is logged, saved, validated or listened to."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """The type of autocast; weights and optimisers stay fp32. auto: bf16 where the hardware multiplies it."""
    ema_decay: float | None = Field(None, gt=0, lt=1)
    """Keep a moving average of the weights, which is then validated, listened to and exported."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = Field(0, ge=0)
    log_every: int = Field(10, ge=1)
    save_every: int = Field(500, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    valid_every: int = Field(500, ge=1)
    valid_batches: int = Field(16, ge=0)
    """Batches of the valid split, from its start; 0: no validation."""
    listen_every: int = Field(500, ge=1)
    workers: int = Field(0, ge=0)
    """Loader processes, which prepare and collate batches; 0: the training process does."""
    cache_mb: int = Field(512, ge=0)
    """Memory for decoded samples, so that later epochs need not decode them again."""
    shuffle_shards: int = Field(4, ge=1)
    """Number of shards that are shuffled together."""
    bucket: int = Field(0, ge=0)
    """Number of consecutive samples of similar length, if the task's clips differ in length: batches then need less
    padding. Give a multiple of the samples of one update over all ranks; 0: lengths are ignored."""
    task: dict[str, Any] = Field(default_factory=dict)
    """The task's settings, see its Settings class."""

    def of_phase(self, phase: str) -> "PhaseConfig":
        """Learning rate, betas and clipping of a phase, none of them None."""
        own = self.phases.get(phase, PhaseConfig())
        return PhaseConfig(
            lr=own.lr or self.lr,
            betas=own.betas or self.betas,
            grad_clip=self.grad_clip if own.grad_clip is None else own.grad_clip,
        )


CHANGEABLE = frozenset({
    "steps", "max_refused", "device", "log_every", "save_every", "keep_checkpoints", "valid_every", "valid_batches",
    "listen_every", "workers", "cache_mb", "compile", "parallel",
})  # fmt: skip
"""The keys that may change on --resume. Changes of other keys would make another run under the old name."""
