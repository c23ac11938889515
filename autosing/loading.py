"""A run folder -> its model, ready to use, of any kind."""

from pathlib import Path
from typing import Any

from autosing.checkpoint import describe_model
from autosing.codecs import load_codec
from autosing.device import device_here
from autosing.errors import InputError
from autosing.models.semantic import load_semantic
from autosing.models.sm2a import load_sm2a
from autosing.models.t2s import load_t2s


def load(run: str | Path, device: str = "auto") -> Any:
    """T2S, SM2A, Codec or SemanticTokenizer. Raises InputError: not a run, of another kind, or no such device."""
    folder, where = Path(run), device_here(device)
    kind = describe_model(folder).kind
    if kind == "t2s":
        return load_t2s(folder, where)
    if kind == "sm2a":
        return load_sm2a(folder, where)
    if kind == "codec":
        return load_codec(str(folder), where)
    if kind == "semantic":
        return load_semantic(str(folder), where)
    raise InputError(f"model {folder}: found a {kind} model; give a run of t2s, sm2a, codec or semantic")
