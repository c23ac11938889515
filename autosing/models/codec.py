"""Our codec's network: audio and f0 -> codes of several rates -> audio.

    log-mel, f0 -> ConvNeXt -> latent -> residual vectors (codes)          encoder
    f0 code -----------------------------> pulses ---\
    codes -> ConvNeXt -> filter of the pulses, filter of the noise,        decoder
             and a free spectrum for what is neither -> inverse STFT

One of the levels codes f0 in even steps of pitch; the others quantise what the spectrum needs besides it. So pitch is
right by construction, while voicing stays soft: the network decides how loud the pulses are in each band.

Latents start as cepstra: linear paths, which are trained too, lead from the log-mel bands through a cosine transform to
the latent, and from the latent through its inverse to the filters. So the networks beside these paths only learn what a
plain vocoder gets wrong, and latents that are close for the quantiser are close in the log spectrum.

Shapes: B clips, S samples, F = S / hop frames, N_i = F / strides[i] codes of level i, D width, K bins, M bands.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autosing.codecs.spec import CodecSpec
from autosing.config import Config
from autosing.errors import InputError
from autosing.nn.convnext import ConvNeXt
from autosing.nn.excitation import F0_FEATURES, excitations, f0_features, fill_gaps, to_samples
from autosing.nn.quantize import ResidualQuantizer
from autosing.nn.source_filter import SourceFilter
from autosing.nn.stft import mel_matrix, stft


class CodecConfig(Config):
    """The codec's sizes: by default about 3.8 M parameters, 7.5 MB in fp16."""

    name: str = "autosing-24khz"
    sample_rate_hz: int = 24000
    hop_samples: int = 256
    strides: tuple[int, ...] = (4, 2, 2, 2, 1, 1)
    codebook_sizes: tuple[int, ...] = (2048, 512, 2048, 2048, 2048, 2048)
    f0_level: int = 1
    """The level that codes f0: code 0 for none, then even steps from f0_low_hz on."""
    f0_low_hz: float = 45.0
    f0_step_cents: float = 12.0
    latent: int = 32
    """Few dimensions, because a level of b bits leaves an error of 4 ** (-b / D) in D equal dimensions."""
    mel_bands: int = 100
    mel_window: int = 1024
    encoder_width: int = 192
    encoder_hidden: int = 576
    encoder_blocks: int = 4
    decoder_width: int = 256
    decoder_hidden: int = 608
    decoder_blocks: int = 6
    window: int = 768
    filter_bands: int = 128

    def model_post_init(self, _: object) -> None:
        levels, sizes = len(self.strides), len(self.codebook_sizes)
        if levels != sizes or not 0 <= self.f0_level < levels:
            raise InputError(f"codec: {levels} strides, {sizes} codebook_sizes, f0_level {self.f0_level}; need as many")

    @property
    def spec(self) -> CodecSpec:
        return CodecSpec(
            name=self.name,
            sample_rate_hz=self.sample_rate_hz,
            hop_samples=self.hop_samples,
            strides=self.strides,
            codebook_sizes=self.codebook_sizes,
        )


class CodecModel(nn.Module):
    """(audio_BS, f0_hz_BF) -> codes -> audio_BS. S must be whole blocks."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        spectral = [i for i in range(len(config.strides)) if i != config.f0_level]
        self.features = LogMel(config)
        self.encoder = ConvNeXt(
            config.mel_bands + F0_FEATURES, config.encoder_width, config.encoder_hidden, config.encoder_blocks
        )
        self.to_latent = nn.Linear(config.encoder_width, config.latent)
        self.cepstrum = nn.Linear(config.mel_bands, config.latent)
        self.quantizer = ResidualQuantizer(
            [config.strides[i] for i in spectral], [config.codebook_sizes[i] for i in spectral], config.latent
        )
        self.decoder = ConvNeXt(
            config.latent + F0_FEATURES, config.decoder_width, config.decoder_hidden, config.decoder_blocks
        )
        self.envelope = nn.Linear(config.latent, 2 * config.filter_bands)
        self.head = SourceFilter(
            config.decoder_width, config.filter_bands, config.window, config.hop_samples, config.sample_rate_hz
        )
        self._start_straight()

    def encode(self, audio_BS: Tensor, f0_hz_BF: Tensor, levels: int | None = None) -> list[Tensor]:
        """[codes_BN_i], coarse to fine, the f0 level in its place; `levels`: only so many of the coarsest."""
        f0_code_BN = self.f0_codes(f0_hz_BF)
        spectral = None if levels is None else levels - 1
        codes = self.quantizer.encode(self.latent(audio_BS, f0_code_BN), levels=spectral)
        codes.insert(self.config.f0_level, f0_code_BN)
        return codes

    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        """[codes_BN_i], of all levels or of the coarsest -> audio_BS. The same codes give the same samples."""
        f0_code_BN = codes[self.config.f0_level]
        spectral = [level for i, level in enumerate(codes) if i != self.config.f0_level]
        return self.decode_latent(self.quantizer.decode(spectral), f0_code_BN)

    def decode_latent(self, z_BDF: Tensor, f0_code_BN: Tensor) -> Tensor:
        """A latent, quantised or not, and the pitch's codes -> audio_BS. The same give the same samples."""
        f0_hz_BF = self._spread(self.f0_hz(f0_code_BN))
        excited = excitations(f0_hz_BF, self.config.hop_samples, self.config.sample_rate_hz)
        return self.sound(z_BDF, f0_code_BN, *excited)

    def latent(self, audio_BS: Tensor, f0_code_BN: Tensor) -> Tensor:
        """z_BDF, the input of the quantiser."""
        mel_BMF = self.features(audio_BS)
        x_BDF = self.encoder(torch.cat([mel_BMF, self._condition(f0_code_BN)], dim=1))
        return (self.cepstrum(mel_BMF.mT) + self.to_latent(x_BDF.mT)).mT

    def sound(self, z_BDF: Tensor, f0_code_BN: Tensor, pulses_BS: Tensor, noise_BS: Tensor) -> Tensor:
        """A latent and the two excitations -> audio_BS."""
        x_BDF = self.decoder(torch.cat([z_BDF, self._condition(f0_code_BN)], dim=1))
        return self.head(x_BDF, self.envelope(z_BDF.mT).mT, pulses_BS, noise_BS)

    def f0_codes(self, f0_hz_BF: Tensor) -> Tensor:
        """f0 per frame (0: none) -> f0_code_BN: the mean pitch of the voiced frames; 0 if they are less than half."""
        config = self.config
        f0_BNs = f0_hz_BF.unflatten(1, (-1, config.strides[config.f0_level]))
        voiced_BNs = f0_BNs > 0
        count_BN = voiced_BNs.sum(2)
        octaves_BNs = torch.where(voiced_BNs, (f0_BNs.clamp(min=1e-3) / config.f0_low_hz).log2(), 0.0)
        step_BN = octaves_BNs.sum(2) / count_BN.clamp(min=1) * 1200 / config.f0_step_cents
        code_BN = 1 + step_BN.round().long().clamp(0, config.codebook_sizes[config.f0_level] - 2)
        return torch.where(2 * count_BN >= voiced_BNs.shape[2], code_BN, 0)

    def f0_hz(self, f0_code_BN: Tensor) -> Tensor:
        """The pitch of each code, 0 for none."""
        config = self.config
        hz_BN = config.f0_low_hz * 2 ** ((f0_code_BN - 1).float() * config.f0_step_cents / 1200)
        return torch.where(f0_code_BN > 0, hz_BN, 0.0)

    def code_vectors(self, level: int) -> Tensor:
        """vectors_VD of a level, which a language model may use as frozen embeddings."""
        if level == self.config.f0_level:
            codes_V = torch.arange(self.config.codebook_sizes[level], device=self.quantizer.started.device)
            return f0_features(self.f0_hz(codes_V)[None])[0].mT
        at = level - (level > self.config.f0_level)
        return self.quantizer.level(at).vectors_VD

    @torch.no_grad()
    def _start_straight(self) -> None:
        """Initialise the linear paths as cosine transform and inverse, and the networks beside them close to zero."""
        config = self.config
        place_M = (torch.arange(config.mel_bands) + 0.5) / config.mel_bands
        cosines_DM = torch.cos(torch.pi * torch.arange(config.latent)[:, None] * place_M)
        cosines_DM = cosines_DM * (2 / config.mel_bands) ** 0.5
        cosines_DM[0] *= 0.5**0.5
        # Band m's top lies at (m + 1) / (bands + 1) of the mel axis, the filter's points from its one end to the other.
        point_P = torch.linspace(0, 1, config.filter_bands) * (config.mel_bands + 1) - 1
        near_PM = (1 - (point_P.clamp(0, config.mel_bands - 1)[:, None] - torch.arange(config.mel_bands)).abs()).clamp(
            min=0
        )
        self.cepstrum.weight.copy_(cosines_DM)
        self.cepstrum.bias.zero_()
        self.envelope.weight.copy_(LogMel.SPREAD * (near_PM @ cosines_DM.mT).repeat(2, 1))
        self.envelope.bias.fill_(-LogMel.MIDDLE)
        self.to_latent.weight.mul_(0.1)

    def _condition(self, f0_code_BN: Tensor) -> Tensor:
        stride = self.config.strides[self.config.f0_level]
        return f0_features(self.f0_hz(f0_code_BN)).repeat_interleave(stride, dim=2)

    def _spread(self, f0_hz_BN: Tensor) -> Tensor:
        """The codes' pitch at each frame: interpolated linearly between the middles of voiced neighbours."""
        stride = self.config.strides[self.config.f0_level]
        voiced_BF = (f0_hz_BN > 0).repeat_interleave(stride, dim=1)
        return torch.where(voiced_BF, to_samples(fill_gaps(f0_hz_BN).log(), stride).exp(), 0.0)


class LogMel(nn.Module):
    """audio_BS -> features_BMF with a standard deviation of about 1; silence (below -80 dB) is the floor."""

    MIDDLE, SPREAD = 5.0, 2.5
    matrix_MK: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.window, self.hop = config.mel_window, config.hop_samples
        matrix_MK = mel_matrix(config.mel_bands, config.mel_window, config.sample_rate_hz)
        self.register_buffer("matrix_MK", matrix_MK, persistent=False)

    def forward(self, audio_BS: Tensor) -> Tensor:
        magnitude_BKF = stft(audio_BS, self.window, self.hop).abs()
        return ((self.matrix_MK @ magnitude_BKF).clamp(min=1e-4).log() + self.MIDDLE) / self.SPREAD
