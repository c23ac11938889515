"""a song's voice -> how likely each letter is at each time, and which language it sounds like.

Shapes: S samples at 16 kHz, T frames of 20 ms, C classes of processing.alignment.chain, K languages.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from autosing.timebase import num_frames_to_cover
from processing.alignment.chain import BETWEEN, NUM_CLASSES

SAMPLE_RATE_HZ = 16_000
FRAME_RATE_HZ = 50
_WINDOW_FRAMES = 1500
"""Whisper hears 30 s at once."""
_MARGIN_FRAMES = 125
"""Windows overlap: what lies nearer than 2.5 s to an inner edge is taken from the neighbour."""
_FRAME_SAMPLES = SAMPLE_RATE_HZ // FRAME_RATE_HZ
_QUIET = 1e-3
"""-60 dBFS: a window that nowhere rises above holds no voice and is not looked at."""


@dataclass(frozen=True)
class Heard:
    """letter_TL: log-probabilities of silence and a..z; languages: language -> probability."""

    letter_TL: np.ndarray
    languages: dict[str, float]


class Listener:
    """Whisper's encoder with the letter head on it; about 2.5 CPU s a minute of audio."""

    def __init__(self, device: str = "cpu") -> None:
        from autosing.models.letters import ENCODER, load_letters
        from autosing.models.whisper import load_whisper

        self.whisper: Any = load_whisper(ENCODER, device)
        head, log_prior_L = load_letters()
        self._head, self._device = head.to(device), device
        self.log_prior_L = log_prior_L.numpy()

    def __call__(self, voice_S: np.ndarray) -> Heard:
        """Windows of 30 s, one at a time: memory does not grow with the song but for its own samples and frames."""
        import torch
        import whisper

        num_frames = max(1, num_frames_to_cover(len(voice_S) / SAMPLE_RATE_HZ, FRAME_RATE_HZ))
        letter_TL = np.full((num_frames, len(self.log_prior_L)), np.log(1e-4), np.float32)
        letter_TL[:, 0] = 0.0
        votes: dict[str, float] = {}
        for begin, keep, end in windows(num_frames):
            samples_S = voice_S[begin * _FRAME_SAMPLES : end * _FRAME_SAMPLES]
            loud = float(np.abs(samples_S).max(initial=0.0))
            if loud < _QUIET:
                continue
            padded_S = whisper.pad_or_trim(np.ascontiguousarray(samples_S, dtype=np.float32))
            mel_MT = whisper.log_mel_spectrogram(padded_S, self.whisper.dims.n_mels)
            with torch.inference_mode():
                states_TD = self.whisper.encoder(mel_MT[None].to(self._device))[0]
                _, language = self.whisper.detect_language(states_TD)
                heard_TL = self._head(states_TD[None, : end - begin])[0].cpu().numpy()
            first = keep - begin
            letter_TL[keep:end] = heard_TL[first : end - begin]
            for name, probability in language.items():
                votes[name] = votes.get(name, 0.0) + probability
        total = sum(votes.values())
        return Heard(letter_TL, {name: votes[name] / total for name in sorted(votes)} if total else {})


def windows(num_frames: int) -> list[tuple[int, int, int]]:
    """(begin, first frame to keep, end) of overlapping windows; from its keep on the one before counts no more."""
    step = _WINDOW_FRAMES - 2 * _MARGIN_FRAMES
    found = []
    begin = 0
    while True:
        end = min(begin + _WINDOW_FRAMES, num_frames)
        found.append((begin, begin + _MARGIN_FRAMES if begin else 0, end))
        if end == num_frames:
            return found
        begin += step


def class_scores(
    letter_TL: np.ndarray, log_prior_L: np.ndarray, prior_weight: float, between_cost: float
) -> np.ndarray:
    """log-probabilities_TL -> scores_TC in nats, of letters, of an unknown sound, and of what lies between lines.

    Frequent letters are made dearer by `prior_weight` of their log-prior. Singing between lines costs `between_cost` a
    frame more than the likeliest letter would.
    """
    scores_TC = np.empty((len(letter_TL), NUM_CLASSES), np.float32)
    scores_TC[:, :-2] = letter_TL - prior_weight * log_prior_L
    best_T = scores_TC[:, 1:-2].max(axis=1)
    scores_TC[:, -2] = best_T - 1.0
    scores_TC[:, BETWEEN] = np.maximum(scores_TC[:, 0], best_T - between_cost)
    return scores_TC
