"""a song's voice -> how likely each letter is at each time, and which language it sounds like.

Shapes: S samples at 16 kHz, T frames of 20 ms, C classes of autosing.alignment.chain, K languages.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from autosing.alignment.chain import BETWEEN, CLASSES, NUM_CLASSES, PAUSE, SILENCE
from autosing.audio.blocks import Blocks, Tape
from autosing.clock import in_model
from autosing.text.letters import UNKNOWN
from autosing.timebase import LETTER_RATE_HZ

SAMPLE_RATE_HZ = 16_000
UNKNOWN_CLASS = CLASSES[UNKNOWN]
_WINDOW_FRAMES = 1500
"""Whisper's input is 30 s long."""
_MARGIN_FRAMES = 125
"""Windows overlap: frames within 2.5 s of an inner edge are taken from the neighbouring window."""
_STEP_FRAMES = _WINDOW_FRAMES - 2 * _MARGIN_FRAMES
_FRAME_SAMPLES = SAMPLE_RATE_HZ // LETTER_RATE_HZ
_BLOCK_FRAMES = 1 << 14
"""Frames scored at a time: the arithmetic needs ten times the memory of its result."""
_NO_START = -6.0
"""Log-odds of a word start are clipped to this value and its opposite."""
_NEAR_FRAMES = 5
QUIET = 1e-3
"""-60 dBFS: a window that never exceeds it holds no voice and is skipped."""


@dataclass(frozen=True)
class Emissions:
    """What a voice sounds like, frame by frame."""

    letter_TL: np.ndarray
    """Log-probabilities of silence and a..z."""
    start_T: np.ndarray
    """Log-odds that a word starts."""
    languages: dict[str, float]
    """The probability of each; empty if there is no voice."""
    duration_s: float


class EmissionModel:
    """Whisper's encoder with the letter head on it; about 2.5 CPU s a minute of audio."""

    def __init__(self, head: str, device: str = "cpu") -> None:
        """`head`: the name of the bundled letter head, or a run's folder."""
        from autosing.models.bundled import letters_encoder
        from autosing.models.letters import load_letters
        from autosing.models.whisper import load_whisper

        self.whisper: Any = load_whisper(letters_encoder(head), device)
        network, log_prior_L = load_letters(head)
        self._head = network.to(device)
        self.log_prior_L = log_prior_L.numpy()

    def __call__(self, voice: Blocks) -> Emissions:
        """samples_CS of one channel. One window is in memory at a time: memory grows with the song's frames alone."""
        letters, starts, votes, num_samples = [], [], dict[str, float](), 0
        for window in windows(voice):
            letter_TL = np.full((window.num_frames, len(self.log_prior_L)), np.log(1e-4), np.float32)
            letter_TL[:, 0] = 0.0
            start_T = np.full(window.num_frames, _NO_START, np.float32)
            if np.abs(window.samples_S).max(initial=0.0) >= QUIET:
                with in_model():  # not while the next window is decoded: then other threads may use the model
                    letter_TL[:], start_T[:], languages = self._emit(window)
                for name, probability in languages.items():
                    votes[name] = votes.get(name, 0.0) + probability
            letters.append(letter_TL[window.first : window.end])
            starts.append(start_T[window.first : window.end])
            num_samples = window.begin * _FRAME_SAMPLES + len(window.samples_S)
        total = sum(votes.values())
        languages = {name: votes[name] / total for name in sorted(votes)} if total else {}
        return Emissions(np.concatenate(letters), np.concatenate(starts), languages, num_samples / SAMPLE_RATE_HZ)

    def _emit(self, window: "Window") -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
        import torch

        from autosing.models.letters import letter_states

        with torch.inference_mode():
            states_TD = letter_states(self.whisper.encoder, window.samples_S)
            _, languages = self.whisper.detect_language(states_TD)
            letter_1TL, start_1T = self._head(states_TD[None, : window.num_frames])
        return letter_1TL[0].cpu().numpy(), start_1T[0].cpu().numpy(), languages


class Window(NamedTuple):
    """Up to 30 s of a song. Its frames from `first` up to `end` are used; neighbouring windows cover the others."""

    samples_S: np.ndarray
    begin: int
    """Its first frame in the song."""
    num_frames: int
    first: int
    end: int


def windows(voice: Blocks) -> Iterator[Window]:
    """samples_CS of one channel -> overlapping windows. The first one that reaches the song's end is the last."""
    tape, begin, last = Tape(voice), 0, False
    while not last:
        samples_S = tape.look(_WINDOW_FRAMES * _FRAME_SAMPLES + 1)[0]
        last = len(samples_S) <= _WINDOW_FRAMES * _FRAME_SAMPLES
        num_frames = min(_WINDOW_FRAMES, max(1, -(-len(samples_S) // _FRAME_SAMPLES)))
        first, end = _MARGIN_FRAMES if begin else 0, num_frames if last else _WINDOW_FRAMES - _MARGIN_FRAMES
        yield Window(samples_S[: _WINDOW_FRAMES * _FRAME_SAMPLES], begin, num_frames, first, end)
        tape.skip(_STEP_FRAMES * _FRAME_SAMPLES)
        begin += _STEP_FRAMES


@dataclass(frozen=True)
class Scoring:
    """How log-probabilities become scores. In nats per frame; tuned on synthetic songs."""

    prior_weight: float
    """The part of a letter's log-prior that is subtracted, which lowers the scores of frequent letters."""
    mishearing: float
    """The probability that a sung letter sounds like any other; it bounds the cost of a wrong letter."""
    held_weight: float
    """The weight of a frame in the middle of a held sound; where sounds change it is 1."""
    pause_cost: float
    """Cost of silence between the words of a line."""
    between_cost: float
    """Cost of singing that belongs to no line, whatever it sounds like."""
    unlisted_cost: float
    """Its cost beside the letter that it sounds most like. The cheaper of the two counts."""


def start_scores(start_T: np.ndarray, weight: float) -> np.ndarray:
    """log-odds_T that a word starts -> the score of entering a word in each frame, in nats, 0 on average."""
    limited_T = np.clip(start_T, _NO_START, -_NO_START)
    return (weight * (limited_T - limited_T.mean())).astype(np.float32)


def class_scores(letter_TL: np.ndarray, log_prior_L: np.ndarray, scoring: Scoring) -> np.ndarray:
    """log-probabilities_TL -> scores_TC: silence, letters, an unknown sound, silence within a line, between lines."""
    scores_TC = np.empty((len(letter_TL), NUM_CLASSES), np.float32)
    for first in range(0, len(letter_TL), _BLOCK_FRAMES):
        last = min(first + _BLOCK_FRAMES, len(letter_TL))
        weight_T = scoring.held_weight + (1 - scoring.held_weight) * change(letter_TL, first, last)
        scores_TC[first:last] = _class_scores(letter_TL[first:last], log_prior_L, scoring) * weight_T[:, None]
    return scores_TC


def change(letter_TL: np.ndarray, first: int, last: int) -> np.ndarray:
    """How much the sound in the 0.1 s after each of these frames differs from the 0.1 s before: change_T, 0..1.

    The frames of a held note all give the same evidence; with full weight, ten seconds of it outweigh a verse.
    """
    begin, end = max(first - _NEAR_FRAMES, 0), min(last + _NEAR_FRAMES, len(letter_TL))
    share_TL = np.exp(letter_TL[begin:end])
    sums_TL = np.concatenate([np.zeros((1, share_TL.shape[1])), np.cumsum(share_TL, axis=0, dtype=np.float64)])
    frame_T = np.arange(first, last) - begin
    first_T, last_T = np.maximum(frame_T - _NEAR_FRAMES, 0), np.minimum(frame_T + 1 + _NEAR_FRAMES, end - begin)
    past_TL = (sums_TL[frame_T] - sums_TL[first_T]) / np.maximum(frame_T - first_T, 1)[:, None]
    next_TL = (sums_TL[last_T] - sums_TL[frame_T + 1]) / np.maximum(last_T - frame_T - 1, 1)[:, None]
    return np.clip(np.abs(next_TL - past_TL).sum(axis=1) / 2, 0, 1).astype(np.float32)


def _class_scores(letter_TL: np.ndarray, log_prior_L: np.ndarray, scoring: Scoring) -> np.ndarray:
    """The scores before frames are weighted."""
    sung_T1 = np.log(np.maximum(-np.expm1(letter_TL[:, :1]), 1e-6))
    scores_TC = np.empty((len(letter_TL), NUM_CLASSES), np.float32)
    scores_TC[:, SILENCE] = letter_TL[:, 0] - scoring.prior_weight * log_prior_L[0]
    sound_TL = letter_TL[:, 1:] - scoring.prior_weight * log_prior_L[1:]
    any_T1 = sung_T1 - scoring.prior_weight * log_prior_L[1:].mean()
    scores_TC[:, 1:UNKNOWN_CLASS] = np.logaddexp(sound_TL, any_T1 + np.log(scoring.mishearing))
    scores_TC[:, UNKNOWN_CLASS] = scores_TC[:, 1:UNKNOWN_CLASS].max(axis=1) - 1.0
    scores_TC[:, PAUSE] = scores_TC[:, SILENCE] - scoring.pause_cost
    sung_T = np.maximum(
        any_T1[:, 0] - scoring.between_cost, scores_TC[:, 1:UNKNOWN_CLASS].max(axis=1) - scoring.unlisted_cost
    )
    scores_TC[:, BETWEEN] = np.maximum(scores_TC[:, SILENCE], sung_T)
    return scores_TC
