"""Settings of a task that learns frames -> the space that they are of."""

from pathlib import Path

from autosing.checkpoint import describe_model
from autosing.errors import InputError
from autosing.models.acoustic import Kind, MelConfig, SpaceSpec, new_space
from autosing.models.vocoder import VocoderConfig


def asked_space(kind: Kind, codec: str, mel: MelConfig | None, vocoder: str | None) -> SpaceSpec:
    """`vocoder`: a run of 'autosing train vocoder', whose bands are taken where `mel` names none.

    Raises InputError where either is named for another space than log_mel.
    """
    if kind != "log_mel" and (mel or vocoder):
        raise InputError(f"task.mel, task.vocoder: of the space log_mel, not of {kind}; leave them out")
    if mel is None and vocoder:
        mel = VocoderConfig.build(describe_model(Path(vocoder), "vocoder").config).mel
    return new_space(kind, codec, mel if kind == "log_mel" else None)
