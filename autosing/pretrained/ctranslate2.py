"""A CTranslate2 Whisper file -> the tensors and dimensions of openai-whisper.

CTranslate2 fuses query, key and value into one projection and stores a bias of zeros for the keys; all else is renamed.
The layout is that of CTranslate2's own model writer: a header, then each variable as name, shape, type, bytes.
"""

import struct
from typing import Any

import numpy as np

_TYPES: dict[int, Any] = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
Tensors = dict[str, np.ndarray]


def read_variables(blob: bytes) -> Tensors:
    """The variables of a CTranslate2 model.bin by name, aliases included. Raises ValueError on any other file."""
    at = 0

    def take(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", blob, at)
        at += struct.calcsize(form)
        return int(value)

    def word() -> str:
        nonlocal at
        length = take("H")
        text = blob[at : at + length - 1].decode()
        at += length
        return text

    take("I")
    spec = word()
    if spec != "WhisperSpec":
        raise ValueError(f"CTranslate2 model: found {spec!r}, need 'WhisperSpec'")
    take("I")
    variables: Tensors = {}
    for _ in range(take("I")):
        name, rank = word(), take("B")
        shape = [take("I") for _ in range(rank)]
        code, num_bytes = take("B"), take("I")
        if code not in _TYPES or name.endswith("weight_scale"):
            raise ValueError(f"CTranslate2 model: {name} is quantised (type {code}); need float16 or float32")
        kind = np.dtype(_TYPES[code])
        variables[name] = np.frombuffer(blob, kind, num_bytes // kind.itemsize, at).reshape(shape)
        at += num_bytes
    for _ in range(take("I")):
        alias, name = word(), word()
        variables[alias] = variables[name]
    if at != len(blob):
        raise ValueError(f"CTranslate2 model: {len(blob) - at} bytes after its end")
    return variables


def to_openai_whisper(variables: Tensors) -> tuple[Tensors, dict[str, int]]:
    """variables -> (model_state_dict, dims) of openai-whisper."""
    state: Tensors = {}

    def norm(ours: str, theirs: str) -> None:
        state[f"{ours}.weight"], state[f"{ours}.bias"] = variables[f"{theirs}/gamma"], variables[f"{theirs}/beta"]

    def linear(ours: str, theirs: str) -> None:
        state[f"{ours}.weight"], state[f"{ours}.bias"] = variables[f"{theirs}/weight"], variables[f"{theirs}/bias"]

    def fused(ours: str, theirs: str, *parts: str) -> None:
        weights = np.split(variables[f"{theirs}/weight"], len(parts))
        biases = np.split(variables[f"{theirs}/bias"], len(parts))
        for part, weight, bias in zip(parts, weights, biases, strict=True):
            state[f"{ours}.{part}.weight"] = weight
            if part != "key":
                state[f"{ours}.{part}.bias"] = bias
            elif bias.any():
                raise ValueError(f"CTranslate2 model: {theirs} has a bias for its keys; Whisper has none")

    num_layers = {"encoder": 0, "decoder": 0}
    for side in num_layers:
        while f"{side}/layer_{num_layers[side]}/ffn/linear_0/weight" in variables:
            theirs, ours = f"{side}/layer_{num_layers[side]}", f"{side}.blocks.{num_layers[side]}"
            norm(f"{ours}.attn_ln", f"{theirs}/self_attention/layer_norm")
            fused(f"{ours}.attn", f"{theirs}/self_attention/linear_0", "query", "key", "value")
            linear(f"{ours}.attn.out", f"{theirs}/self_attention/linear_1")
            if side == "decoder":
                norm(f"{ours}.cross_attn_ln", f"{theirs}/attention/layer_norm")
                fused(f"{ours}.cross_attn", f"{theirs}/attention/linear_0", "query")
                fused(f"{ours}.cross_attn", f"{theirs}/attention/linear_1", "key", "value")
                linear(f"{ours}.cross_attn.out", f"{theirs}/attention/linear_2")
            norm(f"{ours}.mlp_ln", f"{theirs}/ffn/layer_norm")
            linear(f"{ours}.mlp.0", f"{theirs}/ffn/linear_0")
            linear(f"{ours}.mlp.2", f"{theirs}/ffn/linear_1")
            num_layers[side] += 1
    linear("encoder.conv1", "encoder/conv1")
    linear("encoder.conv2", "encoder/conv2")
    norm("encoder.ln_post", "encoder/layer_norm")
    norm("decoder.ln", "decoder/layer_norm")
    state["encoder.positional_embedding"] = variables["encoder/position_encodings/encodings"]
    state["decoder.positional_embedding"] = variables["decoder/position_encodings/encodings"]
    state["decoder.token_embedding.weight"] = variables["decoder/embeddings/weight"]
    return state, _dims(state, num_layers)


def _dims(state: Tensors, num_layers: dict[str, int]) -> dict[str, int]:
    width, num_mels, _ = state["encoder.conv1.weight"].shape
    num_heads = width // 64
    return {
        "n_mels": num_mels,
        "n_audio_ctx": len(state["encoder.positional_embedding"]),
        "n_audio_state": width,
        "n_audio_head": num_heads,
        "n_audio_layer": num_layers["encoder"],
        "n_vocab": len(state["decoder.token_embedding.weight"]),
        "n_text_ctx": len(state["decoder.positional_embedding"]),
        "n_text_state": width,
        "n_text_head": num_heads,
        "n_text_layer": num_layers["decoder"],
    }
