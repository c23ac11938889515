"""Task svc_vits: clips of singing -> a VITS that sings content at a pitch and a loudness in a singer's voice.

A posterior gives the latent of a crop's true sound; the flow takes it to the prior of what was sung, and a sample of
the prior back. Both latents, the posterior's and the prior's, are made sound and judged. Losses (weights in settings):
the divergence of posterior and prior, forwards and backwards (so-vits-svc 5.0); spectra at several windows; what
discriminators say, and their features (Kong 2020, HiFi-GAN, equations 1 to 6); who sings, told from the encoder's
states behind a reversed gradient (Ganin 2015); and, if asked, what a speech recogniser hears.

In training alone, content, the pitch that is told and the latent get noise. Noise follows from the sample and the run's
seed, so an update is the same in however many batches its clips come.

Shapes: B crops, S samples, F frames, G frames that are decoded, D numbers of the latent, C of content.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from autosing.audio.io import Audio
from autosing.checkpoint import ModelFile
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.posterior import PosteriorConfig, build_posterior
from autosing.models.svc_vits import SINGER_WIDTH, SvcVits, SvcVitsConfig
from autosing.models.told import Sampling, Told
from autosing.nn.adversarial import GradientReversal, ReversalConfig
from autosing.nn.discriminators import SMALL, DiscriminatorConfig, Discriminators
from autosing.nn.excitation import pulses
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.storage.store import Place
from train.begin_with import begin_every_part, begun_config, check_content
from train.clip_noise import ClipNoise
from train.codec_start import begin_with_codec
from train.crops import stacked
from train.exchange import ExchangeConfig, exchange_of_vits
from train.losses.adversarial import GanLoss, discriminator_loss, judged
from train.losses.divergence import flow_divergence
from train.losses.perceptual import PerceptualLoss
from train.losses.spectral import SpectralLoss
from train.losses.voice import VoiceLoss
from train.singers import Mode, Singers
from train.task import Counts, Task, decay_groups, one_after_another
from train.voice_crops import CropConfig, VoiceCrops, told_of
from train.voice_figures import voice_figures

_SONG_BYTES = 64
_LEAST_LEVEL = 0.003
"""Of what discriminators are shown: silence is not made loud."""


class SvcVitsSettings(Config):
    """The task's numbers. Those of the networks are SvcVitsConfig's."""

    model: dict[str, Any] = Field(default_factory=dict)
    """What differs from SvcVitsConfig's defaults: sample_rate_hz, generator, encoder ..."""
    posterior: PosteriorConfig = PosteriorConfig()
    discriminators: DiscriminatorConfig = SMALL
    begin_with: str | None = None
    """A run of this task that is trained on, every part of it, by other singers too."""
    begin_with_codec: str | None = None
    """A codec of ours (or a run of 'autosing train codec') whose encoder and decoder posterior and generator begin as;
    its rate, hop and sizes become the model's."""
    codec_lr_scale: float = Field(0.3, gt=0, le=1)
    """How fast posterior and generator learn beside the rest, where they begin as a codec's."""
    singer: Mode = "clip"
    """Who is told to sing a clip: its own vector, or the mean of its singer's in the train split. A clip without a
    name, and one of a singer who is not in the train split (valid), has its own in any case."""
    crop: CropConfig = CropConfig()
    segment_frames: int = Field(48, ge=8)
    """Of a crop, how many frames are decoded."""
    sound_share: float = Field(1.0, gt=0, le=1)
    """Of the crops of a batch, how many are decoded: the generator and all that hears it cost more than the rest."""
    judged_frames: int = Field(48, ge=8)
    """Of those, how many the discriminators are shown."""
    prior_share: float = Field(0.0, ge=0, le=1)
    """Of the crops, how often the sound that is judged is made as in use: of a sample of the prior, brought back."""
    spectral_weight: float = Field(1.0, ge=0)
    divergence_weight: float = Field(0.02, ge=0)
    """Of a nat a frame."""
    backward_weight: float = Field(0.01, ge=0)
    adversarial_weight: float = Field(0.07, ge=0)
    matching_weight: float = Field(0.13, ge=0)
    adversarial_from: int = Field(500, ge=0)
    """Steps in which the generator follows spectra alone, while the discriminators learn already."""
    gan: GanLoss = "least_squares"
    singer_weight: float = Field(0.1, ge=0)
    reversal: ReversalConfig = ReversalConfig()
    heard_weight: float = Field(0.0, ge=0)
    """Of what the listener hears; 0: without one."""
    listener: str = "whisper-tiny.en"
    exchange: ExchangeConfig = ExchangeConfig()
    """Crops sung in another's voice, which must be reached (train.exchange)."""
    content_noise: float = Field(0.5, ge=0)
    """Spread of the noise on content, as a share of each number's own spread in the crop."""
    pitch_noise_cents: float = Field(20.0, ge=0)
    """Spread of the noise on the pitch that the prior is told; what excites the generator stays exact."""
    latent_noise: float = Field(0.3, ge=0)
    """Spread of the noise on what the generator is given."""
    prompts: int = Field(4, ge=0)
    """Songs of the valid split that are listened to and measured."""


class TrainSvcVits(Task):
    """See the module."""

    name = "svc_vits"
    Settings = SvcVitsSettings
    members = ("meta", "audio", "pitch", "loudness", "content", "singer")
    phases: ClassVar[tuple[str, ...]] = ("discriminator", "generator")

    def __init__(self, config: SvcVitsSettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        self.settings = config
        feature = index.features.get("content")
        if feature is None or not feature.parts:
            raise InputError("dataset: does not say which encoders its content is of; build it again, with content")
        values = dict(config.model)
        posterior = config.posterior
        if config.begin_with_codec is not None:
            codec = begin_with_codec(config.begin_with_codec)
            values, posterior = codec.model_values(values), codec.posterior(posterior)
        content = [part.dump() for part in feature.parts]
        self.model_config = SvcVitsConfig.build({**values, "content": content}, "task.model")
        if config.begin_with is not None:
            option, folder = "task.begin_with", Path(config.begin_with)
            self.model_config = begun_config(option, folder, self.name, self.model_config, values)
            check_content(f"{option} {folder}", self.model_config.content, feature.parts)
        if self.model_config.refiner is not None:
            raise InputError(
                "task svc_vits: a refiner is trained when the rest is, by 'autosing train refiner'; leave "
                "task.model.refiner out, or begin with the run that was refined"
            )
        rate, hop = self.model_config.sample_rate_hz, self.model_config.hop_samples
        self.model = SvcVits(self.model_config)
        self.posterior = build_posterior(posterior, self.model_config.latent, SINGER_WIDTH, rate, hop)
        if config.begin_with_codec is not None:
            codec.give(self.model, self.posterior)
        self.singer_head = nn.Sequential(
            nn.Conv1d(self.model_config.encoder.width, 256, 5, padding=2), nn.GELU(), nn.Conv1d(256, SINGER_WIDTH, 1)
        )
        self.reversal = GradientReversal(config.reversal)
        self.discriminators = Discriminators(config.discriminators)
        self.spectral = SpectralLoss(rate)
        self.modules = nn.ModuleDict({
            "generator": nn.ModuleDict({
                "svc": self.model, "posterior": self.posterior, "singer_head": self.singer_head,
            }),
            "discriminator": self.discriminators, "spectral": self.spectral,
        })  # fmt: skip
        if config.begin_with is not None:
            begin_every_part("task.begin_with", self.modules, Path(config.begin_with))
        self.heard = None
        if config.heard_weight > 0:
            self.heard = self.modules["heard"] = PerceptualLoss(rate, config.listener)
        self.voice = None
        if config.exchange.weight > 0:
            self.voice = self.modules["voice"] = VoiceLoss(rate)
        self.singers = Singers(config.singer)
        self.crops = VoiceCrops(config.crop, self.model_config.content, hop, rate, self.singers)
        self.segment = min(config.segment_frames, config.crop.frames)
        self.judged = min(config.judged_frames, self.segment)
        self._prompts: dict[bytes, dict[str, Tensor]] = {}

    def survey(self, dataset: Place) -> None:
        self.singers.survey(dataset, self.index)
        if self.settings.begin_with is None:
            self.singers.centre(self.model.who)

    def describe(self) -> dict[str, str]:
        config = self.model_config
        content = ", ".join(f"{part.name} layer {part.layer}" for part in config.content)
        return {
            "sound": f"{config.sample_rate_hz} Hz by {config.generator}", "content": content,
            "begins with": self.settings.begin_with or self.settings.begin_with_codec or "nothing",
            "singers": str(len(self.singers.known)),
        }  # fmt: skip

    def parameter_groups(self, phase: str) -> list[dict[str, Any]]:
        """What begins as a codec's learns more slowly."""
        if phase == "discriminator" or self.settings.begin_with_codec is None:
            return decay_groups(self.modules[phase].parameters(), weight_decay=0.01)
        slow = {id(p) for part in (self.model.generator, self.posterior) for p in part.parameters()}
        every = list(self.modules[phase].parameters())
        groups = decay_groups([p for p in every if id(p) not in slow], weight_decay=0.01)
        for group in decay_groups([p for p in every if id(p) in slow], weight_decay=0.01):
            groups.append({**group, "lr_scale": self.settings.codec_lr_scale})
        return groups

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any] | None:
        item = self.crops.cut(sample, rng, self.model.training)
        last = max(0, int(item["inside"].sum()) - self.segment)
        song = sample.meta.song.encode()[:_SONG_BYTES]
        return item | {
            "seed": rng.integers(2**31, dtype=np.int64), "first": rng.integers(last + 1, dtype=np.int64),
            "shown": rng.integers(self.segment - self.judged + 1, dtype=np.int64),
            "from_prior": np.float32(rng.random()), "song": np.frombuffer(song.ljust(_SONG_BYTES), np.uint8),
        }  # fmt: skip

    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return stacked(items)

    def counts(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"frames": batch["inside"].sum()}

    def losses(
        self, batch: dict[str, Tensor], step: int, counts: Counts
    ) -> Iterator[tuple[str, Tensor, dict[str, Tensor]]]:
        settings, model, frames = self.settings, self.model, counts["frames"]
        told, who_BE, inside_BF = told_of(batch), model.who(batch["singer"]), batch["inside"]
        noise = ClipNoise(batch["seed"])
        heard = self._disturbed(told, noise) if model.training else told
        h_BWF, prior_BDF, prior_log_std_BDF = model.tell(heard, inside_BF)
        mean_BDF, log_std_BDF = self.posterior(batch["audio"], batch["f0"], who_BE, inside_BF)
        z_BDF = mean_BDF + log_std_BDF.exp() * noise.of(prior_BDF, 0)
        mapped_BDF, log_det_B = model.flow(z_BDF, who_BE, inside_BF)
        drawn_BDF = prior_BDF + prior_log_std_BDF.exp() * noise.of(prior_BDF, 1)
        back_BDF, back_log_det_B = model.flow.inverse(drawn_BDF, who_BE, inside_BF)
        from_prior_B = batch["from_prior"] < (settings.prior_share if model.training else 1.0)
        given_BDF = torch.where(from_prior_B[:, None, None], back_BDF, z_BDF)
        if model.training:
            given_BDF = given_BDF + settings.latent_noise * noise.of(prior_BDF, 2)
        # Of the batch's crops the first, since they are in no order.
        decoded = max(1, round(settings.sound_share * len(who_BE))) if model.training else len(who_BE)
        made_BS, true_BS = self._segments({k: x[:decoded] for k, x in batch.items()}, given_BDF[:decoded], who_BE)
        shown_made_BS, shown_true_BS = self._shown(made_BS, true_BS, batch["shown"][:decoded])
        said = discriminator_loss(
            self.discriminators(shown_true_BS), self.discriminators(shown_made_BS.detach()), settings.gan
        )
        yield "discriminator", said, {}
        parts = {
            "divergence": flow_divergence(
                mapped_BDF, log_std_BDF, prior_BDF, prior_log_std_BDF, log_det_B, inside_BF, frames
            ),
            "backward": flow_divergence(
                back_BDF, prior_log_std_BDF, mean_BDF, log_std_BDF, back_log_det_B, inside_BF, frames
            ),
        }
        spectral, spectra = self.spectral(made_BS, true_BS)
        parts |= spectra
        loss = settings.spectral_weight * spectral + settings.divergence_weight * parts["divergence"]
        loss = loss + settings.backward_weight * parts["backward"]
        if settings.singer_weight:
            parts["singer"] = self._told_singer(h_BWF, batch, step)
            loss = loss + settings.singer_weight * parts["singer"]
        if self.heard is not None:
            parts["heard"] = self.heard(made_BS, true_BS)
            loss = loss + settings.heard_weight * parts["heard"]
        if self.voice is not None and len(who_BE) > 1:
            parts["voice"] = exchange_of_vits(settings.exchange, model, self.voice, told, inside_BF, noise)
            loss = loss + settings.exchange.weight * parts["voice"]
        if step > settings.adversarial_from:
            parts["adversarial"], parts["matching"] = judged(
                self.discriminators, shown_made_BS, shown_true_BS, settings.gan
            )
            loss = loss + settings.adversarial_weight * parts["adversarial"]
            loss = loss + settings.matching_weight * parts["matching"]
        if not model.training:
            self._keep_prompts(batch)
        yield "generator", loss, parts

    def listen(self, step: int) -> dict[str, Audio]:
        """Songs of the valid split, one after another: as they are, sung again, and each in the next one's voice."""
        if not self._prompts:
            return {}
        batch = self._prompt_batch()
        sounds = {"original": batch["audio"], **self._sung(batch)}
        rate = self.model_config.sample_rate_hz
        return one_after_another(sounds, rate)

    def figures(self, step: int) -> dict[str, float]:
        """See train.voice_figures."""
        if not self._prompts:
            return {}
        batch = self._prompt_batch()
        songs = [name.decode(errors="replace").strip() for name in self._prompts]
        return voice_figures(songs, batch, self._sung(batch), self.model_config.sample_rate_hz, self.device)

    def export(self) -> ModelFile:
        return ModelFile("svc_vits", self.model_config.dump(), self.model.state_dict(), self.singers.extra())

    def _disturbed(self, told: Told, noise: ClipNoise) -> Told:
        """What the prior is told, with noise on content and pitch."""
        content_BCF, f0_hz_BF = told.content_BCF, told.f0_hz_BF
        spread_BC1 = content_BCF.std(2, keepdim=True)
        content_BCF = content_BCF + self.settings.content_noise * spread_BC1 * noise.of(content_BCF, 0)
        cents_BF = self.settings.pitch_noise_cents * noise.of(f0_hz_BF[:, None], 0)[:, 0]
        return replace(told, content_BCF=content_BCF, f0_hz_BF=f0_hz_BF * 2 ** (cents_BF / 1200))

    def _segments(self, batch: dict[str, Tensor], z_BDF: Tensor, who_BE: Tensor) -> tuple[Tensor, Tensor]:
        """(made_BS, true_BS) of the frames that are decoded; silent beyond the clip's end."""
        hop, rate = self.model_config.hop_samples, self.model_config.sample_rate_hz
        where_BG = batch["first"][:, None] + torch.arange(self.segment, device=z_BDF.device)
        z_BDG = z_BDF.gather(2, where_BG[:, None].expand(-1, z_BDF.shape[1], -1))
        f0_hz_BG, inside_BG = batch["f0"].gather(1, where_BG), batch["inside"].gather(1, where_BG)
        pulses_BS = pulses(f0_hz_BG, hop, rate)
        noise_BS = ClipNoise(batch["seed"]).samples(pulses_BS)
        made_BS = self.model.shape(z_BDG, who_BE[: len(z_BDG)], f0_hz_BG, pulses_BS, noise_BS).float()
        true_BGH = batch["audio"].unflatten(1, (-1, hop))
        true_BGH = true_BGH.gather(1, where_BG[..., None].expand(-1, -1, hop))
        return made_BS * inside_BG.repeat_interleave(hop, 1), true_BGH.flatten(1)

    def _shown(self, made_BS: Tensor, true_BS: Tensor, first_B: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminators are shown of both: some frames, as loud as if the true ones had a power of 1."""
        hop = self.model_config.hop_samples
        where_BS = first_B[:, None] * hop + torch.arange(self.judged * hop, device=made_BS.device)
        made_BS, true_BS = made_BS.gather(1, where_BS), true_BS.gather(1, where_BS)
        level_B1 = true_BS.square().mean(1, keepdim=True).sqrt().clamp(min=_LEAST_LEVEL)
        return made_BS / level_B1, true_BS / level_B1

    def _told_singer(self, h_BWF: Tensor, batch: dict[str, Tensor], step: int) -> Tensor:
        """1 - cosine of the singer told from the encoder's states, in the frames of the clip."""
        inside_B1F = batch["inside"][:, None]
        told_BEF = self.singer_head(self.reversal(h_BWF.float() * inside_B1F, step))
        told_BE = (told_BEF * inside_B1F).sum(2) / inside_B1F.sum(2)
        return 1 - F.cosine_similarity(told_BE.float(), batch["singer"]).mean()

    def _keep_prompts(self, batch: dict[str, Tensor]) -> None:
        for k, song in enumerate(batch["song"].cpu().numpy()):
            if len(self._prompts) < self.settings.prompts and song.tobytes() not in self._prompts:
                self._prompts[song.tobytes()] = {name: tensor[k] for name, tensor in batch.items()}

    def _prompt_batch(self) -> dict[str, Tensor]:
        kept = list(self._prompts.values())
        return {name: torch.stack([one[name] for one in kept]) for name in kept[0]}

    def _sung(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        told, f0_hz_BF = told_of(batch), batch["f0"]
        swapped = replace(told, singer_BE=told.singer_BE.roll(-1, 0))
        return {
            name: self.model.sound(self.model.sing(one, Sampling()), f0_hz_BF).float()
            for name, one in (("sung", told), ("exchanged", swapped))
        }
