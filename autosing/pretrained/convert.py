"""A source's files, already verified -> the tensors and the metadata of our one safetensors file.

Pickles are read with `weights_only=True`, which builds tensors and plain containers and calls nothing else.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autosing.pretrained.ctranslate2 import Tensors, read_variables, to_openai_whisper

Converted = tuple[Tensors, dict[str, str]]


def openai_whisper(files: Sequence[Path]) -> Converted:
    """A checkpoint of openai-whisper. In half precision, as published."""
    checkpoint = _load(files[0])
    return _whisper(_arrays(checkpoint["model_state_dict"]), checkpoint["dims"])


def ctranslate2_whisper(files: Sequence[Path]) -> Converted:
    """A model.bin of CTranslate2, as faster-whisper uses it."""
    return _whisper(*to_openai_whisper(read_variables(files[0].read_bytes())))


def spleeter(files: Sequence[Path]) -> Converted:
    """Pickled numpy arrays, one file for each stem -> tensors with the names of autosing.models.spleeter."""
    tensors: Tensors = {}
    for stem, file in zip(("vocals", "accompaniment"), files, strict=True):
        for key, value in _load(file, numpy_allowed=True).items():
            tensors[f"{stem}.{_spleeter_name(key)}"] = np.asarray(value, np.float32)
    return tensors, {}


def _spleeter_name(theirs: str) -> str:
    """down1_conv.1.weight, down1_act.0.bias, up1.0.weight, up1.3.weight, up7.0.weight -> ours, counted from 0."""
    block, place, leaf = theirs.split(".")
    if block == "up7":
        return f"out.{leaf}"
    if block.startswith("down"):
        return f"down.{int(block[4]) - 1}.{'conv' if block.endswith('conv') else 'norm'}.{leaf}"
    return f"up.{int(block[2]) - 1}.{'conv' if place == '0' else 'norm'}.{leaf}"


def ge2e(files: Sequence[Path]) -> Converted:
    """The speaker encoder of resemblyzer, without the scalars of its training loss."""
    state = _arrays(_load(files[0])["model_state"])
    return {key: value for key, value in state.items() if not key.startswith("similarity_")}, {}


def kokoro_voices(files: Sequence[Path]) -> Converted:
    """An archive of style tables, and the JSON that numbers the phones -> [510, 256] per voice, and the numbers."""
    vocabulary = json.loads(files[1].read_text(encoding="utf-8"))["vocab"]
    with np.load(files[0], allow_pickle=False) as tables:
        tensors = {name: np.ascontiguousarray(tables[name][:, 0], np.float32) for name in tables.files}
    return tensors, {"vocabulary": json.dumps(vocabulary, sort_keys=True)}


CONVERTERS: dict[str, Callable[[Sequence[Path]], Converted]] = {
    function.__name__: function for function in (openai_whisper, ctranslate2_whisper, spleeter, ge2e, kokoro_voices)
}


def _whisper(state: Tensors, dims: Mapping[str, int]) -> Converted:
    return {key: value.astype(np.float16) for key, value in state.items()}, {
        "dims": json.dumps(dict(dims), sort_keys=True)
    }


def _arrays(state: Mapping[str, Any]) -> Tensors:
    return {key: value.numpy() for key, value in state.items()}


def _load(path: Path, numpy_allowed: bool = False) -> Any:
    import torch

    allowed: list[Any] = [_reconstruct(), np.ndarray, np.dtype, *_dtype_classes()] if numpy_allowed else []
    with torch.serialization.safe_globals(allowed):
        return torch.load(path, map_location="cpu", weights_only=True)


def _reconstruct() -> Any:
    """numpy 2 moved its unpickling function; old files name its old module."""
    from numpy._core.multiarray import _reconstruct

    return (_reconstruct, "numpy.core.multiarray._reconstruct")


def _dtype_classes() -> list[type]:
    return [type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int64)]
