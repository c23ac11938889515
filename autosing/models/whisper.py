"""The name of a Whisper -> openai-whisper's model, or its encoder alone, loaded once per process; and its states.

Most callers need only the encoder, which has less than a third of the weights. The model shares it.

Shapes: B clips, S samples at 16 kHz, C mel bands, M mel frames (100 a second), T states (50 a second), E their width.
"""

import functools
import json
from pathlib import Path
from typing import Any

from autosing.errors import InputError

SAMPLE_RATE_HZ = 16_000
STATE_SAMPLES = 320
"""Samples of audio for each state."""
MAX_STATES = 1500
"""A Whisper's input has at most 30 s."""


def load_whisper(name: str = "whisper-base", device: str = "cpu") -> Any:
    """A `whisper.model.Whisper` in float32 and eval mode, its alignment heads set, on `device`.

    All callers get the same object, which must not be changed. Raises InputError if the weights are missing.
    """
    return _load(name, str(device))


def load_encoder(name: str = "whisper-base", device: str = "cpu") -> Any:
    """Its `whisper.model.AudioEncoder`, likewise. Its number of mel bands is `conv1.in_channels`."""
    return _load_encoder(name, str(device))


def encoder_of(path: Path, device: str = "cpu") -> Any:
    """The AudioEncoder in a file: openai-whisper's checkpoint (.pt), or a .safetensors of `autosing models`."""
    return _build_encoder(*_read_file(path, "encoder.")).to(device)


def layer_states(encoder: Any, audio_BS: Any, layer: int) -> list[Any]:
    """[states_BTE] after each block up to `layer`, counted from 1 (the last block's through the encoder's final norm).

    audio_BS: torch, mono at 16 kHz, a whole number of states long, 30 s at most. State t is centred on t / 50 s. The
    encoder gets these samples only, without padding to 30 s. Gradients flow if they are enabled.
    """
    import torch
    import whisper
    from torch.nn.functional import gelu

    samples = audio_BS.shape[1]
    assert samples % STATE_SAMPLES == 0 and 0 < samples <= MAX_STATES * STATE_SAMPLES, samples
    # One by one, because Whisper floors a spectrogram at 80 dB below its own maximum.
    x_BCM = torch.stack([whisper.log_mel_spectrogram(x_S, encoder.conv1.in_channels) for x_S in audio_BS])
    x_BTE = gelu(encoder.conv2(gelu(encoder.conv1(x_BCM)))).transpose(1, 2)
    x_BTE = x_BTE + encoder.positional_embedding[: x_BTE.shape[1]]
    found = []
    for number, block in enumerate(encoder.blocks[:layer], start=1):
        x_BTE = block(x_BTE)
        found.append(encoder.ln_post(x_BTE) if number == len(encoder.blocks) else x_BTE)
    return found


@functools.cache
def _load(name: str, device: str) -> Any:
    import whisper

    dims, decoder = _read(name, "decoder.")
    model = whisper.model.Whisper(whisper.model.ModelDimensions(**dims))
    model.encoder = load_encoder(name, device)
    model.decoder.load_state_dict(decoder)
    # Without these, word times would come from heads that do not follow the audio.
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS[name.removeprefix("whisper-")])
    return model.to(device).eval().requires_grad_(False)


@functools.cache
def _load_encoder(name: str, device: str) -> Any:
    return _build_encoder(*_read(name, "encoder.")).to(device)


def _build_encoder(dims: dict[str, int], weights: dict[str, Any]) -> Any:
    import whisper

    shape = (dims[f"n_{part}"] for part in ("mels", "audio_ctx", "audio_state", "audio_head", "audio_layer"))
    encoder = whisper.model.AudioEncoder(*shape)
    encoder.load_state_dict(weights)
    return encoder.eval().requires_grad_(False)


def _read(name: str, part: str) -> tuple[dict[str, int], dict[str, Any]]:
    """(dimensions, the tensors whose names begin with `part`, without that prefix)."""
    from autosing.pretrained import fetch

    return _read_file(fetch(name), part)


def _read_file(path: Path, part: str) -> tuple[dict[str, int], dict[str, Any]]:
    from autosing.pretrained import open_tensors

    tensors, facts = open_tensors(path, part)
    if "dims" not in facts:
        raise InputError(f"weights {path}: no Whisper in it; need a checkpoint of openai-whisper")
    own = {key.removeprefix(part): tensor for key, tensor in tensors.items() if key.startswith(part)}
    return json.loads(facts["dims"]), own
