"""windows with word times -> a letter head: letters find their place within their word, the head learns them, again.

Shapes: T frames of 20 ms, D Whisper's width, L classes (silence, a to z).
Viterbi training, as speech recognisers had it: first each word's frames are shared evenly among its letters; the head
learns that; then the best path under its own likelihoods shares them anew, a few rounds. The ends of words are known.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional as F

from autosing.config import Config
from autosing.ids import seed_of
from autosing.models.letters import NUM_LETTERS, LetterHead
from autosing.text.letters import ALPHABET, letters
from autosing.timebase import LETTER_RATE_HZ
from train.letters.states import HeardWindow


class FitConfig(Config):
    """How the head is fitted."""

    rounds: list[int] = Field(default_factory=lambda: [6, 3, 3, 4])
    """Passes over the data before the letters' places are found again, a number for each round."""
    hidden: int = Field(96, gt=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    batch: int = Field(4, ge=1)
    """Windows of 30 s a step."""
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    start_weight: float = Field(1.0, ge=0)
    """Of the loss of word starts beside that of letters."""
    prior_weight: float = Field(0.5, ge=0, le=1)
    """How far frequent letters are made dearer where places are found."""
    seed: int = 0


def fit(windows: Sequence[HeardWindow], config: FitConfig) -> tuple[LetterHead, np.ndarray]:
    """(the head, log_prior_L of its classes)."""
    torch.manual_seed(seed_of("fit letters", config.seed))
    rng = np.random.default_rng(seed_of("order of windows", config.seed))
    head = LetterHead(windows[0].states_TD.shape[1], config.hidden, dropout=config.dropout)
    places = [place_letters(window, None) for window in windows]
    starts = [word_starts(window) for window in windows]
    steps = sum(config.rounds) * (len(windows) // config.batch)
    rate = config.learning_rate
    optimiser = torch.optim.AdamW(head.parameters(), rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1, pct_start=0.1)
    for number, passes in enumerate(config.rounds):
        if number:
            places = _placed_anew(head, windows, places, config)
        head.train()
        for _ in range(passes):
            order = rng.permutation(len(windows))
            for at in range(0, len(windows) - config.batch + 1, config.batch):
                chosen = order[at : at + config.batch]
                states_BTD = torch.stack([torch.from_numpy(windows[k].states_TD.astype(np.float32)) for k in chosen])
                label_BT = torch.from_numpy(np.stack([places[k] for k in chosen]))
                log_p_BTL, start_BT = head(states_BTD)
                log_p_NL, label_N = log_p_BTL.flatten(0, 1), label_BT.flatten()
                loss = F.cross_entropy(log_p_NL, label_N, label_smoothing=config.label_smoothing)
                wanted_BT = torch.from_numpy(np.stack([starts[k] for k in chosen]))
                loss = loss + config.start_weight * F.binary_cross_entropy_with_logits(start_BT, wanted_BT)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    return head.eval(), _log_prior(places)


def place_letters(window: HeardWindow, score_TL: np.ndarray | None) -> np.ndarray:
    """label_T: the class of each frame; within a word by scores, or evenly where there are none."""
    label_T = np.zeros(len(window.states_TD), np.int64)
    for word in window.words:
        classes = [ALPHABET.index(char) + 1 for char in letters(word.text) if char in ALPHABET]
        first = round(word.start_s * LETTER_RATE_HZ)
        span = slice(first, min(len(label_T), max(first + 1, round(word.end_s * LETTER_RATE_HZ))))
        length = span.stop - span.start
        if not classes or length <= 0:
            continue
        if score_TL is None or length <= len(classes):
            label_T[span] = [classes[k * len(classes) // length] for k in range(length)]
        else:
            label_T[span] = _best_order(score_TL[span][:, classes], np.array(classes))
    return label_T


def word_starts(window: HeardWindow) -> np.ndarray:
    """wanted_T: 1 in the frame in which a word starts, a half beside it."""
    wanted_T = np.zeros(len(window.states_TD), np.float32)
    for word in window.words:
        frame = round(word.start_s * LETTER_RATE_HZ)
        for at, value in ((frame, 1.0), (frame - 1, 0.5), (frame + 1, 0.5)):
            if 0 <= at < len(wanted_T):
                wanted_T[at] = max(wanted_T[at], value)
    return wanted_T


def _best_order(score_TK: np.ndarray, class_K: np.ndarray) -> np.ndarray:
    """The best path that passes every letter in order, each for a frame or more. score_TK: K letters in order."""
    num_frames, num_letters = score_TK.shape
    best_TK = np.full((num_frames, num_letters), -np.inf)
    moved_TK = np.zeros((num_frames, num_letters), bool)
    best_TK[0, 0] = score_TK[0, 0]
    for frame in range(1, num_frames):
        stay_K, move_K = best_TK[frame - 1], np.append(-np.inf, best_TK[frame - 1, :-1])
        moved_TK[frame] = move_K > stay_K
        best_TK[frame] = np.maximum(stay_K, move_K) + score_TK[frame]
    label_T, letter = np.empty(num_frames, np.int64), num_letters - 1
    for frame in range(num_frames - 1, -1, -1):
        label_T[frame] = class_K[letter]
        letter -= int(moved_TK[frame, letter])
    return label_T


def _placed_anew(
    head: LetterHead, windows: Sequence[HeardWindow], places: list[np.ndarray], config: FitConfig
) -> list[np.ndarray]:
    dearer_L = config.prior_weight * _log_prior(places)
    head.eval()
    with torch.inference_mode():
        return [
            place_letters(w, head(torch.from_numpy(w.states_TD.astype(np.float32))[None])[0][0].numpy() - dearer_L)
            for w in windows
        ]


def _log_prior(places: Sequence[np.ndarray]) -> np.ndarray:
    counts_L = np.bincount(np.concatenate(places), minlength=NUM_LETTERS)
    return np.log(counts_L / counts_L.sum() + 1e-6).astype(np.float32)
