"""A voice -> how likely each class of phones sounds in each frame: what phones are laid into a word's time by.

A small network over log-mel frames; classes are groups of phones (autosing.score.sounds). It is fitted by
train/phone_classes.py on made songs, whose phones have exact times; one comes with the package
(autosing/weights/phones).

Shapes: B windows, S samples at 16 kHz, T frames of 10 ms, M mel bands, H hidden width, C classes.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.audio.mel import mel_filters
from autosing.checkpoint import ModelFile, load_model
from autosing.score.sounds import CLASSES, HOP_SAMPLES, SAMPLE_RATE_HZ

_WINDOW = 400
_FFT = 512
BANDS = 40
_FLOOR = 1e-4
_LEAST_SHARE = 1e-3
"""Of the frames of training data, for a class to be told."""


def mel_frames(samples_S: np.ndarray) -> np.ndarray:
    """mel_TM float32: log magnitudes against the loud parts of the clip, floor(S / 160) + 1 frames."""
    padded_S = F.pad(torch.from_numpy(np.ascontiguousarray(samples_S, dtype=np.float32)), (_FFT // 2, _FFT // 2))
    window = torch.hann_window(_WINDOW)
    spectrum_KT = torch.stft(padded_S, _FFT, HOP_SAMPLES, _WINDOW, window, center=False, return_complex=True).abs()
    mel_TM = (torch.from_numpy(_filters()) @ spectrum_KT).T.numpy()
    loud = max(float(np.quantile(mel_TM.max(axis=1), 0.95)), 1e-6)
    frames: np.ndarray = (np.log(np.maximum(mel_TM / loud, _FLOOR)) / 3 + 1).astype(np.float32)
    return frames


@cache
def _filters() -> np.ndarray:
    return mel_filters(SAMPLE_RATE_HZ, _FFT, BANDS)


class PhoneClasses(nn.Module):
    """mel_BTM -> log-probabilities_BTC. Three convolutions: it sees 130 ms."""

    def __init__(self, hidden: int = 96, dropout: float = 0.1) -> None:
        super().__init__()
        self.first = nn.Conv1d(BANDS, hidden, 5, padding=2)
        self.blocks = nn.ModuleList(nn.Conv1d(hidden, hidden, 5, padding=2) for _ in range(2))
        self.classify = nn.Conv1d(hidden, len(CLASSES), 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, mel_BTM: Tensor) -> Tensor:
        x_BHT = F.gelu(self.first(mel_BTM.transpose(1, 2)))
        for block in self.blocks:
            x_BHT = x_BHT + F.gelu(block(self.dropout(x_BHT)))
        return self.classify(self.dropout(x_BHT)).log_softmax(dim=1).transpose(1, 2)


def phone_classes_file(network: PhoneClasses, log_prior_C: Tensor) -> ModelFile:
    """A network as it is stored: float16, with the log-priors of the classes in its training data."""
    config = {"hidden": network.first.out_channels, "dropout": network.dropout.p}
    state = {name: tensor.half() for name, tensor in network.state_dict().items()} | {"log_prior": log_prior_C.float()}
    return ModelFile("phone_classes", config, state, {"classes": list(CLASSES)})


@cache
def load_phone_classes(folder: str) -> tuple[PhoneClasses, np.ndarray]:
    """(the network in eval mode, log-priors_C). Raises InputError if there is none."""
    file = load_model(Path(folder), "phone_classes")
    log_prior_C = file.state.pop("log_prior").float().numpy()
    network = PhoneClasses(**file.config)
    network.load_state_dict({key: tensor.float() for key, tensor in file.state.items()})
    return network.eval().requires_grad_(False), log_prior_C


@torch.no_grad()
def class_scores(network: PhoneClasses, log_prior_C: np.ndarray, samples_S: np.ndarray) -> np.ndarray:
    """score_TC: log of how much likelier each class is in a frame than it is at large. A class that the training data
    hardly had scores 0: it is laid by its neighbours and by lengths."""
    log_TC = network(torch.from_numpy(mel_frames(samples_S))[None])[0].numpy()
    scores: np.ndarray = np.where(log_prior_C < np.log(_LEAST_SHARE), 0.0, log_TC - log_prior_C)
    return scores
