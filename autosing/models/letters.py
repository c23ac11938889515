"""Whisper's encoder states -> how likely each letter is sung, and how likely a word starts, in each frame.

Shapes: B windows, T frames of 20 ms, D Whisper's width, H hidden width, L classes: silence, a to z.
A small head on a frozen encoder, fitted on made songs, where the time of each word is known. Within a word the letters
find their own places during fitting, as states of a hidden Markov model do.
"""

from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from autosing.checkpoint import load_model, save_model
from autosing.models.bundled import LETTERS, LETTERS_ENCODER

NUM_LETTERS = 27


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

    def forward(self, states_BTD: Tensor) -> tuple[Tensor, Tensor]:
        x_BHT = F.gelu(self.narrow(self.dropout(self.norm(states_BTD)))).transpose(1, 2)
        for block in self.blocks:
            x_BHT = x_BHT + F.gelu(block(self.dropout(x_BHT)))
        x_BTH = x_BHT.transpose(1, 2)
        return self.classify(x_BTH).log_softmax(dim=-1), self.start(x_BTH)[..., 0]


@cache
def load_letters() -> tuple[LetterHead, Tensor]:
    """(the bundled head in eval mode, log-priors_L of the letters in what it was fitted on)."""
    file = load_model(LETTERS, "letters")
    log_prior_L = file.state.pop("log_prior").float()
    head = LetterHead(**file.config)
    head.load_state_dict({name: tensor.float() for name, tensor in file.state.items()})
    return head.eval().requires_grad_(False), log_prior_L


def save_letters(folder: Path, head: LetterHead, log_prior_L: Tensor, extra: dict[str, Any]) -> None:
    """Write the head (float16) into `folder`, to be bundled."""
    narrow = head.narrow
    config = {"width": narrow.in_features, "hidden": narrow.out_features, "dropout": head.dropout.p}
    state = {name: tensor.half() for name, tensor in head.state_dict().items()} | {"log_prior": log_prior_L.float()}
    save_model(folder, "letters", config, state, {"encoder": LETTERS_ENCODER} | extra)
