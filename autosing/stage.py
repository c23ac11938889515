"""The interface of a processing stage: it turns one noun into another, row by row, and keeps rejected rows as data."""

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
    """What one worker of a stage reserves from Ray."""

    cpus: float = 1
    gpus: float = 0


class Stage(ABC, Generic[In, Out]):
    """`apply` is pure: the same row and config give the same result, whatever ran before and wherever it runs.

    `In` names the columns that the stage reads from the tables in `reads`, which are joined by id to the rows of the
    first. One row gives one `Out`, or several (`segment`), or one `Rejected`.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """Increased whenever the same input would give another output."""
    reads: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()
    """The tables of `reads` that may be missing. They are read if they exist or are made in the same run."""
    sparse: ClassVar[tuple[str, ...]] = ()
    """The tables of `reads` that may lack rows of the first, because their stages reject some. The fields of `In` that
    come from them are then None."""
    takes: ClassVar[type]
    """The record class `In`."""
    gives: ClassVar[type]
    """The record class `Out`: the schema of the table."""
    Settings: ClassVar[type[Config]] = Config
    """The class of `config`."""
    resources: ClassVar[Resources] = Resources()

    rows_in_hand: int | None = None
    """Rows that a worker processes concurrently, in threads; None: several on a GPU, else one."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def device(self) -> str:
        """Where its models run, as its config says: auto, cpu or cuda; cpu if it does not say."""
        return str(getattr(self.config, "device", "cpu"))

    def weights(self) -> dict[str, str]:
        """name -> sha256 of everything that `setup` loads: part of the fingerprint. Cheap: it loads no weights."""
        return {}

    def parts(self) -> Sequence[Mapping[str, Any]]:
        """If each frame of the output is a concatenation, its parts as {name, width, ...}. They are recorded in the
        table's details and in the index of a dataset."""
        return ()

    def setup(self) -> None:
        """Load weights, once per worker. Raises InputError if they are missing."""

    @abstractmethod
    def apply(self, row: In) -> Out | Sequence[Out] | Rejected:
        """One row in, its result out. A row that cannot be used gives a Rejected; a fault of the machine raises."""
