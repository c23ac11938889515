"""A run folder -> the voice model in it, of whichever family, for `convert`, `render` and `speech-to-singing`."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from autosing.checkpoint import describe_model
from autosing.errors import InputError
from autosing.models.acoustic import Vocoder
from autosing.models.sts import StsVoice, load_sts
from autosing.models.svc_flow import SvcFlowVoice, load_svc_flow
from autosing.models.svc_vits import load_svc_vits
from autosing.models.told import Sampling
from autosing.models.visinger import VisingerVoice, load_visinger
from autosing.models.vocoder import load_vocoder
from autosing.schemas.records import Part
from inference.voice.engine import VoiceModel

_InSpace = TypeVar("_InSpace", SvcFlowVoice, VisingerVoice, StsVoice)
Command = Literal["convert", "render", "speech-to-singing"]


class Singer(VoiceModel, Protocol):
    """A model as `convert` wants it: it says what it must be told."""

    @property
    def content(self) -> tuple[Part, ...]:
        """The encoders' layers that content must be of."""
        ...

    @property
    def takes(self) -> frozenset[str]:
        """Which fields of Sampling mean something to it."""
        ...


def _in_space(
    load: Callable[[Path, str, Vocoder | None], _InSpace], folder: Path, device: str, vocoder: Path | None
) -> _InSpace:
    made = load_vocoder(vocoder, device) if vocoder else None
    model = load(folder, device, made)
    model.space.check_sounds("by --vocoder")
    if made and model.space.spec.kind != "log_mel":
        raise _needs_none(folder, model.space.spec.kind, vocoder)
    return model


def _svc_flow(folder: Path, device: str, vocoder: Path | None) -> Singer:
    return _in_space(load_svc_flow, folder, device, vocoder)


def _svc_vits(folder: Path, device: str, vocoder: Path | None) -> Singer:
    if vocoder:
        raise _needs_none(folder, "sound", vocoder)
    return load_svc_vits(folder, device)


def _visinger(folder: Path, device: str, vocoder: Path | None) -> VisingerVoice:
    return _in_space(load_visinger, folder, device, vocoder)


def _sts(folder: Path, device: str, vocoder: Path | None) -> StsVoice:
    return _in_space(load_sts, folder, device, vocoder)


LOADERS: dict[str, Callable[[Path, str, Path | None], Singer]] = {"svc_flow": _svc_flow, "svc_vits": _svc_vits}
"""Kind of model that sings recordings again -> what loads it: (run, device, a vocoder's run)."""
SCORE_LOADERS: dict[str, Callable[[Path, str, Path | None], VisingerVoice]] = {"visinger": _visinger}
"""Kind of model that sings scores -> what loads it, likewise."""
SPEECH_LOADERS: dict[str, Callable[[Path, str, Path | None], StsVoice]] = {"sts": _sts}
"""Kind of model that sings speech -> what loads it, likewise."""
_COMMANDS: dict[str, Command] = {
    **dict.fromkeys(LOADERS, "convert"), **dict.fromkeys(SCORE_LOADERS, "render"),
    **dict.fromkeys(SPEECH_LOADERS, "speech-to-singing"),
}  # fmt: skip


def check_voice(folder: Path, command: Command = "convert") -> str:
    """The kind of the model in a run folder. Raises InputError where there is none that `command` sings with."""
    kind = describe_model(folder).kind
    if _COMMANDS.get(kind) != command:
        wanted = " or ".join(name for name, of in _COMMANDS.items() if of == command)
        remedy = f"with this one sing by 'autosing {_COMMANDS[kind]}'" if kind in _COMMANDS else "give a run of these"
        raise InputError(f"model {folder}: found a {kind} model, need {wanted}; {remedy}")
    return kind


def load_voice(folder: Path, device: str = "cpu", vocoder: Path | None = None) -> Singer:
    """Raises InputError where the folder holds none that sings, or another version made it; where its frames need a
    vocoder and none is given, or the other way round."""
    return LOADERS[check_voice(folder)](folder, device, vocoder)


def load_score_voice(folder: Path, device: str = "cpu", vocoder: Path | None = None) -> VisingerVoice:
    """Raises InputError as `load_voice` does."""
    return SCORE_LOADERS[check_voice(folder, "render")](folder, device, vocoder)


def load_speech_voice(folder: Path, device: str = "cpu", vocoder: Path | None = None) -> StsVoice:
    """Raises InputError as `load_voice` does."""
    return SPEECH_LOADERS[check_voice(folder, "speech-to-singing")](folder, device, vocoder)


def check_sampling(folder: Path, model: Singer, sampling: Sampling) -> None:
    """Raises InputError where something is chosen that the model has no use for."""
    usual, kind = Sampling(), check_voice(folder)
    for name in sorted(set(Sampling.model_fields) - model.takes):
        if getattr(sampling, name) != getattr(usual, name):
            option = f"--{name.replace('_', '-')} {getattr(sampling, name)}"
            way = "which has no such choice" if "steps" in model.takes else "which sings in one pass"
            raise InputError(f"{option}: {folder} is a {kind} model, {way}; leave it out")


def _needs_none(folder: Path, kind: str, vocoder: Path | None) -> InputError:
    return InputError(
        f"--vocoder {vocoder}: model {folder} sings in {kind}, which sounds without; leave the vocoder out"
    )
