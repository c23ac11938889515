"""Kokoro's network, opened: phones and a style -> their durations, f0 and energy; these, as one wishes -> sound.

Kokoro-82M (StyleTTS 2 with a harmonic-source iSTFT decoder, 24 kHz) predicts for each phone a duration, then f0 and
energy for each frame, and decodes these to sound. Its ONNX graph is cut where the three are handed over, which makes
two networks of it: one ends there, the other begins there.

Shapes: P letters with a pad before and after, F frames of 12.5 ms (two a unit of duration), S samples.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from autosing.pretrained import fetch

VOICE_RATE_HZ = 24000
UNIT_S = 0.025
"""What durations count in."""
_HANDED_OVER = ["/encoder/Clip_output_0", "/encoder/Squeeze_output_0", "/encoder/Squeeze_1_output_0"]
"""Duration, f0, energy."""


@dataclass(frozen=True)
class Prosody:
    """How a line is spoken: units_P, f0_hz_F (near 0 where unvoiced), energy_F."""

    units_P: np.ndarray
    f0_hz_F: np.ndarray
    energy_F: np.ndarray


class Kokoro:
    """The network and its vocabulary. One thread and fixed order: equal inputs give equal samples."""

    def __init__(self, model: Path, vocabulary: dict[str, int]) -> None:
        self.vocabulary = vocabulary
        self._prosody, self._sound = map(_session, _cut(model))

    def prosody(self, letters: str, style: np.ndarray, speed: float) -> Prosody:
        units_P, f0_hz_F, energy_F = self._prosody.run(
            None, self._asked(letters, style) | {"speed": np.array([speed], np.float32)}
        )
        return Prosody(units_P.ravel(), f0_hz_F.ravel(), energy_F.ravel())

    def sound(self, letters: str, style: np.ndarray, prosody: Prosody) -> np.ndarray:
        """audio_S at VOICE_RATE_HZ, as long as the durations say."""
        given = {
            name: np.asarray(values, np.float32).reshape(1, -1)
            for name, values in zip(_HANDED_OVER, (prosody.units_P, prosody.f0_hz_F, prosody.energy_F), strict=True)
        }
        return np.asarray(self._sound.run(None, self._asked(letters, style) | given)[0]).ravel()

    def _asked(self, letters: str, style: np.ndarray) -> dict[str, np.ndarray]:
        tokens = [0, *(self.vocabulary[letter] for letter in letters), 0]
        return {"tokens": np.array([tokens], np.int64), "style": style.reshape(1, -1).astype(np.float32)}


def _cut(model: Path) -> tuple[bytes, bytes]:
    """The graph that ends in duration, f0 and energy, and the one that begins with them."""
    import onnx
    from onnx.utils import Extractor

    whole = onnx.load(model)
    whole.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in _HANDED_OVER
    )
    extractor = Extractor(whole)
    first = extractor.extract_model(["tokens", "style", "speed"], _HANDED_OVER)
    second = extractor.extract_model(["tokens", "style", *_HANDED_OVER], ["audio"])
    return first.SerializeToString(), second.SerializeToString()


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@cache
def load_kokoro() -> tuple[Kokoro, dict[str, np.ndarray]]:
    """The network, and its styles by voice: [510, 256], row n for a line of n + 1 letters. Once a process (1.2 s)."""
    from safetensors import safe_open
    from safetensors.numpy import load_file

    voices = fetch("kokoro-voices")
    with safe_open(voices, framework="numpy") as file:
        vocabulary = json.loads(file.metadata()["vocabulary"])
    return Kokoro(fetch("kokoro"), vocabulary), load_file(voices)
