"""A config -> the stages that a song passes, in order, and what each partition's tables are made from."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from autosing.config import Config
from autosing.errors import InputError
from autosing.stage import Stage
from autosing.store import Place
from autosing.tables import TableMeta

STAGES = {
    "separate": "processing.stages.separate:Separate",
    "align": "processing.stages.align:Align",
    "segment": "processing.stages.segment:Segment",
    "pitch": "processing.stages.pitch:TrackPitch",
    "singer": "processing.stages.singer:EmbedSinger",
    "semantic": "processing.stages.semantic:TokenizeSemantic",
    "acoustic": "processing.stages.acoustic:TokenizeAcoustic",
}
"""The way of a song. A stage stands after the stages that it reads."""


class PipelineConfig(Config):
    """How a corpus is processed. Each stage's own keys are the `Settings` of its class."""

    workers: int | None = Field(None, ge=1)
    """Workers at once; by default one for each core. With GPUs: at most so many of each kind."""
    gpu_share: float = Field(0.25, gt=0)
    """What a worker takes of a GPU, where there is one and its stages can compute there (`device: auto` or `cuda`)."""
    threads: int = Field(1, ge=1)
    """Threads a worker computes with. Sums in another order end in other last bits, so hold it while a corpus lives."""
    rows_in_hand: int | None = Field(None, ge=1, le=16)
    """Rows that a worker has in hand: while one is in the model, the others are decoded and encoded, in threads. By
    default 3 for stages that compute on a GPU and 1 elsewhere. Tables do not depend on it; memory does."""
    retries: int = Field(2, ge=0)
    """How often a partition is given to another worker after its worker died; after that it is set aside."""
    separate: dict[str, Any] = Field(default_factory=dict)
    align: dict[str, Any] = Field(default_factory=dict)
    segment: dict[str, Any] = Field(default_factory=dict)
    pitch: dict[str, Any] = Field(default_factory=dict)
    singer: dict[str, Any] = Field(default_factory=dict)
    semantic: dict[str, Any] = Field(default_factory=dict)
    acoustic: dict[str, Any] = Field(default_factory=dict)


def build_stages(config: PipelineConfig, names: Sequence[str] | None = None) -> list[Stage[Any, Any]]:
    """The chosen stages (all by default) in the pipeline's order, nothing loaded. Raises InputError on a wrong key."""
    for name in names or ():
        if name not in STAGES:
            raise InputError(f"stage {name!r}: unknown; need some of {', '.join(STAGES)}")
    stages = []
    for name, door in STAGES.items():
        if names is None or name in names:
            module, _, attribute = door.partition(":")
            stage = getattr(importlib.import_module(module), attribute)
            stages.append(stage(stage.Settings.build(getattr(config, name), origin=name)))
            stages[-1].rows_in_hand = config.rows_in_hand
    return stages


def own_details(stage: Stage[Any, Any]) -> dict[str, Any]:
    """What a table owes to its stage alone: name, version, resolved config, weights' digests."""
    return {
        "stage": stage.name, "version": stage.version, "config": stage.config.dump(), "weights": dict(stage.weights()),
    }  # fmt: skip


def details_of(stage: Stage[Any, Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    """All that decides a table's content: the stage's own details and the fingerprints of the tables that are there."""
    return {**own_details(stage), "inputs": {name: inputs[name] for name in stage.reads if name in inputs}}


def why_stale(held: TableMeta | None, wanted: Mapping[str, Any]) -> str | None:
    """Why a table must be made (again), for people: "config changed: min_s 3 -> 4". None where it is as wanted."""
    if held is None:
        return "not made yet"
    old, name = held.details, wanted["stage"]
    if old == wanted:
        return None
    if held.version != wanted["version"]:
        return f"{name} v{held.version} -> v{wanted['version']}"
    parts = []
    for key, label in (("config", "config changed"), ("weights", "weights changed")):
        changes = _changes(old.get(key, {}), wanted[key])
        if changes:
            parts.append(f"{label}: {', '.join(changes)}")
    changed = [k for k, v in wanted["inputs"].items() if old.get("inputs", {}).get(k) != v]
    if changed:
        parts.append(f"input {', '.join(changed)} changed")
    return "; ".join(parts) or "made in another way"


def missing_input(corpus: Place, partition: int, stage: Stage[Any, Any], table: str) -> InputError:
    """The error for a stage whose input is neither there nor about to be made."""
    return InputError(
        f"{corpus}/{partition}: stage {stage.name} reads {table}.parquet, which is not there; "
        f"run 'autosing process {corpus} --stages {table},{stage.name}' or leave --stages out"
    )


def _changes(old: Any, new: Any) -> list[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{_short(old)} -> {_short(new)}"]
    changes = []
    for key in dict.fromkeys([*old, *new]):
        if key not in new or key not in old:
            changes.append(f"{key} {_short(old.get(key))} -> {_short(new.get(key))}")
        elif old[key] != new[key]:
            inner = _changes(old[key], new[key])
            nested = isinstance(old[key], dict) and isinstance(new[key], dict)
            changes += [f"{key}.{change}" for change in inner] if nested else [f"{key} {inner[0]}"]
    return changes


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
