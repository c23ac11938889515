"""A voice -> 256 numbers, a unit vector: Wan et al. 2018 (GE2E), with the weights that Resemblyzer published.

Shapes: S samples at 16 kHz, T frames of 10 ms, M = 40 bands, P = 160 frames per partial, N partials, E = 256.
"""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosing.audio.io import resample
from autosing.audio.mel import mel_filters
from autosing.errors import InputError

SAMPLE_RATE_HZ = 16_000
_WINDOW, _HOP = 400, 160
_BANDS = 40
_PARTIAL, _STEP = 160, 77
"""Partials of 1.6 s begin 0.77 s apart, as published."""
LEVEL = 10 ** (-30 / 20)
"""The network gets powers, not their logs, so a voice is scaled to -30 dBFS, the level of its training."""
_BELOW_LOUD = 1e-3
"""Frames 30 dB below the loud ones do not count as voice."""
MIN_ACTIVE_S = 0.5


class SpeakerEncoder(nn.Module):
    """mel_NPM -> embedding_NE, of unit length."""

    window: Tensor
    filters_KM: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_BANDS, 256, num_layers=3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        filters_KM = torch.from_numpy(mel_filters(SAMPLE_RATE_HZ, _WINDOW, _BANDS).T.copy())
        self.register_buffer("filters_KM", filters_KM, persistent=False)
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)

    def forward(self, mel_NPM: Tensor) -> Tensor:
        _, (hidden_LNE, _) = self.lstm(mel_NPM)
        return F.normalize(self.linear(hidden_LNE[-1]).relu(), dim=1)

    def mel(self, audio_S: Tensor) -> Tensor:
        """audio_S -> mel_TM: powers in Slaney's bands, T = S // 160 + 1, frame t around t x 10 ms."""
        spectrum_KT = torch.stft(
            audio_S, _WINDOW, _HOP, window=self.window, center=True, pad_mode="constant", return_complex=True
        )
        return spectrum_KT.abs().square().T @ self.filters_KM

    @torch.inference_mode()
    def embed(self, audio_S: np.ndarray, sample_rate_hz: int) -> np.ndarray:
        """One voice's samples -> embedding_E float32. Its level and its pauses do not matter.

        Raises InputError if less than MIN_ACTIVE_S of it is not silent.
        """
        audio_S = resample(audio_S.astype(np.float32), sample_rate_hz, SAMPLE_RATE_HZ)
        mel_TM = self.mel(torch.from_numpy(audio_S).to(self.window.device))
        power_T = mel_TM.sum(1)
        loud_T = power_T > max(float(torch.quantile(power_T, 0.95)) * _BELOW_LOUD, 1e-6)
        active_T = _with_neighbours(loud_T, 3)
        active_s = int(active_T.sum()) * _HOP / SAMPLE_RATE_HZ
        if active_s < MIN_ACTIVE_S:
            raise InputError(f"voice: {active_s:.2f} s of sound, need {MIN_ACTIVE_S} s", "no_voice")
        sounding_S = audio_S[np.repeat(active_T.cpu().numpy(), _HOP)[: len(audio_S)]]
        mel_TM = mel_TM[active_T] * (LEVEL**2 / float(np.mean(sounding_S.astype(np.float64) ** 2)))
        partials_NE = self(_partials(mel_TM))
        return F.normalize(partials_NE.mean(0), dim=0).cpu().numpy()


def _partials(mel_TM: Tensor) -> Tensor:
    """mel_TM -> mel_NPM: windows of 160 frames; the last is padded, or dropped if less than three quarters full."""
    starts = range(0, max(1, mel_TM.shape[0] - int(0.75 * _PARTIAL) + 1), _STEP)
    padded_TM = F.pad(mel_TM, (0, 0, 0, _PARTIAL))
    return torch.stack([padded_TM[start : start + _PARTIAL] for start in starts])


def _with_neighbours(mask_T: Tensor, frames: int) -> Tensor:
    """With `frames` frames on both sides of each true frame set to true."""
    wide = F.max_pool1d(mask_T[None].float(), 2 * frames + 1, stride=1, padding=frames)
    return wide[0] > 0


@functools.cache
def load_speaker_encoder(device: str = "cpu") -> SpeakerEncoder:
    """The published weights, loaded once per process. Raises InputError if they are missing."""
    from safetensors.torch import load_file

    from autosing.pretrained import fetch

    model = SpeakerEncoder()
    model.load_state_dict(load_file(fetch("ge2e")))
    return model.to(device).eval().requires_grad_(False)
