"""Decoder frames and two excitations -> sound: a voice as filtered pulses and noise, and a free rest, by inverse STFT.

Shapes: B clips, D width, F frames, S = F * hop samples, K bins, M bands, G = 2 * M first guesses.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.config import Config
from autosing.nn.convnext import ConvNeXt
from autosing.nn.excitation import F0_FEATURES, f0_features
from autosing.nn.stft import band_curves, istft, stft


class SourceFilterConfig(Config):
    """The generator's numbers; the defaults are near the codec's decoder."""

    width: int = Field(default=256, ge=8)
    hidden: int = Field(default=608, ge=8)
    blocks: int = Field(default=6, ge=1)
    filter_bands: int = Field(default=128, ge=8)
    """Points of the filters' curves."""
    window_samples: int | None = Field(default=None, ge=16)
    """None: three hops."""

    def window(self, hop_samples: int) -> int:
        return self.window_samples or 3 * hop_samples


class SourceFilterGenerator(nn.Module):
    """x_BDF, f0_hz_BF (0 where unvoiced), pulses_BS, noise_BS -> audio_BS, exactly F * hop samples.

    The parts have the names of the codec's decoder, whose weights fit where the numbers are its own.
    """

    def __init__(self, width: int, config: SourceFilterConfig, hop_samples: int, sample_rate_hz: int) -> None:
        super().__init__()
        self.decoder = ConvNeXt(width + F0_FEATURES, config.width, config.hidden, config.blocks)
        self.envelope = nn.Linear(width, 2 * config.filter_bands)
        window = config.window(hop_samples)
        self.head = SourceFilter(config.width, config.filter_bands, window, hop_samples, sample_rate_hz)
        # At first every band sounds, quietly: -40 dB.
        nn.init.normal_(self.envelope.weight, std=0.01)
        nn.init.constant_(self.envelope.bias, -4.6)

    def forward(self, x_BDF: Tensor, f0_hz_BF: Tensor, pulses_BS: Tensor, noise_BS: Tensor) -> Tensor:
        y_BDF = self.decoder(torch.cat([x_BDF, f0_features(f0_hz_BF)], dim=1))
        audio_BS: Tensor = self.head(y_BDF, self.envelope(x_BDF.mT).mT, pulses_BS, noise_BS)
        return audio_BS


class SourceFilter(nn.Module):
    """Decoder frames x_BDF, a first guess of both filters' log gains, and excitations -> audio_BS.

    spectrum = pulses * filter (gain and phase) + noise * gain + free real and imaginary parts. The free spectrum is
    what an accompaniment is made of, and what pulses and noise miss in a voice.
    """

    curves_KM: Tensor

    def __init__(self, width: int, bands: int, window_samples: int, hop_samples: int, sample_rate_hz: int) -> None:
        super().__init__()
        self.window, self.hop, self.bands = window_samples, hop_samples, bands
        self.bins = window_samples // 2 + 1
        self.out = nn.Linear(width, 3 * self.bands + 3 * self.bins)
        curves_KM = band_curves(bands, window_samples, sample_rate_hz)
        self.register_buffer("curves_KM", curves_KM, persistent=False)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.out.bias[self.bands : 2 * self.bands] = -1.0
            self.out.bias[3 * self.bands : 3 * self.bands + self.bins] = -6.0

    def forward(self, x_BDF: Tensor, gains_BGF: Tensor, pulses_BS: Tensor, noise_BS: Tensor) -> Tensor:
        y_BDF, gains_BGF = self.out(x_BDF.mT).mT.float(), gains_BGF.float()
        with torch.autocast(y_BDF.device.type, enabled=False):  # phases are no good in bf16
            return self._sound(y_BDF, gains_BGF, pulses_BS, noise_BS)

    def _sound(self, y_BDF: Tensor, gains_BGF: Tensor, pulses_BS: Tensor, noise_BS: Tensor) -> Tensor:
        pulse_BMF, noise_BMF, phase_BMF = y_BDF[:, : 3 * self.bands].unflatten(1, (3, self.bands)).unbind(1)
        pulse_BKF = self.curves_KM @ (pulse_BMF + gains_BGF[:, : self.bands])
        noise_BKF = self.curves_KM @ (noise_BMF + gains_BGF[:, self.bands :])
        phase_BKF = self.curves_KM @ phase_BMF
        free_gain_BKF, real_BKF, imaginary_BKF = y_BDF[:, 3 * self.bands :].unflatten(1, (3, self.bins)).unbind(1)
        filter_BKF = torch.polar(gain(pulse_BKF), phase_BKF)
        spectrum_BKF = stft(pulses_BS, self.window, self.hop) * filter_BKF
        spectrum_BKF = spectrum_BKF + stft(noise_BS, self.window, self.hop) * gain(noise_BKF)
        spectrum_BKF = spectrum_BKF + torch.complex(real_BKF, imaginary_BKF) * gain(free_gain_BKF)
        return istft(spectrum_BKF, self.window, self.hop)


def gain(log_gain: Tensor) -> Tensor:
    """exp, from -140 dB to +40 dB."""
    return log_gain.clamp(-16.0, 4.6).exp()
