"""A trained svc_flow run, and what a new run asks for -> the model that the new run begins with.

Numbers of the networks that the new run does not give are the old run's. What would make the old weights mean something
else is refused: another acoustic space, other encoders of content, other widths, another objective.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autosing.checkpoint import load_model, restore
from autosing.errors import InputError
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.nn.flow_matching import FlowConfig

_FREE = {"dropout"}
"""Numbers of the networks that change no weight's meaning."""


def begun_with(option: str, folder: Path, asked: SvcFlowConfig, given: Mapping[str, Any]) -> SvcFlow:
    """The run's networks as it left them. The space's means and spreads are the run's own, too.

    option: what named the folder, for the error. given: the numbers of the networks that the user gave.
    Raises InputError where the folder is no such run, or its space, content or networks are others.
    """
    file = load_model(folder, "svc_flow")
    known, where = SvcFlowConfig.build(file.config, origin=str(folder)), f"{option} {folder}"
    _check_space(where, known, asked)
    if known.content != asked.content:
        raise InputError(
            f"{where}: hears {_heard(known)}, the dataset's content is of {_heard(asked)}; build the dataset with the "
            "same encoders and weights"
        )
    numbers, wanted = known.dump(), asked.dump()
    for key in sorted(given.keys() - _FREE):
        if numbers[key] != wanted[key]:
            raise InputError(
                f"{where}: its {key} is {numbers[key]}, task.model.{key} asks for {wanted[key]}; leave it out"
            )
    model = SvcFlow(known.model_copy(update={key: getattr(asked, key) for key in _FREE & given.keys()}))
    restore(model, file, folder)
    return model


def check_flow(option: str, folder: Path, known: FlowConfig, asked: FlowConfig) -> None:
    """Raises InputError where a run learned another objective: its estimates would mean something else."""
    if known != asked:
        held, wanted = known.dump(), asked.dump()
        other = " ".join(f"--set task.flow.{key}={held[key]}" for key in held if held[key] != wanted[key])
        raise InputError(f"{option} {folder}: learned another flow than task.flow asks for; give {other}")


def _check_space(where: str, known: SvcFlowConfig, asked: SvcFlowConfig) -> None:
    """The same frames; their normalisation is a matter of the run."""
    held, wanted = known.space, asked.space
    names = ("kind", "sample_rate_hz", "hop_samples", "width", "digest")
    if any(getattr(held, name) != getattr(wanted, name) for name in names):
        raise InputError(
            f"{where}: makes frames of {_space(known)}, task.space asks for {_space(asked)}; give the task.space, "
            "task.codec and task.mel of that run"
        )


def _space(config: SvcFlowConfig) -> str:
    space = config.space
    return f"{space.kind} {space.digest[:12]} ({space.width} numbers, {space.sample_rate_hz} Hz / {space.hop_samples})"


def _heard(config: SvcFlowConfig) -> str:
    return ", ".join(f"{p.name} layer {p.layer} ({p.width} numbers, {p.digest[:12]})" for p in config.content)
