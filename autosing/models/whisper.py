"""The name of a Whisper -> openai-whisper's model, or its encoder alone, loaded once a process.

The encoder is all that most ask for, and less than a third of the weights. The model shares it.
"""

import functools
import json
from typing import Any


def load_whisper(name: str = "whisper-base", device: str = "cpu") -> Any:
    """A `whisper.model.Whisper` in float32 and eval mode, its alignment heads set, on `device`.

    The same object for every asker: change nothing. Raises InputError where the weights cannot be had.
    """
    return _load(name, str(device))


def load_encoder(name: str = "whisper-base", device: str = "cpu") -> Any:
    """Its `whisper.model.AudioEncoder`, likewise. How many mel bands it hears: `conv1.in_channels`."""
    return _load_encoder(name, str(device))


@functools.cache
def _load(name: str, device: str) -> Any:
    import whisper

    dims, decoder = _read(name, "decoder.")
    model = whisper.model.Whisper(whisper.model.ModelDimensions(**dims))
    model.encoder = load_encoder(name, device)
    model.decoder.load_state_dict(decoder)
    # Without these the word times come from heads that do not follow the audio.
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS[name.removeprefix("whisper-")])
    return model.to(device).eval().requires_grad_(False)


@functools.cache
def _load_encoder(name: str, device: str) -> Any:
    import whisper

    dims, weights = _read(name, "encoder.")
    shape = (dims[f"n_{part}"] for part in ("mels", "audio_ctx", "audio_state", "audio_head", "audio_layer"))
    encoder = whisper.model.AudioEncoder(*shape)
    encoder.load_state_dict(weights)
    return encoder.to(device).eval().requires_grad_(False)


def _read(name: str, part: str) -> tuple[dict[str, int], dict[str, Any]]:
    """(dimensions, the tensors whose names begin with `part`, which is left out)."""
    from safetensors import safe_open

    from autosing.pretrained import fetch

    with safe_open(fetch(name), framework="pt") as file:
        tensors = {key.removeprefix(part): file.get_tensor(key) for key in file.keys() if key.startswith(part)}  # noqa: SIM118
        return json.loads(file.metadata()["dims"]), tensors
