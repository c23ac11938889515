"""song -> vocals and instrumental, by the separator of a config.

Shapes: C channels, S samples.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from autosing.audio.blocks import Blocks, Tape, fork, overlap_add, resampled
from autosing.audio.channels import Opposition, upright_SC
from autosing.audio.io import Audio, Inspected
from autosing.clock import in_model
from autosing.config import Config
from autosing.device import device_of
from autosing.errors import InputError
from autosing.storage.store import digest_of

_HTDEMUCS = "955717e8"
"""The signature under which demucs' own loader finds the file of `htdemucs`."""
_MODEL_RATE_HZ = 44_100
_FULL = 1 - 2**-15
"""The highest value of 16 bits."""


@dataclass(frozen=True)
class Known:
    """What is known of a song before it is separated: its samples per channel, and levels over all channels."""

    num_samples: int
    rms: float
    mono_mean: float
    mono_std: float

    @classmethod
    def of(cls, found: Inspected) -> "Known":
        """Of a song that was read once. More than two channels are separated as one."""
        rms = found.rms if found.channels <= 2 else math.hypot(found.mono_mean, found.mono_std)
        return cls(found.num_samples, rms, found.mono_mean, found.mono_std)


VocalsOf = Callable[[Blocks, Known], Blocks]
"""stereo blocks at 44.1 kHz, and what is known -> blocks of the vocals, with as many samples in total."""


class SeparatorConfig(Config):
    """Which separator to use."""

    separator: Literal["spleeter", "demucs", "none"] = "spleeter"
    """none: nothing is separated."""
    model: str = "htdemucs"
    """demucs only: a model of `repo`, or htdemucs, whose digest is known."""
    repo: Path | None = None
    """demucs only: a folder of `<signature>-<sha256>.th` (and bags). They are unpickled: the folder must be trusted."""
    overlap: float = Field(default=0.25, ge=0, lt=1)
    """demucs only: overlap of neighbouring segments. 0.1 takes a third less time."""
    windows_at_once: int = Field(default=1, ge=1)
    """Windows in one batch (spleeter: 12 s each, demucs: 7.8 s); more is faster on a GPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


def load_separator(config: SeparatorConfig) -> VocalsOf:
    """The networks, ready to use. Raises InputError if their weights are missing."""
    if config.separator == "spleeter":
        return _spleeter(config)
    return _demucs(config) if config.separator == "demucs" else lambda mix, known: mix


def separator_digests(config: SeparatorConfig) -> dict[str, str]:
    """name -> sha256 of everything that `load_separator` loads. Loads nothing."""
    from autosing.pretrained import digest

    if config.separator == "none":
        return {}
    if config.separator == "spleeter":
        return {"spleeter-2stems": digest("spleeter-2stems")}
    if config.repo is None:
        return {"htdemucs": digest("htdemucs")}
    files = sorted(file for file in config.repo.glob("*") if file.suffix in (".th", ".yaml"))
    return {file.name: digest_of(file) for file in files}


def split(mix: Audio, vocals_of: VocalsOf) -> tuple[Audio, Audio]:
    """mono or stereo mix -> (vocals, instrumental) at its rate and channels, within [-1, 1], their sum the mix."""
    mix_SC = mix.samples_CS.T
    mono_S = upright_SC(mix_SC, Opposition().heard(mix_SC).found()).mean(axis=1, dtype=np.float64)
    rms = float(np.square(mix.samples_CS, dtype=np.float64).mean()) ** 0.5
    known = Known(len(mono_S), rms, float(mono_S.mean()), float(mono_S.std()))
    parts = split_blocks(iter([mix.samples_CS]), mix.sample_rate_hz, known, vocals_of)
    vocals, rest = (np.concatenate(stem, axis=1) for stem in zip(*parts, strict=True))
    return Audio(vocals, mix.sample_rate_hz), Audio(rest, mix.sample_rate_hz)


def split_blocks(
    mix: Blocks, sample_rate_hz: int, known: Known, vocals_of: VocalsOf
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of a mono or stereo mix -> (vocals_CS, rest_CS), block by block, within [-1, 1], their sum the mix.

    The sum survives 16-bit encoding: the vocals are rounded to 16 bits, and the rest is the mix minus the vocals.
    """
    heard, kept = fork(np.clip(block_CS, -1, _FULL) for block_CS in mix)
    stereo = (np.repeat(block_CS, 2, axis=0) if len(block_CS) == 1 else block_CS for block_CS in heard)
    at_model = replace(known, num_samples=round(known.num_samples * _MODEL_RATE_HZ / sample_rate_hz))
    vocals = vocals_of(resampled(stereo, sample_rate_hz, _MODEL_RATE_HZ, at_model.num_samples), at_model)
    tape = Tape(kept)
    for vocals_CS in resampled(vocals, _MODEL_RATE_HZ, sample_rate_hz, known.num_samples):
        mix_CS = tape.take(vocals_CS.shape[1])
        if len(mix_CS) == 1:
            vocals_CS = vocals_CS.mean(axis=0, keepdims=True)
        # Where the rest would exceed [-1, 1], it is clipped, and the vocals become mix - rest, which stays inside.
        rest_CS = np.clip(mix_CS - np.clip(vocals_CS, -1, _FULL), -1, _FULL)
        vocals_CS = (np.round((mix_CS - rest_CS) * 32768) / 32768).astype(np.float32)
        yield vocals_CS, mix_CS - vocals_CS


def at_most_stereo(audio: Audio) -> Audio:
    """Mono and stereo are unchanged; more channels are mixed to one."""
    return audio if len(audio.samples_CS) <= 2 else Audio(audio.mono_S()[None], audio.sample_rate_hz)


def _spleeter(config: SeparatorConfig) -> VocalsOf:
    from autosing.models.spleeter import load_spleeter

    model = load_spleeter(device_of(config.device))

    def vocals_of(mix: Blocks, known: Known) -> Blocks:
        return model.stream(mix, known.num_samples, known.rms, config.windows_at_once)

    return vocals_of


def _demucs(config: SeparatorConfig) -> VocalsOf:
    """Demucs's networks over batches of windows; demucs.apply needs the whole song, and runs windows one by one."""
    import torch
    from demucs.pretrained import get_model

    name, repo = _demucs_place(config)
    device, bag = device_of(config.device), get_model(name, repo).eval()
    voice, rate = bag.sources.index("vocals"), bag.samplerate
    models = [(model.to(device), weights[voice]) for model, weights in _members(bag)]
    window = {int(model.segment * rate) for model, _ in models}
    if len(window) > 1:
        raise InputError(
            f"demucs, model {config.model}: a bag of models of several window lengths; name one of them as `model`"
        )
    (length,) = window

    @torch.inference_mode()
    def change(windows_BCS: np.ndarray) -> np.ndarray:
        with in_model():
            heard_BCS = torch.from_numpy(windows_BCS).to(device)
            found = sum(weight * model(heard_BCS)[:, voice] for model, weight in models)
            out_BCS: np.ndarray = (found / sum(weight for _, weight in models)).cpu().numpy()
            return out_BCS

    def vocals_of(mix: Blocks, known: Known) -> Blocks:
        count, scale = round(known.num_samples * rate / _MODEL_RATE_HZ), known.mono_std + 1e-8
        even = ((block_CS - known.mono_mean) / scale for block_CS in resampled(mix, _MODEL_RATE_HZ, rate, count))
        stride = int((1 - config.overlap) * length)
        found = overlap_add(even, count, length, stride, config.windows_at_once, change)
        louder = (block_CS * scale + known.mono_mean for block_CS in found)
        return resampled(louder, rate, _MODEL_RATE_HZ, known.num_samples)

    return vocals_of


def _members(bag: Any) -> list[tuple[Any, list[float]]]:
    """(model, its weight for each stem); several if it is a bag."""
    return list(zip(bag.models, bag.weights, strict=True)) if hasattr(bag, "models") else [(bag, [1.0] * 9)]


def _demucs_place(config: SeparatorConfig) -> tuple[str, Path]:
    """The model's name as demucs needs it, and the folder that holds it."""
    if config.repo is not None:
        if not config.repo.is_dir():
            raise InputError(f"demucs, repo {config.repo}: no such folder; give the one that holds {config.model}")
        return config.model, config.repo
    if config.model != "htdemucs":
        raise InputError(
            f"demucs, model {config.model!r}: only htdemucs is known; give the folder of another as `repo`"
        )
    from autosing.pretrained import fetch

    return _HTDEMUCS, fetch("htdemucs").parent
