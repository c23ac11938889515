"""Whisper's encoder states -> how likely each letter is sung, and how likely a word starts, in each frame.

A small head on a frozen encoder. Training finds the places of letters in their word, as for the states of a hidden
Markov model (train/tasks/ctc_head.py).

Shapes: B windows, S samples at 16 kHz, T frames of 20 ms, D Whisper's width, H hidden width, L classes: silence and the
letters a to z.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.checkpoint import ModelFile, load_model
from autosing.models.bundled import LETTERS

NUM_LETTERS = 27
SAMPLE_RATE_HZ = 16_000


@torch.no_grad()
def letter_states(encoder: Any, samples_S: np.ndarray) -> Tensor:
    """states_TD of up to 30 s, padded with silence; the same function in training and in the aligner."""
    import whisper

    padded_S = whisper.pad_or_trim(np.ascontiguousarray(samples_S, dtype=np.float32))
    mel_MT = whisper.log_mel_spectrogram(padded_S, encoder.conv1.in_channels)
    states_TD: Tensor = encoder(mel_MT[None].to(encoder.conv1.weight.device))[0]
    return states_TD


class LetterHead(nn.Module):
    """states_BTD -> (log-probabilities_BTL of the letters, log-odds_BT that a word starts)."""

    def __init__(self, width: int = 512, hidden: int = 96, kernel: int = 5, dropout: float = 0.2) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.narrow = nn.Linear(width, hidden)
        self.blocks = nn.ModuleList(nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2) for _ in range(2))
        self.classify = nn.Linear(hidden, NUM_LETTERS)
        self.start = nn.Linear(hidden, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states_BTD: Tensor, frames_B: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`frames_B`: the number of valid frames of each window; later frames do not affect them."""
        x_BHT = F.gelu(self.narrow(self.dropout(self.norm(states_BTD)))).transpose(1, 2)
        counted_B1T: Tensor | float = 1.0
        if frames_B is not None:
            counted_B1T = (torch.arange(x_BHT.shape[2], device=x_BHT.device) < frames_B[:, None])[:, None].to(
                x_BHT.dtype
            )
            x_BHT = x_BHT * counted_B1T
        for block in self.blocks:
            x_BHT = x_BHT + F.gelu(block(self.dropout(x_BHT))) * counted_B1T
        x_BTH = x_BHT.transpose(1, 2)
        return self.classify(x_BTH).log_softmax(dim=-1), self.start(x_BTH)[..., 0]


def letters_file(head: LetterHead, log_prior_L: Tensor, encoder: str) -> ModelFile:
    """A head as it is stored: float16, with the log-priors of the letters in its training data."""
    narrow = head.narrow
    config = {"width": narrow.in_features, "hidden": narrow.out_features, "dropout": head.dropout.p}
    state = {name: tensor.half() for name, tensor in head.state_dict().items()} | {"log_prior": log_prior_L.float()}
    return ModelFile("letters", config, state, {"encoder": encoder})


@cache
def load_letters(name: str = LETTERS) -> tuple[LetterHead, Tensor]:
    """(the bundled head or that of a run's folder, in eval mode; log-priors_L of the letters in its training data).

    Raises InputError if there is none.
    """
    file = load_model(Path(name), "letters")
    log_prior_L = file.state.pop("log_prior").float()
    head = LetterHead(**file.config)
    head.load_state_dict({key: tensor.float() for key, tensor in file.state.items()})
    return head.eval().requires_grad_(False), log_prior_L
