"""Singing -> content: what is sung, as the states of one or several speech encoders, 50 a second.

They also contain pitch and singer, the less the deeper the layer; training counteracts that (train/augment.py).

One array is the concatenation of all encoders' states, which have one rate. A model that drops or weighs an encoder
splits the array at the widths of its `parts`.

| name | encoder | weights | layer by default |
|---|---|---|---|
| whisper-<size> | Whisper (autosing.models.whisper) | as `autosing models` | 5/6 of its blocks |
| hubert-soft | soft units of van Niekerk 2022 (arXiv:2111.02392) | a file | the last, projected to 256 |
| contentvec | ContentVec (Qian 2022, arXiv:2204.09224) | as `autosing models` | the last |
| hubert-..., wav2vec2-... | torchaudio's, fairseq's or transformers' (autosing.models.hubert) | a file | 3/4 of them |

Shapes: S samples at 16 kHz, N frames (50 a second), D numbers a frame, all parts together.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from pydantic import Field

from autosing.audio.io import Audio, resample
from autosing.clock import in_model
from autosing.config import Config
from autosing.errors import InputError
from autosing.schemas.records import Part
from autosing.timebase import CONTENT_RATE_HZ, num_frames_to_cover

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
"""Increased whenever the same audio would give other content."""
SAMPLE_RATE_HZ, FRAME_SAMPLES = 16_000, 320
_WINDOW, _EDGE, _FADE = 1500, 50, 100
"""Longer audio is encoded in windows of 30 s. Two neighbours overlap by 4 s: the second next to a window's inner end is
not used, and over the 2 s between one fades into the other."""
_STEP = _WINDOW - 2 * _EDGE - _FADE
_WHISPER_SIZES = {
    "tiny": (4, 384), "base": (6, 512), "small": (12, 768), "medium": (24, 1024), "large": (32, 1280),
}  # fmt: skip
"""(blocks, width) of the encoder; turbo is as large."""
_CONTENTVEC_SIZES = (12, 768)
_SOFT_ADDRESS = "github.com/bshall/hubert, release v0.1, hubert-soft-0d54a1f4.pt"


class EncoderConfig(Config):
    """One encoder and one of its layers."""

    name: str = "whisper-base"
    """See the table above."""
    layer: int | None = Field(default=None, ge=1)
    """The block whose output is taken, counted from 1."""


class Encoder(Protocol):
    """The interface of an encoder: audio_S -> [frames_NE] after each block up to `layer`; N = S / 320 <= 1500. The last
    of them is as content needs it."""

    def __call__(self, audio_S: "Tensor", layer: int) -> "Sequence[Tensor]": ...


class Content:
    """audio -> content_ND float16, N = ceil(duration * 50); frame n is centred on n / 50 s. Any rate, any length.

    A clip is encoded alone: neither neighbours nor padding change it. Its last frame is filled with silence.
    """

    def __init__(self, parts: Sequence[Part], encoders: Mapping[str, Encoder], device: str = "cpu") -> None:
        """`encoders`: one for each name among the parts; it runs once for all its layers."""
        self.parts, self._encoders, self._device = tuple(parts), dict(encoders), device

    @property
    def width(self) -> int:
        """D."""
        return sum(part.width for part in self.parts)

    def __call__(self, audio: Audio) -> np.ndarray:
        return np.concatenate([np.zeros((0, self.width), np.float16), *self.blocks(audio)])

    def blocks(self, audio: Audio) -> Iterator[np.ndarray]:
        """The same, one window at a time: of long audio only the audio itself is in memory, and not even that if it has
        one channel at 16 kHz in a mapped file.

        Frames do not depend on audio more than 30 s later.
        """
        total = num_frames_to_cover(Fraction(audio.samples_CS.shape[1], audio.sample_rate_hz), CONTENT_RATE_HZ)
        if total == 0:
            return
        mono_S = audio.samples_CS[0] if len(audio.samples_CS) == 1 else audio.mono_S()
        mono_S = resample(mono_S, audio.sample_rate_hz, SAMPLE_RATE_HZ)
        faded_ND: np.ndarray | None = None
        rising_N1 = ((np.arange(_FADE) + 0.5) / _FADE).astype(np.float32)[:, None]
        for start, end in windows(total):
            heard_S = np.asarray(mono_S[start * FRAME_SAMPLES : end * FRAME_SAMPLES])
            x_ND = self._hear(np.pad(heard_S, (0, (end - start) * FRAME_SAMPLES - len(heard_S))))
            if faded_ND is not None:
                x_ND = x_ND[_EDGE:]
                x_ND[:_FADE] = x_ND[:_FADE] * rising_N1 + faded_ND
            if end < total:
                x_ND, faded_ND = x_ND[: -_EDGE - _FADE], x_ND[-_EDGE - _FADE : -_EDGE] * (1 - rising_N1)
            yield x_ND.clip(-65504, 65504).astype(np.float16)

    def _hear(self, audio_S: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode(), in_model():
            heard_S = torch.from_numpy(np.ascontiguousarray(audio_S, np.float32)).to(self._device)
            deepest = {part.name: max(p.layer for p in self.parts if p.name == part.name) for part in self.parts}
            states = {name: self._encoders[name](heard_S, layer) for name, layer in deepest.items()}
            found = [states[part.name][part.layer - 1].float() for part in self.parts]
            x_ND: np.ndarray = torch.cat(found, dim=1).cpu().numpy()
        assert x_ND.shape == (len(audio_S) // FRAME_SAMPLES, self.width), (x_ND.shape, self.width)
        return x_ND


def windows(total: int) -> list[tuple[int, int]]:
    """(start, end) of each window in frames: 1500 frames every 1300, so that neighbours share 200; the last is
    shorter."""
    count = max(1, -(-(total - _WINDOW) // _STEP) + 1) if total else 0
    return [(k * _STEP, min(k * _STEP + _WINDOW, total)) for k in range(count)]


def parts_of(encoders: Sequence[EncoderConfig], files: Mapping[str, str] | None = None) -> tuple[Part, ...]:
    """Each encoder's width and the digest of its weights. Loads torch only for the shapes in a user's own files.

    `files`: encoder -> a file of weights. Raises InputError: an unknown encoder, a layer that it lacks, no weights.
    """
    if not encoders:
        raise InputError("content: no encoder is named; need at least one, for example whisper-base")
    for name in files or {}:
        if name not in {encoder.name for encoder in encoders}:
            raise InputError(f"content: a file for {name}, which is none of the encoders; remove it or add the encoder")
    return tuple(_part(encoder, (files or {}).get(encoder.name)) for encoder in encoders)


def load_content(
    encoders: Sequence[EncoderConfig | Part], files: Mapping[str, str] | None = None, device: str = "cpu"
) -> Content:
    """The encoders, ready to use. Given the parts of a dataset or of a model, the weights must be the same.

    Raises InputError as `parts_of` does, and if weights differ or are missing.
    """
    wanted = [EncoderConfig(name=e.name, layer=e.layer) for e in encoders]
    parts = parts_of(wanted, files)
    for part, given in zip(parts, encoders, strict=True):
        if not isinstance(given, EncoderConfig) and (given.digest, given.width) != (part.digest, part.width):
            raise InputError(
                f"content: {part.name} was {given.digest[:12]} with {given.width} numbers a frame when the model was "
                f"made, is {part.digest[:12]} with {part.width} now; give the same weights"
            )
    names = {part.name: part for part in parts}
    return Content(parts, {n: _load(part, (files or {}).get(n), device) for n, part in names.items()}, device)


def _part(encoder: EncoderConfig, file: str | None) -> Part:
    name = encoder.name
    if file is not None:
        digest = _digest(Path(file))
        blocks, width, usual = _sizes_in(Path(file), digest, name)
    elif name.startswith("whisper-"):
        from autosing import pretrained

        digest, size = pretrained.digest(name), name.removeprefix("whisper-").partition("-")[0].partition(".")[0]
        blocks, width = _WHISPER_SIZES[size]
        usual = round(blocks * 5 / 6)
    elif name == "contentvec":
        from autosing import pretrained

        digest, (blocks, width) = pretrained.digest(name), _CONTENTVEC_SIZES
        usual = blocks
    elif name.startswith(("hubert", "wav2vec2")):
        where = f" (from {_SOFT_ADDRESS})" if name == "hubert-soft" else ""
        raise InputError(f"content: {name} has no weights here; give the file{where}: content.files.{name}=FILE")
    else:
        raise InputError(
            f"content encoder {name!r}: unknown; need whisper-<size>, hubert-soft, contentvec, hubert-..., wav2vec2-..."
        )
    layer = encoder.layer or usual
    if layer > blocks:
        raise InputError(f"content layer {layer}: {name} has {blocks} blocks; need 1 to {blocks}")
    if name == "hubert-soft" and layer != blocks:
        raise InputError(f"content layer {layer}: soft units are made of the last block's output; leave layer out")
    return Part(name=name, layer=layer, width=width, digest=digest)


@functools.lru_cache(maxsize=16)
def _sizes_in(path: Path, digest: str, name: str) -> tuple[int, int, int]:
    """(blocks, width, usual layer) of the encoder in a user's file, whose digest is known."""
    if name.startswith("whisper-"):
        from autosing.models.whisper import encoder_of

        encoder = encoder_of(path)
        blocks, width = len(encoder.blocks), encoder.ln_post.normalized_shape[0]
        return blocks, width, round(blocks * 5 / 6)
    hubert, soft = _hubert(path, digest), name == "hubert-soft"
    if soft and hubert.soft is None:
        raise InputError(f"weights {path}: no projection of soft units in it; need {_SOFT_ADDRESS}")
    whole = soft or name == "contentvec"
    return hubert.num_layers, hubert.width(soft), hubert.num_layers if whole else max(1, hubert.num_layers * 3 // 4)


@functools.lru_cache(maxsize=2)
def _hubert(path: Path, digest: str) -> Any:
    from autosing.models.hubert import Hubert
    from autosing.pretrained import open_tensors
    from autosing.pretrained.hubert import to_torchaudio

    return Hubert(to_torchaudio(open_tensors(path)[0], str(path)), str(path))


def _load(part: Part, file: str | None, device: str) -> Encoder:
    if part.name.startswith("whisper-"):
        from autosing.models import whisper

        encoder = whisper.encoder_of(Path(file), device) if file else whisper.load_encoder(part.name, device)
        return lambda audio_S, layer: [x_1NE[0] for x_1NE in whisper.layer_states(encoder, audio_S[None], layer)]
    from autosing import pretrained

    hubert = _hubert(Path(file) if file else pretrained.fetch(part.name), part.digest).to(device)
    soft = part.name == "hubert-soft"
    return lambda audio_S, layer: [x_1NE[0] for x_1NE in hubert(audio_S[None], layer, soft)]


def _digest(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"weights {path}: no such file")
    found = path.stat()
    return _digest_of(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _digest_of(path: Path, size: int, changed_ns: int) -> str:
    """Cached, because the files are large and it is needed often; a changed file is read again."""
    from autosing.storage.store import digest_of

    return digest_of(path)
