"""The name of a Whisper -> the model of openai-whisper with its alignment heads set, loaded once a process."""

import functools
import json
from typing import Any


def load_whisper(name: str = "whisper-base", device: str = "cpu") -> Any:
    """A `whisper.model.Whisper` in float32 and eval mode, on `device`. The same object for every asker: change nothing.

    Raises InputError where the weights cannot be had.
    """
    return _load(name, str(device))


@functools.cache
def _load(name: str, device: str) -> Any:
    import whisper
    from safetensors import safe_open
    from safetensors.torch import load_file

    from autosing.pretrained import fetch

    path = fetch(name)
    with safe_open(path, framework="numpy") as file:
        dims = json.loads(file.metadata()["dims"])
    model = whisper.model.Whisper(whisper.model.ModelDimensions(**dims))
    model.load_state_dict(load_file(path))
    # Without these the word times come from heads that do not follow the audio.
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS[name.removeprefix("whisper-")])
    return model.to(device).eval().requires_grad_(False)
