"""Acoustic spaces: the frames that voice models predict, and how frames become audio. Two of them, with one interface.

| kind | a frame | sound by |
|---|---|---|
| codec_latent | our codec's latent before quantisation (48 numbers at 93.75 Hz) | the codec's decoder |
| log_mel | log magnitudes in mel bands | a vocoder (`autosing train vocoder`) |

A model gets frames of mean 0 and standard deviation 1 in each dimension. Means and deviations are part of the space's
`spec`. The spec is stored in a model's model.json, and `load_space(spec)` gives the same space again.

Shapes: B clips, S samples, F = ceil(S / hop) frames, D numbers a frame, M = D mel bands.
"""

import hashlib
import json
import math
from abc import abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from autosing.audio.mel import mel_filters
from autosing.codecs import BUNDLED, codec_digest
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.codec import CodecModel
from autosing.nn.excitation import Begin, excitations
from autosing.nn.stft import stft

if TYPE_CHECKING:
    from autosing.codecs.fitted import FittedCodec

Kind = Literal["codec_latent", "log_mel"]
_MEL_MEAN, _MEL_STD = -5.0, 2.5
"""Mean and deviation of log-mel frames of a voice at usual levels."""


class MelConfig(Config):
    """Log-mel frames: natural log of magnitudes in Slaney's bands, from 0 to half the rate."""

    sample_rate_hz: int = Field(default=24_000, ge=8_000, le=48_000)
    hop_samples: int = Field(default=256, gt=0)
    window_samples: int = Field(default=1024, gt=0)
    bands: int = Field(default=100, ge=8)
    floor: float = Field(default=1e-4, gt=0)
    """Magnitude of silence; white noise of power one has 1 in each bin."""

    def model_post_init(self, _: object) -> None:
        if self.window_samples < self.hop_samples or (self.window_samples - self.hop_samples) % 2:
            raise InputError(
                f"mel: window_samples {self.window_samples}, hop_samples {self.hop_samples}; need a window that is "
                "longer by an even number of samples"
            )

    @property
    def digest(self) -> str:
        """Over all these numbers: frames with equal digests are comparable."""
        return hashlib.sha256(json.dumps(self.dump(), sort_keys=True).encode()).hexdigest()


class SpaceSpec(Config):
    """A space as data."""

    kind: Kind
    source: str | None = None
    """codec_latent: the codec, as autosing.codecs.load_codec takes it."""
    digest: str
    """codec_latent: the digest of the codec's weights; log_mel: that of the MelConfig."""
    sample_rate_hz: int = Field(gt=0)
    hop_samples: int = Field(gt=0)
    mel: MelConfig | None = None
    mean: tuple[float, ...]
    """Mean of each dimension over the frames that the space was fitted to; 0 if it was not fitted."""
    std: tuple[float, ...]

    def model_post_init(self, _: object) -> None:
        if len(self.mean) != len(self.std) or not all(s > 0 and math.isfinite(s) for s in self.std):
            raise InputError(
                f"space {self.kind}: {len(self.mean)} means, {len(self.std)} spreads; need as many, above 0"
            )

    @property
    def width(self) -> int:
        """D."""
        return len(self.mean)

    @property
    def rate_hz(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.sample_rate_hz, self.hop_samples)

    def num_frames(self, num_samples: int) -> int:
        """F: the last frame is filled with silence."""
        return -(-num_samples // self.hop_samples)


class AcousticSpace(nn.Module):
    """frames(audio_BS, f0_hz_BF) -> x_BDF; sound(x_BDF, f0_hz_BF) -> audio_BS, S = F * hop.

    Gradients flow through both, weights are frozen. f0 is in Hz at the middles of frames, 0 where unvoiced.
    """

    mean_D1: Tensor
    std_D1: Tensor

    def __init__(self, spec: SpaceSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("mean_D1", torch.tensor(spec.mean, dtype=torch.float32)[:, None], persistent=False)
        self.register_buffer("std_D1", torch.tensor(spec.std, dtype=torch.float32)[:, None], persistent=False)

    @property
    def sounds(self) -> bool:
        """Whether frames can be made sound here."""
        return True

    def check_sounds(self, by: str = "as the vocoder") -> None:
        """Raises InputError where they cannot. `by`: how the caller's user names a vocoder, for the error."""
        if not self.sounds:
            raise InputError(
                f"space {self.spec.kind}: no vocoder is given, so its frames cannot be made sound; train one with "
                f"'autosing train vocoder' and name its run {by}, or use the space codec_latent"
            )

    def frames(self, audio_BS: Tensor, f0_hz_BF: Tensor) -> Tensor:
        """x_BDF of audio at the space's rate."""
        num_frames = self.spec.num_frames(audio_BS.shape[1])
        assert f0_hz_BF.shape == (len(audio_BS), num_frames), (f0_hz_BF.shape, num_frames)
        if num_frames == 0:
            return audio_BS.new_zeros(len(audio_BS), self.spec.width, 0)
        padded_BS = pad(audio_BS, (0, num_frames * self.spec.hop_samples - audio_BS.shape[1]))
        return self.normalise(self._analyse(padded_BS, f0_hz_BF))

    def sound(self, x_BDF: Tensor, f0_hz_BF: Tensor, begin: Begin | None = None) -> Tensor:
        """audio_BS, whole frames, of a whole clip or, with `begin`, of a chunk of one."""
        assert x_BDF.shape == (len(f0_hz_BF), self.spec.width, f0_hz_BF.shape[1]), (x_BDF.shape, f0_hz_BF.shape)
        if x_BDF.shape[2] == 0:
            return x_BDF.new_zeros(len(x_BDF), 0)
        return self._synthesise(self.denormalise(x_BDF), f0_hz_BF, begin)

    def normalise(self, raw_BDF: Tensor) -> Tensor:
        """The space's own numbers -> mean 0, standard deviation 1."""
        return (raw_BDF - self.mean_D1) / self.std_D1

    def denormalise(self, x_BDF: Tensor) -> Tensor:
        """The inverse."""
        return x_BDF * self.std_D1 + self.mean_D1

    @abstractmethod
    def _analyse(self, audio_BS: Tensor, f0_hz_BF: Tensor) -> Tensor: ...

    @abstractmethod
    def _synthesise(self, raw_BDF: Tensor, f0_hz_BF: Tensor, begin: Begin | None) -> Tensor: ...


class CodecLatent(AcousticSpace):
    """Between the encoder and the quantiser of our codec. Pulses have the f0 that is given, not that of its code."""

    def __init__(self, spec: SpaceSpec, model: CodecModel) -> None:
        super().__init__(spec)
        self.model = model.eval().requires_grad_(False)
        self._stride = model.config.strides[model.config.f0_level]
        """Frames for each value of pitch in the codec's networks."""

    def _analyse(self, audio_BS: Tensor, f0_hz_BF: Tensor) -> Tensor:
        filled_BF, num_frames = self._filled(f0_hz_BF), f0_hz_BF.shape[1]
        audio_BS = pad(audio_BS, (0, filled_BF.shape[1] * self.spec.hop_samples - audio_BS.shape[1]))
        return self.model.latent(audio_BS, self.model.f0_codes(filled_BF))[..., :num_frames]

    def _synthesise(self, raw_BDF: Tensor, f0_hz_BF: Tensor, begin: Begin | None) -> Tensor:
        whole_BF, num_frames, spec = self._filled(f0_hz_BF), f0_hz_BF.shape[1], self.spec
        raw_BDF = pad(raw_BDF, (0, whole_BF.shape[1] - num_frames), mode="replicate")
        if begin is not None:
            begin = begin._replace(filled_hz_BF=self._filled(begin.filled_hz_BF))
        pulses_BS, noise_BS = excitations(whole_BF, spec.hop_samples, spec.sample_rate_hz, begin)
        audio_BS = self.model.sound(raw_BDF, self.model.f0_codes(whole_BF), pulses_BS, noise_BS)
        return audio_BS[:, : num_frames * spec.hop_samples]

    def _filled(self, f0_hz_BF: Tensor) -> Tensor:
        """Padded with the last value to a whole number of pitch codes."""
        more = -f0_hz_BF.shape[1] % self._stride
        return torch.cat([f0_hz_BF, f0_hz_BF[:, -1:].expand(-1, more)], dim=1)


class Vocoder(Protocol):
    """Log-mel frames -> audio: a run of `autosing train vocoder`, loaded."""

    mel: MelConfig
    """The frames that it was trained on."""

    def __call__(self, mel_BMF: Tensor, f0_hz_BF: Tensor, begin: Begin | None) -> Tensor:
        """Log-mel frames, as MelConfig says and not normalised, and f0 -> audio_BS, S = F * hop."""
        ...


class LogMelSpace(AcousticSpace):
    """Log-mel frames; sound needs a vocoder of the same frames."""

    filters_MK: Tensor

    def __init__(self, spec: SpaceSpec, vocoder: Vocoder | None = None) -> None:
        super().__init__(spec)
        assert spec.mel is not None, spec
        if vocoder is not None and vocoder.mel != spec.mel:
            made, needed = vocoder.mel.dump(), spec.mel.dump()
            found = ", ".join(f"{key} {made[key]} (need {needed[key]})" for key in made if made[key] != needed[key])
            raise InputError(f"vocoder: made for frames of {found}; give one trained on the model's frames")
        self.mel, self.vocoder = spec.mel, vocoder
        filters_MK = mel_filters(self.mel.sample_rate_hz, self.mel.window_samples, self.mel.bands)
        if not filters_MK.any(axis=1).all():
            raise InputError(
                f"mel: of {self.mel.bands} bands some lie between the bins of {self.mel.window_samples} samples; take "
                "fewer bands or a longer window"
            )
        # Normalised to sum 1 rather than to unit area, so that a band's value is a mean magnitude.
        filters_MK = filters_MK / filters_MK.sum(axis=1, keepdims=True)
        self.register_buffer("filters_MK", torch.from_numpy(filters_MK), persistent=False)

    def _analyse(self, audio_BS: Tensor, f0_hz_BF: Tensor) -> Tensor:
        magnitude_BKF = stft(audio_BS, self.mel.window_samples, self.mel.hop_samples).abs()
        return (self.filters_MK @ magnitude_BKF).clamp(min=self.mel.floor).log()

    @property
    def sounds(self) -> bool:
        return self.vocoder is not None

    def _synthesise(self, raw_BDF: Tensor, f0_hz_BF: Tensor, begin: Begin | None) -> Tensor:
        self.check_sounds()
        assert self.vocoder is not None
        return self.vocoder(raw_BDF, f0_hz_BF, begin)


class InSpace:
    """A model whose frames are of a space, which makes them sound."""

    space: AcousticSpace

    @property
    def spec(self) -> SpaceSpec:
        """Its rate, hop and frames."""
        return self.space.spec

    @property
    def device(self) -> torch.device:
        return self.space.mean_D1.device

    def sound(self, x_BDF: Tensor, f0_hz_BF: Tensor, begin: Begin | None = None) -> Tensor:
        """See AcousticSpace.sound."""
        return self.space.sound(x_BDF, f0_hz_BF, begin)


class Statistics:
    """Means and deviations of a space's dimensions, collected in float64, for `fitted`."""

    def __init__(self, width: int) -> None:
        self._count = 0
        self._sum_D, self._squares_D = np.zeros(width), np.zeros(width)

    def add(self, raw_DF: Tensor | np.ndarray) -> None:
        """The frames of one clip, not normalised."""
        raw_DF = np.asarray(raw_DF.detach().cpu() if isinstance(raw_DF, Tensor) else raw_DF, np.float64)
        self._count += raw_DF.shape[1]
        self._sum_D += raw_DF.sum(axis=1)
        self._squares_D += np.square(raw_DF).sum(axis=1)

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Raises InputError if no frame was added. A constant dimension gets the deviation 1."""
        if self._count == 0:
            raise InputError("acoustic space: no frames to take means of; need at least one clip")
        mean_D = self._sum_D / self._count
        std_D = np.sqrt(np.maximum(self._squares_D / self._count - mean_D**2, 0))
        return tuple(map(float, mean_D)), tuple(float(std) if std > 1e-6 else 1.0 for std in std_D)


def new_space(kind: Kind, codec: str = BUNDLED, mel: MelConfig | None = None) -> SpaceSpec:
    """A space with default means and deviations: those of the codec's latents on its own training data, if it recorded
    them, or typical ones of log-mel frames of a voice. `fitted` replaces them.

    Raises InputError if there is no such codec of ours.
    """
    if kind == "log_mel":
        mel = mel or MelConfig()
        return SpaceSpec(
            kind=kind, digest=mel.digest, sample_rate_hz=mel.sample_rate_hz, hop_samples=mel.hop_samples, mel=mel,
            mean=(_MEL_MEAN,) * mel.bands, std=(_MEL_STD,) * mel.bands,
        )  # fmt: skip
    known = _codec(codec)
    config, width = known.model.config, known.model.config.latent
    latent = known.latent or {"mean": (0.0,) * width, "deviation": (1.0,) * width}
    return SpaceSpec(
        kind=kind, source=codec, digest=codec_digest(codec), sample_rate_hz=config.sample_rate_hz,
        hop_samples=config.hop_samples, mean=tuple(latent["mean"]), std=tuple(latent["deviation"]),
    )  # fmt: skip


def fitted(spec: SpaceSpec, seen: Statistics) -> SpaceSpec:
    """The same space with the means and deviations that were collected."""
    mean, std = seen.mean_and_std()
    return spec.model_copy(update={"mean": mean, "std": std})


def load_space(spec: SpaceSpec, vocoder: Vocoder | None = None, device: str = "cpu") -> AcousticSpace:
    """The space, ready to use. `vocoder`: of log_mel. Raises InputError if the codec is missing, or is not that of
    the spec."""
    space: AcousticSpace
    if spec.kind == "log_mel":
        space = LogMelSpace(spec, vocoder)
    else:
        assert spec.source is not None, spec
        found = codec_digest(spec.source)
        if found != spec.digest:
            raise InputError(
                f"space codec_latent: codec {spec.source} was {spec.digest[:12]} when the model was made, is "
                f"{found[:12]} now; put the old one back or train the model again"
            )
        space = CodecLatent(spec, _codec(spec.source).model)
    return space.to(device).eval()


def _codec(name: str) -> "FittedCodec":
    from autosing.codecs import load_codec
    from autosing.codecs.fitted import FittedCodec

    codec = load_codec(name)
    if not isinstance(codec, FittedCodec):
        raise InputError(
            f"space codec_latent: {name} is no codec of ours; need {BUNDLED} or a run of 'autosing train codec'"
        )
    return codec
