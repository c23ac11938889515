"""song -> vocals and instrumental by a separator that is named: the one place that knows who separates.

Shapes: C channels, S samples.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from autosing.audio.io import Audio, resample
from autosing.config import Config
from autosing.errors import InputError

_HTDEMUCS = "955717e8"
"""The signature under which demucs' own loader finds the file of `htdemucs`."""
_MODEL_RATE_HZ = 44_100
_FULL = 1 - 2**-15
"""The highest value of 16 bits."""

VocalsOf = Callable[[np.ndarray], np.ndarray]
"""stereo mix_CS at 44.1 kHz -> its vocals_CS."""


class SeparatorConfig(Config):
    """Who separates."""

    separator: Literal["spleeter", "demucs", "none"] = "spleeter"
    """none: nothing is separated."""
    model: str = "htdemucs"
    """demucs only: a model of `repo`, or htdemucs, whose digest is known."""
    repo: Path | None = None
    """demucs only: a folder of `<signature>-<sha256>.th` (and bags). They are unpickled: trust what lies in it."""
    overlap: float = Field(default=0.25, ge=0, lt=1)
    """demucs only: of neighbouring segments. 0.1 costs a third less."""
    patches_at_once: int = Field(default=1, ge=1)
    """spleeter only: patches of 12 s that the networks see together; more pays on a GPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


def load_separator(config: SeparatorConfig) -> VocalsOf:
    """The networks, ready. Raises InputError where their weights cannot be had."""
    if config.separator == "spleeter":
        return _spleeter(config)
    return _demucs(config) if config.separator == "demucs" else lambda mix_CS: mix_CS


def separator_digests(config: SeparatorConfig) -> dict[str, str]:
    """name -> sha256 of all that `load_separator` loads. Loads nothing."""
    from autosing.pretrained import digest

    if config.separator == "none":
        return {}
    if config.separator == "spleeter":
        return {"spleeter-2stems": digest("spleeter-2stems")}
    if config.repo is None:
        return {"htdemucs": digest("htdemucs")}
    files = sorted(file for file in config.repo.glob("*") if file.suffix in (".th", ".yaml"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def split(mix: Audio, vocals_of: VocalsOf) -> tuple[Audio, Audio]:
    """mono or stereo mix -> (vocals, instrumental) at its rate and channels, within [-1, 1], their sum the mix.

    The sum holds through 16-bit encoding: the vocals are rounded to its steps, the rest is what they leave of the mix.
    """
    mix_CS = np.clip(mix.samples_CS, -1, _FULL)
    stereo_CS = np.repeat(mix_CS, 2, axis=0) if len(mix_CS) == 1 else mix_CS
    vocals_CS = vocals_of(resample(stereo_CS, mix.sample_rate_hz, _MODEL_RATE_HZ))
    vocals_CS = resample(vocals_CS, _MODEL_RATE_HZ, mix.sample_rate_hz)
    if len(mix_CS) == 1:
        vocals_CS = vocals_CS.mean(axis=0, keepdims=True)
    vocals_CS = _as_long(vocals_CS, mix_CS.shape[1])
    # Where the rest would leave [-1, 1], the vocals give way: mix - rest stays inside.
    rest_CS = np.clip(mix_CS - np.clip(vocals_CS, -1, _FULL), -1, _FULL)
    vocals_CS = (np.round((mix_CS - rest_CS) * 32768) / 32768).astype(np.float32)
    return Audio(vocals_CS, mix.sample_rate_hz), Audio(mix_CS - vocals_CS, mix.sample_rate_hz)


def at_most_stereo(audio: Audio) -> Audio:
    """Mono and stereo as they are; more channels become one."""
    return audio if len(audio.samples_CS) <= 2 else Audio(audio.mono_S()[None], audio.sample_rate_hz)


def _as_long(samples_CS: np.ndarray, num_samples: int) -> np.ndarray:
    """Resampling there and back may lose or add a sample."""
    missing = max(0, num_samples - samples_CS.shape[1])
    return np.pad(samples_CS, ((0, 0), (0, missing)))[:, :num_samples]


def _device(config: SeparatorConfig) -> str:
    import torch

    if config.device != "auto":
        return config.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _spleeter(config: SeparatorConfig) -> VocalsOf:
    import torch

    from autosing.models.spleeter import load_spleeter

    device = _device(config)
    model = load_spleeter(device)

    @torch.inference_mode()
    def vocals_of(mix_CS: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(mix_CS).to(device), config.patches_at_once).cpu().numpy()

    return vocals_of


def _demucs(config: SeparatorConfig) -> VocalsOf:
    import torch
    from demucs.api import Separator

    model, repo = _demucs_place(config)
    # shifts > 0 would move the song by a random time.
    separator = Separator(model, repo, device=_device(config), shifts=0, overlap=config.overlap)

    @torch.inference_mode()
    def vocals_of(mix_CS: np.ndarray) -> np.ndarray:
        _, stems = separator.separate_tensor(torch.from_numpy(mix_CS), _MODEL_RATE_HZ)
        return resample(stems["vocals"].cpu().numpy(), separator.samplerate, _MODEL_RATE_HZ)

    return vocals_of


def _demucs_place(config: SeparatorConfig) -> tuple[str, Path]:
    """The model's name as demucs wants it, and the folder that holds it."""
    if config.repo is not None:
        if not config.repo.is_dir():
            raise InputError(f"separate.repo {config.repo}: no such folder; give one that holds {config.model}")
        return config.model, config.repo
    if config.model != "htdemucs":
        raise InputError(f"separate.model {config.model!r}: only htdemucs is known; give separate.repo for another")
    from autosing.pretrained import fetch

    return _HTDEMUCS, fetch("htdemucs").parent
