"""Task codec: audio and pitch -> our codec, trained by spectral losses at several resolutions, without discriminators.

At first nothing is quantised. Then the codebooks are initialised by k-means on the latents of the last steps, and
updated by moving averages after each step. In training the pulses follow the exact f0 (when decoding, its code), so
that the high harmonics of the output coincide with the true ones, and the network learns to keep them sharp.

Shapes: B clips, S samples, F frames, D latent width.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.audio.io import Audio, resample
from autosing.audio.pitch import pitch_at
from autosing.checkpoint import ModelFile
from autosing.codecs.fitted import FittedCodec, track_f0
from autosing.config import Config
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.models.codec import CodecConfig, CodecModel
from autosing.nn.excitation import F0_FEATURES, pulses
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.timebase import PITCH_RATE_HZ
from train.augment import equalise, to_peak, varispeed, with_noise, with_silence
from train.distributed import rows_of_all_ranks
from train.losses.perceptual import PerceptualLoss
from train.losses.spectral import SpectralLoss
from train.task import Counts, Task


class CodecSettings(Config):
    """The task's settings."""

    model: CodecConfig = CodecConfig()
    crop_blocks: int = Field(28, ge=4)
    """Length of a training crop, in blocks (28: 1.2 s at 24 kHz)."""
    unquantised_steps: int = Field(500, ge=1)
    """Steps before the codebooks start."""
    begin_with: str | None = None
    """The folder of a codec whose networks the run starts from. If widths differ, the common part of each tensor is
    used. Codebooks are always new, and may have other sizes."""
    level_choices: tuple[int, ...] = ()
    """Quantiser dropout: for each crop, the number of spectral levels used is drawn from these; empty: all levels."""
    unquantised_share: float = Field(0.0, ge=0, le=1)
    """The share of crops whose latent stays unquantised after the codebooks were initialised."""
    latent_noise: float = Field(0.0, ge=0)
    """Gaussian noise on those latents, in standard deviations of each dimension. It makes the decoder robust to small
    errors of models that predict latents, and keeps different sounds apart in the latent space."""
    reservoir_clips: int = Field(384, ge=1)
    """Number of crops whose latents initialise the codebooks by k-means."""
    instrumental_share: float = Field(0.2, ge=0, le=1)
    """The share of crops that are taken from the accompaniment, if a sample has one."""
    shift_semitones: float = Field(5.0, ge=0)
    """Largest change of speed."""
    augment: bool = True
    commitment: float = Field(0.25, ge=0)
    heard_weight: float = Field(0.0, ge=0)
    """Weight of the perceptual loss of a speech recogniser (train.losses.perceptual); 0: none."""
    listener: str = "whisper-tiny.en"
    """The recogniser of the perceptual loss. It should not be the one that word errors are measured with."""
    half: bool = True
    """Export in fp16: half the bytes, without an audible difference."""


class Reservoir(nn.Module):
    """The latents of the last crops before the codebooks are initialised, and moving moments of all latents. They are
    part of the run's state, so that it resumes identically."""

    latents_RDF: Tensor
    mean_D: Tensor
    square_D: Tensor

    def __init__(self, clips: int, width: int, frames: int) -> None:
        super().__init__()
        self.register_buffer("latents_RDF", torch.zeros(clips, width, frames))
        self.register_buffer("mean_D", torch.zeros(width))
        self.register_buffer("square_D", torch.ones(width))

    def follow(self, latent_BDF: Tensor, decay: float = 0.99) -> None:
        """Update the moving moments by one step."""
        self.mean_D.lerp_(latent_BDF.mean((0, 2)), 1 - decay)
        self.square_D.lerp_(latent_BDF.square().mean((0, 2)), 1 - decay)

    @property
    def deviation_D(self) -> Tensor:
        """The standard deviation of each dimension of the latent."""
        return (self.square_D - self.mean_D.square()).clamp(min=1e-8).sqrt()


class TrainCodec(Task):
    """See the module."""

    name = "codec"
    Settings = CodecSettings
    members = ("meta", "audio", "pitch")

    def __init__(self, config: CodecSettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        self.settings, self.model_config = config, config.model
        self.num_frames = config.crop_blocks * config.model.spec.block_frames
        self.model = CodecModel(config.model)
        if config.begin_with is not None:
            _begin_with(self.model, Path(config.begin_with))
        self.spectral = SpectralLoss(config.model.sample_rate_hz)
        self.reservoir = Reservoir(config.reservoir_clips, config.model.latent, self.num_frames)
        self.modules = nn.ModuleDict({"model": self.model, "spectral": self.spectral, "reservoir": self.reservoir})
        self.heard = None
        if config.heard_weight > 0:
            self.heard = self.modules["heard"] = PerceptualLoss(config.model.sample_rate_hz, config.listener)
        self._placed: list[list[Tensor]] = []
        """Of this step's micro-batches: the latents and, once the quantiser has started, the input of each level."""
        self._clips = 0
        """The number of clips in them."""
        self._prompt: dict[str, Tensor] = {}
        self._instrumental_hz: dict[str, np.ndarray] = {}

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any] | None:
        settings, rate = self.settings, self.model_config.sample_rate_hz
        wanted = self.num_frames * self.model_config.hop_samples
        accompanied = sample.has("instrumental") and rng.random() < settings.instrumental_share
        audio = sample.audio("instrumental" if accompanied else "vocals")
        pitch_hz_T = self._instrumental_pitch(sample.id, audio) if accompanied else sample.array("pitch")
        shift = settings.shift_semitones if settings.augment else 0.0
        speed = 2 ** (rng.uniform(-shift, shift) / 12)
        start_s = rng.uniform(0, max(0.0, audio.duration_s - wanted / rate * speed))
        source_S = audio.cut(start_s, wanted / rate * speed).mono_S()
        length = round(wanted / rate * speed * audio.sample_rate_hz)
        audio_S = varispeed(np.pad(source_S, (0, length - len(source_S))), wanted)
        times_s_F = start_s + (np.arange(self.num_frames) + 0.5) * self.model_config.hop_samples / rate * speed
        f0_hz_F = pitch_at(pitch_hz_T, float(PITCH_RATE_HZ), times_s_F) * np.float32(speed)
        if settings.augment:
            audio_S = _disguise(audio_S, rng, rate)
        return {"audio_S": np.clip(audio_S, -1, 1), "f0_hz_F": f0_hz_F}

    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return {
            "audio_BS": torch.from_numpy(np.stack([item["audio_S"] for item in items])),
            "f0_hz_BF": torch.from_numpy(np.stack([item["f0_hz_F"] for item in items])),
        }

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        audio_BS, f0_hz_BF = batch["audio_BS"], batch["f0_hz_BF"]
        model, config = self.model, self.model_config
        f0_code_BN = model.f0_codes(f0_hz_BF)
        latent_BDF = model.latent(audio_BS, f0_code_BN)
        coded_BDF, commitment, inputs = model.quantizer(latent_BDF, self._levels(len(latent_BDF)))
        if model.training:
            coded_BDF = self._some_unquantised(coded_BDF, latent_BDF.float())
        pulses_BS = pulses(f0_hz_BF, config.hop_samples, config.sample_rate_hz)
        made_BS = model.sound(coded_BDF, f0_code_BN, pulses_BS, torch.randn_like(pulses_BS))
        loss, parts = self.spectral(made_BS, audio_BS)
        if self.heard is not None:
            parts["heard"] = self.heard(made_BS, audio_BS)
            loss = loss + self.settings.heard_weight * parts["heard"]
        if model.training:
            self._placed.append([latent_BDF.detach().float(), *inputs])
            self._clips += len(latent_BDF)
        elif not self._prompt:
            self._prompt = {name: tensor[:1] for name, tensor in batch.items()}
        return loss + self.settings.commitment * commitment, {**parts, "commitment": commitment}

    def _levels(self, clips: int) -> Tensor | None:
        """levels_B of this batch; None: all levels."""
        choices = torch.tensor(self.settings.level_choices)
        if not self.model.training or not len(choices):
            return None
        return choices[torch.randint(len(choices), (clips,))].to(self.reservoir.mean_D.device)

    def _some_unquantised(self, coded_BDF: Tensor, latent_BDF: Tensor) -> Tensor:
        settings = self.settings
        if settings.unquantised_share == 0 and settings.latent_noise == 0:
            return coded_BDF
        noise_BDF = self.reservoir.deviation_D[:, None] * torch.randn_like(latent_BDF)
        noisy_BDF = latent_BDF + settings.latent_noise * noise_BDF
        chosen_B = torch.rand(len(latent_BDF), device=latent_BDF.device) < settings.unquantised_share
        chosen_B = chosen_B | ~self.model.quantizer.started
        return torch.where(chosen_B[:, None, None], noisy_BDF, coded_BDF)

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        generator = torch.Generator().manual_seed(seed_of("codebooks", step))
        placed = []
        for parts in zip(*self._placed, strict=True):
            rows = torch.cat(parts)
            placed.append(rows_of_all_ranks(rows, [len(rows) // self._clips] * self._clips))
        self.forget()
        latent_BDF, *inputs = placed
        self.reservoir.follow(latent_BDF)
        if bool(self.model.quantizer.started):
            self.model.quantizer.follow(inputs, generator)
            return
        kept_RDF = self.reservoir.latents_RDF
        at_B = (step * len(latent_BDF) + torch.arange(len(latent_BDF), device=latent_BDF.device)) % len(kept_RDF)
        kept_RDF[at_B] = latent_BDF
        if step >= self.settings.unquantised_steps:
            self.model.quantizer.start(kept_RDF, generator)

    def forget(self) -> None:
        self._placed, self._clips = [], 0

    def listen(self, step: int) -> dict[str, Audio]:
        if not self._prompt:
            return {}
        rate, audio_BS = self.model_config.sample_rate_hz, self._prompt["audio_BS"]
        coded_BS = self.model.decode(self.model.encode(audio_BS, self._prompt["f0_hz_BF"]))
        return {
            "original": Audio(audio_BS.cpu().numpy(), rate),
            "coded": Audio(coded_BS.cpu().numpy().clip(-1, 1), rate),
        }

    def export(self) -> ModelFile:
        state = {k: v for k, v in self.model.state_dict().items() if not k.endswith(("counts_V", "sums_VD"))}
        if self.settings.half:
            state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
        latent = {"mean": self.reservoir.mean_D.tolist(), "deviation": self.reservoir.deviation_D.tolist()}
        return ModelFile(
            "codec", self.model_config.dump(), state, {"spec": self.model_config.spec.dump(), "latent": latent}
        )

    def _instrumental_pitch(self, key: str, audio: Audio) -> np.ndarray:
        """The f0 that the encoder will track in an accompaniment; tracked once per process and cached."""
        if key not in self._instrumental_hz:
            rate = self.model_config.sample_rate_hz
            mono_BS = torch.from_numpy(resample(audio.mono_S(), audio.sample_rate_hz, rate))[None]
            self._instrumental_hz[key] = track_f0(mono_BS, rate)[0].numpy()
        return self._instrumental_hz[key]


def _begin_with(model: CodecModel, folder: Path) -> None:
    """Copy the networks of the codec in `folder`: of each tensor the part that both have; the rest is not changed.

    Raises InputError if a network has another number of blocks.
    """
    known = FittedCodec.load(folder).model
    state, old = model.state_dict(), known.state_dict()
    names = [name for name in state if not name.startswith("quantizer.")]
    lost = [name for name in names if name not in old or old[name].dim() != state[name].dim()]
    unknown = [name for name in old if not name.startswith("quantizer.") and name not in state]
    if lost or unknown:
        raise InputError(f"begin_with {folder}: a codec with other blocks than task.model: {lost + unknown}")
    for name in names:
        both = tuple(slice(min(a, b)) for a, b in zip(state[name].shape, old[name].shape, strict=True))
        state[name][both] = old[name][both]
    # The decoder's input is the latent and then the pitch, so with a wider latent the columns of the pitch move.
    entry = "decoder.enter.weight"
    new_DCK, old_DCK = state[entry], old[entry]
    rows, latent = min(len(new_DCK), len(old_DCK)), min(model.config.latent, known.config.latent)
    new_DCK[:, latent:-F0_FEATURES] = 0
    new_DCK[:rows, -F0_FEATURES:] = old_DCK[:rows, -F0_FEATURES:]
    model.load_state_dict(state)


def _disguise(audio_S: np.ndarray, rng: np.random.Generator, sample_rate_hz: int) -> np.ndarray:
    if rng.random() < 0.7:
        audio_S = equalise(audio_S, rng, sample_rate_hz)
    if rng.random() < 0.1:
        audio_S = with_silence(audio_S, rng)
    audio_S = to_peak(audio_S, rng.uniform(-34, -0.5)) * np.float32(rng.choice([-1, 1]))
    if rng.random() < 0.3:
        audio_S = with_noise(audio_S, rng, rng.uniform(-80, -45))
    return audio_S
