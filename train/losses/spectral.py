"""(generated audio, true audio) -> the distance of their spectra, at several resolutions.

Shapes: B clips, S samples, K bins, M bands, F frames.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autosing.nn.stft import mel_matrix, stft


class SpectralLoss(nn.Module):
    """Spectral convergence + log magnitudes (Yamamoto 2020, arXiv:1910.11480, equations 4 and 5) + log mel bands, each
    averaged over the windows. Magnitudes below `floor` (white noise of power one: 1) count as silence."""

    def __init__(
        self,
        sample_rate_hz: int,
        windows: Sequence[int] = (2048, 1024, 512, 256),
        bands: Sequence[int] = (120, 80, 60, 40),
        floor: float = 1e-4,
        mel_weight: float = 1.5,
    ) -> None:
        super().__init__()
        self.windows, self.floor, self.mel_weight = tuple(windows), floor, mel_weight
        for window, count in zip(windows, bands, strict=True):
            self.register_buffer(f"mel_{window}", mel_matrix(count, window, sample_rate_hz), persistent=False)

    def forward(self, made_BS: Tensor, true_BS: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, {"convergence", "log_magnitude", "log_mel"}); the target gets no gradient."""
        convergence, magnitude, mel = [], [], []
        for window in self.windows:
            made_BKF = _magnitude(stft(made_BS, window, window // 4))
            with torch.no_grad():
                true_BKF = _magnitude(stft(true_BS, window, window // 4))
            error_B = ((made_BKF - true_BKF).pow(2).sum((1, 2)) + 1e-10).sqrt()
            convergence.append((error_B / true_BKF.pow(2).sum((1, 2)).sqrt().clamp(min=0.1)).mean())
            magnitude.append((self._log(made_BKF) - self._log(true_BKF)).abs().mean())
            matrix_MK = self.get_buffer(f"mel_{window}")
            mel.append((self._log(matrix_MK @ made_BKF) - self._log(matrix_MK @ true_BKF)).abs().mean())
        parts = {
            "convergence": torch.stack(convergence).mean(),
            "log_magnitude": torch.stack(magnitude).mean(),
            "log_mel": torch.stack(mel).mean(),
        }
        return parts["convergence"] + parts["log_magnitude"] + self.mel_weight * parts["log_mel"], parts

    def _log(self, magnitude: Tensor) -> Tensor:
        return magnitude.clamp(min=self.floor).log()


def _magnitude(spectrum_BKF: Tensor) -> Tensor:
    # The gradients of abs() and sqrt() at 0 are not finite.
    return (spectrum_BKF.real.pow(2) + spectrum_BKF.imag.pow(2) + 1e-10).sqrt()
