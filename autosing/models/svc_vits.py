"""Content, pitch, loudness and a singer -> sound, in one pass: a VITS that has no text (so-vits-svc 5.0's idea).

    content -> encoder (+ pitch, loudness) -> prior, in which who sings shall not be heard
    prior -> sample -> flow, backwards, told who sings -> latent -> norm steered by who sings -> generator -> sound

Between latent and norm a refiner may stand (autosing.models.refiner), which is trained when the rest is.

In training a posterior (autosing.models.posterior) gives the latent of the true sound, and the flow takes it to the
prior's side.

Shapes: B clips, F frames, S = F * hop samples, D numbers of the latent, W width of the encoder, C of content,
E = 256 singer.
"""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.checkpoint import load_model, restore
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.refiner import Refiner, RefinerConfig
from autosing.models.told import Sampling, Told, loudness_told
from autosing.nn.centred import Centred
from autosing.nn.coupling import CouplingConfig, CouplingFlow
from autosing.nn.excitation import F0_FEATURES, Begin, excitations, f0_features
from autosing.nn.folding import fold_weight_norms
from autosing.nn.local_attention import LocalEncoder, LocalEncoderConfig
from autosing.nn.masked import ContentPrenet
from autosing.nn.nsf import NsfConfig, NsfGenerator
from autosing.nn.singer_norm import SingerNorm
from autosing.nn.solvers import frame_noise
from autosing.nn.source_filter import SourceFilterConfig, SourceFilterGenerator
from autosing.nn.wavenet import gaussian
from autosing.schemas.records import Part

SINGER_WIDTH = 256


class SvcVitsConfig(Config):
    """The model's numbers: by default so-vits-svc 5.0's."""

    sample_rate_hz: int = Field(32_000, ge=8_000, le=48_000)
    hop_samples: int = Field(320, ge=16)
    content: tuple[Part, ...]
    """The encoders' layers that content is made of."""
    latent: int = Field(192, ge=2, multiple_of=2)
    centred: bool = False
    """Whether who sings is told from the singers' centre (autosing.nn.centred)."""
    prenet: bool = False
    """A stack of instance norms before the encoder; without: one convolution of 5 frames."""
    encoder: LocalEncoderConfig = LocalEncoderConfig()
    flow: CouplingConfig = CouplingConfig()
    norm: bool = True
    """Whether what the generator is given is normalised before a singer's gain and shift; not where the latent is a
    codec's."""
    generator: Literal["nsf", "source_filter"] = "nsf"
    nsf: NsfConfig = NsfConfig(rates=(5, 4, 4, 2, 2), channels=320)
    source_filter: SourceFilterConfig = SourceFilterConfig()
    temperature: float = Field(1.0, ge=0, le=2)
    """How far samples of the prior stray in use where a temperature of 1 is asked for."""
    refiner: RefinerConfig | None = None

    def model_post_init(self, _: object) -> None:
        if self.generator == "nsf" and self.nsf.hop_samples != self.hop_samples:
            raise InputError(
                f"svc_vits: nsf.rates {self.nsf.rates} make {self.nsf.hop_samples} samples a frame, hop_samples is "
                f"{self.hop_samples}; need the same"
            )
        if self.generator == "source_filter" and self.source_filter.window(self.hop_samples) < self.hop_samples:
            raise InputError(
                f"svc_vits: source_filter.window_samples {self.source_filter.window_samples}; need {self.hop_samples} "
                "(hop_samples) or more"
            )

    @property
    def content_width(self) -> int:
        return sum(part.width for part in self.content)

    @property
    def rate_hz(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.sample_rate_hz, self.hop_samples)

    def num_frames(self, num_samples: int) -> int:
        """F: the last frame is filled up."""
        return -(-num_samples // self.hop_samples)


class SvcVits(nn.Module):
    """`sing` and `sound` are its use; `tell`, `flow` and `shape` are what training asks one by one.

    `who_BE` is what `who` makes of a singer's vector.
    """

    mean_D1: Tensor
    std_D1: Tensor

    def __init__(self, config: SvcVitsConfig) -> None:
        super().__init__()
        self.config = config
        width = config.encoder.width
        if config.prenet:
            self.enter: nn.Module = ContentPrenet(config.content_width, width)
        else:
            self.enter = nn.Conv1d(config.content_width, width, 5, padding=2)
        self.who: Centred | nn.Identity = Centred(SINGER_WIDTH) if config.centred else nn.Identity()
        self.pitch = nn.Conv1d(F0_FEATURES + 1, width, 1)
        self.encoder = LocalEncoder(config.encoder)
        self.prior = nn.Conv1d(width, 2 * config.latent, 1)
        self.flow = CouplingFlow(config.latent, SINGER_WIDTH, config.flow)
        self.norm = SingerNorm(config.latent, SINGER_WIDTH, config.norm)
        self.register_buffer("mean_D1", torch.zeros(config.latent, 1))
        self.register_buffer("std_D1", torch.ones(config.latent, 1))
        self.refiner: Refiner | None = None
        if config.refiner is not None:
            self.refiner = Refiner(config.refiner, config.latent, width, SINGER_WIDTH)
        if config.generator == "nsf":
            self.generator: nn.Module = NsfGenerator(config.latent + F0_FEATURES, config.nsf)
        else:
            self.generator = SourceFilterGenerator(
                config.latent, config.source_filter, config.hop_samples, config.sample_rate_hz
            )

    def tell(self, told: Told, mask_BF: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """(h_BWF, mean_BDF, log_std_BDF): what is sung, on which pitch and how loud, and the prior of that. Nothing of
        who sings is told."""
        # The first feature says whether anybody sings; here the pitch goes on where nobody does.
        voiced_B1F = told.voiced_BF[:, None].to(told.loudness_db_BF.dtype)
        pitch_BDF, loudness_B1F = f0_features(told.f0_hz_BF), loudness_told(told.loudness_db_BF)[:, None]
        frames_BDF = torch.cat([voiced_B1F, pitch_BDF[:, 1:], loudness_B1F], dim=1)
        content_BCF = told.content_BCF
        if mask_BF is not None:
            content_BCF = content_BCF * mask_BF[:, None]
        entered = self.enter(content_BCF, mask_BF) if self.config.prenet else self.enter(content_BCF)
        h_BWF = self.encoder(entered + self.pitch(frames_BDF), mask_BF)
        mean_BDF, log_std_BDF = gaussian(self.prior(h_BWF))
        return h_BWF, mean_BDF, log_std_BDF

    def shape(self, z_BDF: Tensor, who_BE: Tensor, f0_hz_BF: Tensor, pulses_BS: Tensor, noise_BS: Tensor) -> Tensor:
        """audio_BS of a latent. f0 is 0 where unvoiced."""
        return self.voice(self.steer(z_BDF, who_BE), f0_hz_BF, pulses_BS, noise_BS)

    def steer(self, z_BDF: Tensor, who_BE: Tensor) -> Tensor:
        """x_BDF: what the generator is given."""
        x_BDF: Tensor = self.norm(z_BDF, who_BE)
        return x_BDF * self.std_D1 + self.mean_D1

    def voice(self, x_BDF: Tensor, f0_hz_BF: Tensor, pulses_BS: Tensor, noise_BS: Tensor) -> Tensor:
        """audio_BS of what the generator is given."""
        if isinstance(self.generator, NsfGenerator):
            audio_BS: Tensor = self.generator(torch.cat([x_BDF, f0_features(f0_hz_BF)], dim=1), pulses_BS, noise_BS)
        else:
            audio_BS = self.generator(x_BDF, f0_hz_BF, pulses_BS, noise_BS)
        return audio_BS

    @torch.no_grad()
    def sing(self, told: Told, sampling: Sampling, first_frame: int = 0) -> Tensor:
        """x_BDF. `first_frame`: where in its song the stretch begins: noise belongs to a song's frames, so chunks of
        one song fit together, whatever their sizes."""
        shape = (1, self.config.latent, told.f0_hz_BF.shape[1])
        (noise_BDF,) = frame_noise(sampling.seed, shape, first_frame, 1, told.f0_hz_BF.device)
        h_BWF, z_BDF, who_BE = self.predicted(told, noise_BDF, self.config.temperature * sampling.temperature)
        if self.refiner is not None:
            z_BDF = self.refiner.refined(h_BWF, z_BDF, who_BE, sampling, first_frame)
        return self.steer(z_BDF, who_BE)

    def drawn(self, told: Told, noise_BDF: Tensor, temperature: float, mask_BF: Tensor | None = None) -> Tensor:
        """x_BDF of a sample of the prior that is brought back in who sings; nothing is refined."""
        _, z_BDF, who_BE = self.predicted(told, noise_BDF, temperature, mask_BF)
        return self.steer(z_BDF, who_BE)

    def predicted(
        self, told: Told, noise_BDF: Tensor, temperature: float, mask_BF: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(h_BWF, z_BDF, who_BE): the encoder's states and a sample of the latent."""
        h_BWF, mean_BDF, log_std_BDF = self.tell(told, mask_BF)
        who_BE = self.who(told.singer_BE)
        z_BDF, _ = self.flow.inverse(mean_BDF + temperature * log_std_BDF.exp() * noise_BDF, who_BE, mask_BF)
        return h_BWF, z_BDF, who_BE

    def sound(self, x_BDF: Tensor, f0_hz_BF: Tensor, begin: Begin | None = None) -> Tensor:
        """audio_BS, whole frames, of a whole clip or, with `begin`, of a chunk of one. f0 is 0 where unvoiced."""
        excited = excitations(f0_hz_BF, self.config.hop_samples, self.config.sample_rate_hz, begin)
        return self.voice(x_BDF, f0_hz_BF, *excited)


class SvcVitsVoice:
    """A run of 'autosing train svc_vits', ready to sing: what `sing` makes, `sound` makes audio."""

    def __init__(self, model: SvcVits) -> None:
        self.model = model.eval()

    @property
    def takes(self) -> frozenset[str]:
        """Of Sampling: one pass has no solver and no guidance, a refiner has the one."""
        refines = self.model.refiner is not None
        return frozenset({"temperature", "seed"} | ({"steps", "method"} if refines else set()))

    @property
    def spec(self) -> SvcVitsConfig:
        """Its rate, hop and frames."""
        return self.model.config

    @property
    def content(self) -> tuple[Part, ...]:
        """The encoders' layers that content must be of."""
        return self.model.config.content

    @property
    def device(self) -> torch.device:
        return self.model.mean_D1.device

    def sing(self, told: Told, sampling: Sampling, first_frame: int = 0) -> Tensor:
        return self.model.sing(told, sampling, first_frame)

    def sound(self, x_BDF: Tensor, f0_hz_BF: Tensor, begin: Begin | None = None) -> Tensor:
        return self.model.sound(x_BDF, f0_hz_BF, begin)


def load_svc_vits(folder: Path, device: str | torch.device = "cpu") -> SvcVitsVoice:
    """A run folder -> the model, its norms folded into its weights. Raises InputError where it is none."""
    file = load_model(folder, "svc_vits")
    model = SvcVits(SvcVitsConfig.build(file.config, origin=str(folder)))
    restore(model, file, folder)
    fold_weight_norms(model)
    return SvcVitsVoice(model.to(device).requires_grad_(False))
