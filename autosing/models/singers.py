"""The singers a model was trained on: their names, mean vectors and ranges, as they lie in the run's model.json.

Shapes: E = 256.
"""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from autosing.checkpoint import describe_model
from autosing.config import Config

_KEY = "singers"


class KnownSinger(Config):
    """One singer of a dataset's train split."""

    name: str
    vector: str
    """E numbers of length one, little-endian float32 in base64: exact, and one line of model.json."""
    clips: int = Field(ge=1)
    seconds: float = Field(ge=0)
    range_hz: tuple[float, float, float] | None = None
    """The 5th, 50th and 95th percentile of the voiced frames; None where less than 0.1 s is voiced."""

    @classmethod
    def of(
        cls, name: str, vector_E: np.ndarray, clips: int, seconds: float, range_hz: tuple[float, float, float] | None
    ) -> "KnownSinger":
        text = base64.b64encode(np.asarray(vector_E, "<f4").tobytes()).decode()
        return cls(name=name, vector=text, clips=clips, seconds=seconds, range_hz=range_hz)

    @property
    def vector_E(self) -> np.ndarray:
        return np.frombuffer(base64.b64decode(self.vector), "<f4").astype(np.float32)


def as_extra(singers: Sequence[KnownSinger]) -> dict[str, Any]:
    """For `ModelFile.extra`."""
    return {_KEY: [singer.dump() for singer in singers]}


def singers_of_run(folder: Path) -> tuple[KnownSinger, ...]:
    """None where the run kept none. Raises InputError where the folder holds no model."""
    return singers_in(describe_model(folder).extra, f"model {folder}")


def singers_in(extra: Mapping[str, Any], name: str) -> tuple[KnownSinger, ...]:
    """Of a model's `extra`. `name`: of the model, for errors."""
    return tuple(KnownSinger.build(values, f"{name}, singer") for values in extra.get(_KEY, []))
