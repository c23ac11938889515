"""The settings of a build: member groups, the splits' shares, the shards' sizes."""

from typing import Literal, Self

from pydantic import Field, model_validator

from autosing.config import Config

DEFAULT_MEMBERS = ("meta", "semantic", "singer", "acoustic")


class BuildConfig(Config):
    """`autosing build --config`."""

    members: tuple[str, ...] = DEFAULT_MEMBERS
    """Groups of autosing.schemas.sample.GROUPS; meta is always one. A clip that lacks one is dropped and counted."""
    valid: float = Field(0.05, ge=0, lt=1)
    """Share of the seconds; approximate, as songs and singers are not divided (see dataset_builder.split)."""
    test: float = Field(0.05, ge=0, lt=1)
    apart: Literal["singers", "songs"] = "singers"
    """What no two splits share: singers and songs, or songs alone. Then validation is of voices that were learnt."""
    seed: int = Field(0, ge=0)
    """Seed of the splits and of the order of samples."""
    shard_mb: int = Field(64, ge=1)
    """A shard is closed once it reaches this size."""
    shard_rows: int = Field(10_000, ge=1)
    shuffle_mb: int = Field(512, ge=1)
    """Memory for the shuffle across partitions. It does not change the order."""

    @model_validator(mode="after")
    def _leave_room(self) -> Self:
        if self.valid + self.test >= 1:
            raise ValueError(f"valid and test take {self.valid + self.test:g} of the seconds; train needs some")
        return self
