"""The numbers of a training run: what the loop steers by, and the task's own settings under `task:`."""

from typing import Any, Literal

from pydantic import Field

from autosing.config import Config
from train.schedules import Schedule


class PhaseConfig(Config):
    """What one phase's optimiser has of its own; None: as the run."""

    lr: float | None = Field(default=None, gt=0)
    betas: tuple[float, float] | None = None
    grad_clip: float | None = Field(default=None, ge=0)


class TrainConfig(Config):
    """One YAML for a run. What may change on resuming is said in CHANGEABLE."""

    steps: int = Field(1000, ge=1)
    """Updates of the weights in the whole run."""
    batch_size: int = Field(8, ge=1)
    """Samples a rank takes for one backward pass; those of no use to the task are left out."""
    accumulate: int = Field(1, ge=1)
    """Backward passes an update."""
    lr: float = Field(3e-4, gt=0)
    """Of a parameter group of scale 1, at the top of the schedule."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's."""
    schedule: Schedule = "cosine"
    warmup_steps: int = Field(0, ge=0)
    final_lr_ratio: float = Field(0.1, ge=0, le=1)
    """Rate of the last update / rate at the top."""
    decay_fraction: float = Field(0.2, ge=0, le=1)
    """wsd: the share of the steps in which the rate falls."""
    grad_clip: float = Field(1.0, ge=0)
    """Largest norm of a phase's gradients; 0 leaves them."""
    phases: dict[str, PhaseConfig] = Field(default_factory=dict)
    """Phase -> what it has of its own: {discriminator: {lr: 1e-4}}."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """What several ranks share: each batch (ddp), or the optimiser's state and the averages too (fsdp), for models
    whose optimiser does not fit one device beside them; a little slower."""
    compile: bool = False
    """torch.compile of the regions that the task names; minutes at the start, faster steps on a GPU."""
    max_refused: int = Field(10, ge=1)
    """Updates in a row that may be refused for non-finite gradients before the run ends. Looked at when something is
    logged, saved, validated or listened to."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of autocast; weights and optimisers stay fp32."""
    ema_decay: float | None = Field(None, gt=0, lt=1)
    """Keep an average of the weights; it is what is validated, heard and exported."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = Field(0, ge=0)
    log_every: int = Field(10, ge=1)
    save_every: int = Field(500, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    valid_every: int = Field(500, ge=1)
    valid_batches: int = Field(16, ge=0)
    """Batches of the valid split, from its start; 0 for none."""
    listen_every: int = Field(500, ge=1)
    workers: int = Field(0, ge=0)
    """Loader processes, which prepare and collate; 0: the loop does."""
    cache_mb: int = Field(512, ge=0)
    """What was decoded is kept in memory, so that a second epoch decodes nothing."""
    shuffle_shards: int = Field(4, ge=1)
    """Shards shuffled together."""
    bucket: int = Field(0, ge=0)
    """So many samples of nearly one length follow one another, where the task's clips differ: batches pad less. Give a
    multiple of the samples of one update, all ranks together; 0 looks at no length."""
    task: dict[str, Any] = Field(default_factory=dict)
    """The task's settings, see its Settings class."""

    def of_phase(self, phase: str) -> "PhaseConfig":
        """Rate, betas and clipping of a phase, all of them told."""
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
"""What --resume takes anew. Anything else would make another run under the old name."""
