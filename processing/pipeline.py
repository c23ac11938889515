"""A config -> the stages that a song passes, in order, and what each partition's tables are made from."""

import difflib
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, model_validator

from autosing.config import Config
from autosing.errors import InputError
from autosing.schemas.features import FEATURES
from autosing.stage import Stage
from autosing.storage.store import Place
from autosing.storage.tables import TableMeta

STAGES = {
    "separate": "processing.stages.separate",
    "align": "processing.stages.align",
    "segment": "processing.stages.segment",
    **{name: f"processing.stages.{name}" for name in FEATURES},
}
"""The stages in order: name -> the module of its class. A stage comes after the stages that it reads."""
USUAL = tuple(name for name in STAGES if name not in FEATURES or not FEATURES[name].asked_for)
"""The stages that run by default."""


class PipelineConfig(Config):
    """How a corpus is processed. Each stage's own keys are the `Settings` of its class."""

    workers: int | None = Field(None, ge=1)
    """Number of workers; by default one for each core. With GPUs: the maximum of each kind (with a GPU, without)."""
    gpu_share: float = Field(0.25, gt=0)
    """Part of a GPU that a worker reserves, if there is one and its stages can use it (`device: auto` or `cuda`)."""
    threads: int = Field(1, ge=1)
    """Threads that a worker computes with. Another number changes the order of sums, and with it the last bits of
    results, so keep it the same for the whole life of a corpus."""
    rows_in_hand: int | None = Field(None, ge=1, le=16)
    """Rows that a worker processes concurrently: while one is in the model, the others are decoded and encoded, in
    threads. By default 3 for stages that compute on a GPU, else 1. Tables do not depend on it; memory does."""
    retries: int = Field(2, ge=0)
    """How often a partition is retried on another worker after its worker died; then it is set aside."""
    run: tuple[str, ...] | None = None
    """The stages to run if the command names none; by default all except those made only on request."""
    stages: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Stage -> its own keys. In YAML and in `--set` the stage's name is a top-level key: `segment: {min_s: 4}`."""

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        own = {name: values[name] for name in STAGES if name in values}
        rest = {key: value for key, value in values.items() if key not in own}
        for name, given in own.items():
            if not isinstance(given, dict):
                raise ValueError(f"{name}: found {given!r}, need a mapping of the stage's keys")
        for key in rest:
            if key not in cls.model_fields and (
                near := difflib.get_close_matches(key, [*STAGES, *cls.model_fields], 1)
            ):
                raise ValueError(f"unknown key {key!r}; did you mean {near[0]!r}?")
        if isinstance(rest.get("run"), list):
            rest["run"] = tuple(rest["run"])  # strict mode takes a JSON list as a tuple only without a validator before
        return {**rest, "stages": {**rest.get("stages", {}), **own}} if own else rest


def build_stages(config: PipelineConfig, names: Sequence[str] | None = None) -> list[Stage[Any, Any]]:
    """The chosen stages in the pipeline's order, no models loaded; by default the config's `run`, else all except those
    made only on request. Raises InputError for an unknown stage or a wrong key."""
    names = names if names is not None else config.run if config.run is not None else USUAL
    for name in names:
        if name not in STAGES:
            near = difflib.get_close_matches(name, STAGES, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(f"stage {name!r}: unknown; {hint}need some of {', '.join(STAGES)}")
    stages = []
    for name in STAGES:
        if name in names:
            stage = stage_class(name)
            stages.append(stage(stage.Settings.build(config.stages.get(name, {}), origin=name)))
            stages[-1].rows_in_hand = config.rows_in_hand
    return stages


def stage_class(name: str) -> type[Stage[Any, Any]]:
    """The class of a stage: the one in its module whose `name` is the stage's."""
    held = vars(importlib.import_module(STAGES[name])).values()
    (found,) = {kind for kind in held if isinstance(kind, type) and getattr(kind, "name", None) == name}
    return found


def own_details(stage: Stage[Any, Any]) -> dict[str, Any]:
    """The details of a table that depend on its stage alone: name, version, resolved config, weights' digests."""
    parts = [dict(part) for part in stage.parts()]
    return {
        "stage": stage.name, "version": stage.version, "config": _of_content(stage.config.dump()),
        "weights": dict(stage.weights()), **({"parts": parts} if parts else {}),
    }  # fmt: skip


def with_new_defaults(stage: Stage[Any, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """The details of an existing table as they would be written today: keys that its config lacks get defaults."""
    held = _of_content(details.get("config", {}))
    return {**details, "config": {**_of_content(type(stage.config)().dump()), **held}}


def _of_content(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that decide a table's content: all except where models run and where their files lie."""
    return {key: value for key, value in config.items() if key not in ("device", "files", "truth")}


def details_of(stage: Stage[Any, Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    """Everything that decides a table's content: the stage's own details and its existing inputs' fingerprints."""
    return {**own_details(stage), "inputs": {name: inputs[name] for name in stage.reads if name in inputs}}


def why_stale(held: TableMeta | None, wanted: Mapping[str, Any], stage: Stage[Any, Any]) -> str | None:
    """Why a table must be made (again), for people: "config changed: min_s 3 -> 4", or "new". None if it is up to
    date."""
    if held is None:
        return "new"
    if held.details == wanted:
        return None
    old, name = with_new_defaults(stage, held.details), wanted["stage"]
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
    return "; ".join(parts) or "its recorded details differ"


def missing_input(corpus: Place, partition: int, stage: Stage[Any, Any], table: str) -> InputError:
    """The error for a stage whose input neither exists nor is about to be made."""
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
