"""A trained run, and what a new run asks for -> the config and the weights that the new run begins with.

One rule for every voice model: numbers of the networks that the new run does not give are the old run's. What would
make the old weights mean something else is refused: other numbers, another acoustic space, other encoders of content,
another objective.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from autosing.checkpoint import describe_model, load_model, restore
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.acoustic import SpaceSpec
from autosing.models.sts import Sts, StsConfig
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.models.visinger import Visinger, VisingerConfig
from autosing.nn.flow_matching import FlowConfig
from autosing.schemas.records import Part
from train.state import checkpoints, read_checkpoint

C = TypeVar("C", bound=Config)
WithFlow = TypeVar("WithFlow", VisingerConfig, StsConfig)
FREE = frozenset({"dropout", "usual_steps", "usual_guidance_singer"})
"""Numbers of the networks that change no weight's meaning."""


def begun_config(option: str, folder: Path, kind: str, asked: C, given: Mapping[str, Any]) -> C:
    """The run's config; numbers of FREE that are given are as asked.

    option: what named the folder, for errors. given: what the user set in task.model.
    Raises InputError where the folder is no run of that kind, or has other numbers than those given.
    """
    known = type(asked).build(describe_model(folder, kind).config, origin=str(folder))
    check_given(f"{option} {folder}", "task.model", known, asked, given)
    return known.model_copy(update={key: getattr(asked, key) for key in FREE & given.keys()})


def begun_with_flow(
    folder: Path,
    kind: str,
    asked: WithFlow,
    given: Mapping[str, Any],
    given_flow: Mapping[str, Any],
    flow_from: str | None = None,
) -> WithFlow:
    """The same for a model that has a flow in it. given, given_flow: what the user set in task.model, task.flow_model.
    flow_from: a run whose flow `asked` has, which takes the place of this run's.

    Raises InputError as `begun_config` does, and where the flow makes other frames, learned another objective, or has
    other numbers than that of flow_from.
    """
    where = f"task.begin_with {folder}"
    begun = begun_config("task.begin_with", folder, kind, asked, given)
    check_space(where, begun.flow.space, asked.flow.space)
    check_given(where, "task.flow_model", begun.flow, asked.flow, given_flow)
    check_flow(where, begun.flow.flow, asked.flow.flow)
    if flow_from is not None:
        _check_same_flow(where, begun.flow, asked.flow)
    free = {key: getattr(asked.flow, key) for key in FREE & given_flow.keys()}
    return begun.model_copy(update={"flow": begun.flow.model_copy(update=free)})


def begin_with_flow(model: Visinger | Sts, kind: str, begin_with: str | None, flow_from: str | None) -> None:
    """The weights of the run begin_with, but of the flow where flow_from is given, whose flow it then is."""
    if begin_with is not None:
        restore(model, load_model(Path(begin_with), kind), Path(begin_with))
    if flow_from is not None:
        begin_flow(model.flow, Path(flow_from), model.config.flow.content)


def _check_same_flow(where: str, begun: SvcFlowConfig, given: SvcFlowConfig) -> None:
    numbers = SvcFlowConfig.model_fields.keys() - FREE - {"content", "space"}
    if other := sorted(name for name in numbers if getattr(begun, name) != getattr(given, name)):
        name = other[0]
        raise InputError(
            f"{where}: its flow has {name} {getattr(begun, name)}, that of task.flow_from {getattr(given, name)}; give "
            "runs of the same sizes, or one of the two"
        )


def check_given(where: str, setting: str, known: Config, asked: Config, given: Mapping[str, Any]) -> None:
    """Raises InputError where a number that the user gave, in a table or a table within, is another in the run."""
    _compare(where, setting, "", known.dump(), asked.dump(), given)


def _compare(
    where: str, setting: str, path: str, held: Mapping[str, Any], wanted: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    for key in sorted(given.keys() - FREE):
        name = f"{path}{key}"
        if isinstance(given[key], Mapping):
            _compare(where, setting, f"{name}.", held[key], wanted[key], given[key])
        elif held[key] != wanted[key]:
            raise InputError(
                f"{where}: its {name} is {held[key]}, {setting}.{name} asks for {wanted[key]}; leave it out"
            )


def check_space(where: str, known: SpaceSpec, asked: SpaceSpec) -> None:
    """The same frames; their normalisation is a matter of the run. Raises InputError where they are others."""
    names = ("kind", "sample_rate_hz", "hop_samples", "width", "digest")
    if any(getattr(known, name) != getattr(asked, name) for name in names):
        raise InputError(
            f"{where}: makes frames of {_space(known)}, task.space asks for {_space(asked)}; give the task.space, "
            "task.codec and task.mel of that run"
        )


def check_content(where: str, known: Sequence[Part], asked: Sequence[Part]) -> None:
    """Raises InputError where a run hears by other encoders than those of the dataset."""
    if tuple(known) != tuple(asked):
        raise InputError(
            f"{where}: hears {_heard(known)}, the dataset's content is of {_heard(asked)}; build the dataset with the "
            "same encoders and weights"
        )


def check_flow(where: str, known: FlowConfig, asked: FlowConfig) -> None:
    """Raises InputError where a run learned another objective: its estimates would mean something else."""
    if known != asked:
        held, wanted = known.dump(), asked.dump()
        other = " ".join(f"--set task.flow.{key}={held[key]}" for key in held if held[key] != wanted[key])
        raise InputError(f"{where}: learned another flow than task.flow asks for; give {other}")


def begin_every_part(option: str, modules: nn.ModuleDict, folder: Path) -> None:
    """Every trained part of a run's last checkpoint (the averages where it keeps them) into modules of the same
    numbers, those parts too that an exported model leaves out.

    Raises InputError where the run's checkpoints are gone, or its parts have other numbers.
    """
    found = checkpoints(folder)
    if not found:
        raise InputError(f"{option} {folder}: no checkpoint in it; give the run's own folder, with checkpoints/")
    held = read_checkpoint(found[-1])
    state, own = {**held["modules"], **(held["ema"] or {})}, modules.state_dict()
    unlike = [n for n, value in own.items() if n not in state or state[n].shape != value.shape]
    if unlike:
        raise InputError(
            f"{option} {folder}: {unlike[0]} is not there or of another size; need the same posterior and "
            "discriminators"
        )
    modules.load_state_dict({name: state[name] for name in own})


def begun_flow(
    folder: Path, content: tuple[Part, ...], given: Mapping[str, Any], setting: str = "task.flow_model"
) -> SvcFlowConfig:
    """The flow of a run that task.flow_from names, with another content. given: what the user set in `setting`.

    The run is one of svc_flow, or of visinger, which has a flow in it.
    Raises InputError where it is neither, or other numbers are asked for.
    """
    if other := sorted(given.keys() - FREE):
        raise InputError(f"task.flow_from {folder}: the flow is that run's; leave {setting}.{other[0]} out")
    known = _flow_of(folder)
    return known.model_copy(update={"content": content, **{key: given[key] for key in FREE & given.keys()}})


def begin_flow(flow: SvcFlow, folder: Path, parts: tuple[Part, ...]) -> None:
    """All weights of such a flow; but of what it takes its content in with where its content is another."""
    known, state = _flow_of(folder), load_model(folder).state
    if describe_model(folder).kind == "visinger":
        state = {name.removeprefix("flow."): x for name, x in state.items() if name.startswith("flow.")}
    entry = set() if known.content == parts else {name for name in flow.state_dict() if name.startswith("enter.")}
    missing, strange = flow.load_state_dict({k: v for k, v in state.items() if k not in entry}, strict=False)
    if set(missing) - entry or strange:
        raise InputError(f"task.flow_from {folder}: its weights are not of this version's svc_flow; train it again")


def _flow_of(folder: Path) -> SvcFlowConfig:
    if describe_model(folder).kind == "visinger":
        return SvcFlowConfig.build(describe_model(folder).config["flow"], str(folder))
    return SvcFlowConfig.build(describe_model(folder, "svc_flow").config, str(folder))


def _space(space: SpaceSpec) -> str:
    return f"{space.kind} {space.digest[:12]} ({space.width} numbers, {space.sample_rate_hz} Hz / {space.hop_samples})"


def _heard(parts: Sequence[Part]) -> str:
    return ", ".join(f"{p.name} layer {p.layer} ({p.width} numbers, {p.digest[:12]})" for p in parts)
