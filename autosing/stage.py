"""What a processing stage is: one noun into another, row by row, with the rows that could not be used kept as data."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from autosing.config import Config

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Rejected:
    """A row that could not be used. `reason` is one word to count by, `measurement` what was found and needed."""

    id: str
    reason: str
    measurement: str


@dataclass(frozen=True)
class Resources:
    """What one worker of a stage takes from Ray."""

    cpus: float = 1
    gpus: float = 0


class Stage(ABC, Generic[In, Out]):
    """`apply` is pure: the same row and config give the same result, whatever ran before and wherever it runs.

    `In` names the columns that the stage reads, from the tables in `reads` joined by id; the first table drives.
    One row gives one `Out`, or several (`segment`), or one `Rejected`.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """Counted up whenever the same input would give another output."""
    reads: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()
    """Of `reads`, tables that are read where they are there or made in the same run, and done without elsewhere."""
    sparse: ClassVar[tuple[str, ...]] = ()
    """Of `reads`, tables that may lack rows of the first, as their stages reject some; what `In` takes of them is None
    there."""
    takes: ClassVar[type]
    """The record class `In`."""
    gives: ClassVar[type]
    """The record class `Out`: the schema of the table."""
    Settings: ClassVar[type[Config]] = Config
    """The class of `config`."""
    resources: ClassVar[Resources] = Resources()

    rows_in_hand: int | None = None
    """Rows that a worker applies side by side, in threads; None: several on a GPU, else one."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def device(self) -> str:
        """Where its models run, as its config has it: auto, cpu or cuda; cpu where it does not say."""
        return str(getattr(self.config, "device", "cpu"))

    def weights(self) -> dict[str, str]:
        """name -> sha256 of all that `setup` loads: part of the fingerprint. Cheap; loads nothing."""
        return {}

    def parts(self) -> Sequence[Mapping[str, Any]]:
        """What stands side by side in each frame of its output, as {name, width, ...}: part of the table's details, and
        of the index of a dataset. None where a frame is one thing."""
        return ()

    def setup(self) -> None:
        """Load weights, once a worker. Raises InputError where they are missing."""

    @abstractmethod
    def apply(self, row: In) -> Out | Sequence[Out] | Rejected:
        """One row in, its result out. A row that cannot be used is a Rejected; a broken machine is an exception."""
