"""(generated audio, true audio) -> the distance between a speech recogniser's hidden states, layer by layer.

A network that was trained to distinguish words is sensitive to small spectral differences, such as the few decibels
between an s and an f. The loss is that of Johnson et al. 2016, arXiv:1603.08155 (for images); with a recogniser's
encoder it keeps words intelligible. The recogniser, called the listener, stays frozen.

Shapes: B clips, S samples, M mel bands, T frames of 20 ms, D the listener's width.
"""

from typing import Any

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.models.whisper import load_encoder

_RATE_HZ, _WINDOW, _HOP = 16000, 400, 160
_VEIL = 0.01
"""Level of the noise that is added to both sounds, 40 dB below the true one. It hides differences that people cannot
hear, but the network would notice."""


class PerceptualLoss(nn.Module):
    """Mean absolute difference of the normalised hidden states of a Whisper encoder, over all its blocks.

    Raises InputError if the listener's weights are not available.
    """

    def __init__(self, sample_rate_hz: int, listener: str) -> None:
        super().__init__()
        from whisper.audio import mel_filters

        # In a list, so that it is no part of the module's state: it is frozen, and loaded by its name.
        encoder = load_encoder(listener)
        self._encoder: list[Any] = [encoder]
        self.register_buffer("mel_MK", mel_filters("cpu", encoder.conv1.in_channels), persistent=False)
        self.register_buffer("window_S", torch.hann_window(_WINDOW), persistent=False)
        self.resample = torchaudio.transforms.Resample(sample_rate_hz, _RATE_HZ)

    def forward(self, made_BS: Tensor, true_BS: Tensor) -> Tensor:
        """The loss, from 0 to about 1.1 (unrelated states)."""
        with torch.no_grad():
            veil_BS = _VEIL * true_BS.square().mean(1, keepdim=True).sqrt() * torch.randn_like(true_BS)
            true_BMT = self._log_mel(true_BS + veil_BS)
            loudest_B = true_BMT.amax((1, 2), keepdim=True)
            true = self._states(_whisper_scale(true_BMT, loudest_B))
        made = self._states(_whisper_scale(self._log_mel(made_BS + veil_BS), loudest_B))
        return torch.stack([F.l1_loss(a_BTD, b_BTD) for a_BTD, b_BTD in zip(made, true, strict=True)]).mean()

    def _log_mel(self, audio_BS: Tensor) -> Tensor:
        audio_BS = self.resample(audio_BS.float())
        spectrum_BKT = torch.stft(audio_BS, _WINDOW, _HOP, window=self.get_buffer("window_S"), return_complex=True)
        power_BKT = spectrum_BKT.real.square() + spectrum_BKT.imag.square()
        return (self.get_buffer("mel_MK") @ power_BKT[..., :-1]).clamp(min=1e-10).log10()

    def _states(self, mel_BMT: Tensor) -> list[Tensor]:
        """Hidden states after each block, normalised in each frame, because a few huge values would dominate."""
        encoder = self._encoder[0].to(mel_BMT.device)
        x_BDT = F.gelu(encoder.conv2(F.gelu(encoder.conv1(mel_BMT))))
        x_BTD = x_BDT.mT + encoder.positional_embedding[: x_BDT.shape[2]]
        states = []
        for block in encoder.blocks:
            x_BTD = block(x_BTD)
            states.append(F.layer_norm(x_BTD, x_BTD.shape[2:]))
        return states


def _whisper_scale(log_BMT: Tensor, loudest_B11: Tensor) -> Tensor:
    """The input that Whisper's encoder expects, with a floor 80 dB below the maximum. Both sides use the true one's."""
    return (torch.maximum(log_BMT, loudest_B11 - 8.0) + 4.0) / 4.0
