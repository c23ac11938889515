"""A file of weights, with a known digest or the user's own -> its tensors by name, and its metadata.

Safetensors, and checkpoints of torch: openai-whisper's, fairseq's, soft-vc's, plain state dicts. No code in a file is
run: a checkpoint is read with `weights_only`, and objects that are neither tensors nor plain containers (fairseq stores
dictionaries and options) become empty objects.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autosing.errors import InputError

_WRAPPED = ("model_state_dict", "model", "hubert", "state_dict")
"""Where checkpoints keep the weights: openai-whisper, fairseq, soft-vc, many others."""


def open_tensors(path: Path, part: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """({name: torch tensor}, facts), only names that begin with `part`. Facts of a Whisper: its `dims`, as JSON.

    Raises InputError if it is not a file of weights.
    """
    if not path.is_file():
        raise InputError(f"weights {path}: no such file")
    if path.suffix == ".safetensors":
        return _safetensors(path, part)
    held = _checkpoint(path)
    facts = {"dims": json.dumps(dict(held["dims"]), sort_keys=True)} if "dims" in held else {}
    state = next((held[key] for key in _WRAPPED if isinstance(held.get(key), Mapping)), held)
    import torch

    tensors = {k: v for k, v in state.items() if isinstance(v, torch.Tensor) and k.startswith(part)}
    if not tensors:
        raise InputError(f"weights {path}: found no tensors in it; need a checkpoint or a .safetensors file")
    return tensors, facts


def _safetensors(path: Path, part: str) -> tuple[dict[str, Any], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = [key for key in file.keys() if key.startswith(part)]  # noqa: SIM118
            return {key: file.get_tensor(key) for key in names}, dict(file.metadata() or {})
    except SafetensorError as error:
        raise InputError(f"weights {path}: not readable as safetensors ({error}); fetch it again") from None


class _Inert:
    """Replaces an object of an unknown class: accepts any arguments and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


def _checkpoint(path: Path) -> Mapping[str, Any]:
    import pickle

    import torch

    try:
        zipped = zipfile.is_zipfile(path)
        others = torch.serialization.get_unsafe_globals_in_checkpoint(path) if zipped else []
        inert: list[Any] = [(type(name.replace(".", "_"), (_Inert,), {}), name) for name in others]
        with torch.serialization.safe_globals(inert):
            held = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped or None)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        found = (str(error) or type(error).__name__).splitlines()[0][:100]
        raise InputError(f"weights {path}: not readable as a checkpoint of torch ({found}); fetch it again") from None
    if not isinstance(held, Mapping):
        raise InputError(f"weights {path}: found a {type(held).__name__}, need a mapping of names to tensors")
    return held
