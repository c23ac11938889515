"""A SourceFilter in real numbers: the same sound by convolutions, where complex ones are not to be had (ONNX).

    spectra      frames times cosines and sines: a convolution whose stride is the hop
    sound        real and imaginary parts times cosines and sines, added where frames overlap: its transpose

Shapes: B clips, D width, F frames, S = F * hop samples, K bins, W samples of the window, G = 2 * M first guesses.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.nn.source_filter import SourceFilter, gain


class RealSourceFilter(nn.Module):
    """Takes what SourceFilter takes, and has its weights."""

    analysis_C1W: Tensor
    synthesis_C1W: Tensor
    power_11W: Tensor

    def __init__(self, of: SourceFilter) -> None:
        super().__init__()
        self.window, self.hop, self.bands, self.bins = of.window, of.hop, of.bands, of.bins
        self.out = of.out
        self.register_buffer("curves_KM", of.curves_KM, persistent=False)
        self.curves_KM: Tensor
        window_W = torch.hann_window(self.window).double()
        size = window_W.square().sum().sqrt()
        place_KW = torch.arange(self.bins)[:, None] * torch.arange(self.window) % self.window
        turn_KW = 2 * math.pi * place_KW.double() / self.window
        waves_CW = torch.cat([turn_KW.cos(), -turn_KW.sin()])
        # Of the bins that stand for two, the mirrored one is as loud.
        twice_K = torch.full((self.bins,), 2.0, dtype=torch.float64)
        twice_K[0] = 1.0
        if self.window % 2 == 0:
            twice_K[-1] = 1.0
        back_CW = torch.cat([twice_K, twice_K])[:, None] * waves_CW * size / self.window
        self.register_buffer("analysis_C1W", (waves_CW * window_W / size).float()[:, None], persistent=False)
        self.register_buffer("synthesis_C1W", (back_CW * window_W).float()[:, None], persistent=False)
        self.register_buffer("power_11W", window_W.square().float()[None, None], persistent=False)

    def forward(self, x_BDF: Tensor, gains_BGF: Tensor, pulses_BS: Tensor, noise_BS: Tensor) -> Tensor:
        """audio_BS."""
        y_BDF = self.out(x_BDF.mT).mT
        curves_BDF, free_BDF = y_BDF[:, : 3 * self.bands], y_BDF[:, 3 * self.bands :]
        pulse_BMF, noise_BMF, phase_BMF = curves_BDF.chunk(3, dim=1)
        loud_BKF = gain(self.curves_KM @ (pulse_BMF + gains_BGF[:, : self.bands]))
        noise_BKF = gain(self.curves_KM @ (noise_BMF + gains_BGF[:, self.bands :]))
        phase_BKF = self.curves_KM @ phase_BMF
        free_BKF, real_BKF, imaginary_BKF = free_BDF.chunk(3, dim=1)
        free_BKF = gain(free_BKF)
        cosine_BKF, sine_BKF = loud_BKF * phase_BKF.cos(), loud_BKF * phase_BKF.sin()
        pulse_real_BKF, pulse_imaginary_BKF = self._spectrum(pulses_BS)
        noise_real_BKF, noise_imaginary_BKF = self._spectrum(noise_BS)
        real_BKF = (
            pulse_real_BKF * cosine_BKF - pulse_imaginary_BKF * sine_BKF + noise_real_BKF * noise_BKF
            + real_BKF * free_BKF
        )  # fmt: skip
        imaginary_BKF = (
            pulse_real_BKF * sine_BKF + pulse_imaginary_BKF * cosine_BKF + noise_imaginary_BKF * noise_BKF
            + imaginary_BKF * free_BKF
        )  # fmt: skip
        return self._sound(torch.cat([real_BKF, imaginary_BKF], dim=1))

    def _spectrum(self, audio_BS: Tensor) -> tuple[Tensor, Tensor]:
        """As autosing.nn.stft.stft: (real_BKF, imaginary_BKF)."""
        edge = (self.window - self.hop) // 2
        padded_B1S = F.pad(audio_BS[:, None], (edge, self.window - self.hop - edge))
        real_BKF, imaginary_BKF = F.conv1d(padded_B1S, self.analysis_C1W, stride=self.hop).chunk(2, dim=1)
        return real_BKF, imaginary_BKF

    def _sound(self, spectrum_BCF: Tensor) -> Tensor:
        """As autosing.nn.stft.istft."""
        edge, num_frames = (self.window - self.hop) // 2, spectrum_BCF.shape[2]
        sum_B1S = F.conv_transpose1d(spectrum_BCF, self.synthesis_C1W, stride=self.hop)
        ones_11F = torch.ones_like(spectrum_BCF[:1, :1])
        weight_11S = F.conv_transpose1d(ones_11F, self.power_11W, stride=self.hop)
        audio_BS = (sum_B1S / weight_11S.clamp(min=1e-3))[:, 0]
        return audio_BS[:, edge : edge + num_frames * self.hop]


def with_real_numbers(model: nn.Module) -> nn.Module:
    """The model, in which every SourceFilter has become a RealSourceFilter: in place, for use alone."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SourceFilter):
                setattr(parent, name, RealSourceFilter(child))
    return model
