"""Framed spectra whose frame f is centred on the middle of samples [f * hop, (f + 1) * hop), and their inverse.

So F frames and S = F * hop samples belong together exactly, whatever the window.

Shapes: B clips, S samples, F frames, K = window / 2 + 1 bins.
"""

import torch
from torch import Tensor
from torch.nn.functional import fold, pad


def stft(audio_BS: Tensor, window_samples: int, hop_samples: int) -> Tensor:
    """spectrum_BKF, complex, with a Hann window, and silence beyond the ends. White noise of power one gives bins of
    power one."""
    edge = (window_samples - hop_samples) // 2
    window_W = torch.hann_window(window_samples, device=audio_BS.device)
    padded_BS = pad(audio_BS, (edge, window_samples - hop_samples - edge))
    spectrum_BKF = torch.stft(
        padded_BS, window_samples, hop_samples, window=window_W, center=False, return_complex=True
    )
    return spectrum_BKF / window_W.pow(2).sum().sqrt()


def istft(spectrum_BKF: Tensor, window_samples: int, hop_samples: int) -> Tensor:
    """audio_BS: weighted overlap-add, the inverse of `stft` (least squares, Griffin & Lim 1984) inside the ends."""
    edge, num_frames = (window_samples - hop_samples) // 2, spectrum_BKF.shape[2]
    window_W = torch.hann_window(window_samples, device=spectrum_BKF.device)
    frames_BWF = torch.fft.irfft(spectrum_BKF * window_W.pow(2).sum().sqrt(), n=window_samples, dim=1)
    total = (num_frames - 1) * hop_samples + window_samples

    def overlap_add(x_BWF: Tensor) -> Tensor:
        return fold(x_BWF, (1, total), (1, window_samples), stride=(1, hop_samples))[:, 0, 0]

    weight_1S = overlap_add(window_W.pow(2)[None, :, None].expand(1, -1, num_frames))
    audio_BS = overlap_add(frames_BWF * window_W[:, None]) / weight_1S.clamp(min=1e-3)
    return audio_BS[:, edge : edge + num_frames * hop_samples]


def mel_matrix(num_bands: int, window_samples: int, sample_rate_hz: int) -> Tensor:
    """matrix_MK: triangles with peaks evenly spaced on the mel scale (O'Shaughnessy), each with sum one. A triangle
    narrower than a bin interpolates the bins around its peak, so that none is empty."""
    bin_hz_K = torch.linspace(0, sample_rate_hz / 2, window_samples // 2 + 1)
    top = 2595 * torch.log10(1 + torch.tensor(sample_rate_hz / 2) / 700)
    edge_hz = 700 * (10 ** (torch.linspace(0.0, float(top), num_bands + 2) / 2595) - 1)
    spacing = float(bin_hz_K[1])
    below = (edge_hz[1:-1] - edge_hz[:-2]).clamp(min=spacing)[:, None]
    above = (edge_hz[2:] - edge_hz[1:-1]).clamp(min=spacing)[:, None]
    away_MK = bin_hz_K - edge_hz[1:-1, None]
    matrix_MK = torch.minimum(1 + away_MK / below, 1 - away_MK / above).clamp(min=0)
    return matrix_MK / matrix_MK.sum(1, keepdim=True)


def band_curves(num_bands: int, window_samples: int, sample_rate_hz: int) -> Tensor:
    """matrix_KM: a curve given at `num_bands` points, even on the mel scale from 0 to half the rate -> its bins."""
    bin_hz_K = torch.linspace(0, sample_rate_hz / 2, window_samples // 2 + 1)
    place_K = torch.log10(1 + bin_hz_K / 700)
    place_K = place_K / place_K[-1] * (num_bands - 1)
    return (1 - (place_K[:, None] - torch.arange(num_bands)).abs()).clamp(min=0)
