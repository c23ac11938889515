"""Phones in order, about when each word is sung, and how likely each class of phones is when -> the times of phones.

A line is laid at once, by the best path over phones with lengths (a hidden semi-Markov model): each phone adds the
scores of its class over its frames and the log-probability of its length; a word's start and end are pulled to where
the aligner put them; silence may lie between words.

Shapes: T frames of 10 ms, C classes, P states (phones and silences of a line), D lengths.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from autosing.config import Config
from autosing.score.phones import inventory
from autosing.score.score import Phone, Score
from autosing.score.sounds import HOP_SAMPLES, SAMPLE_RATE_HZ, class_of
from autosing.score.timing import USUAL_S

RATE_HZ = SAMPLE_RATE_HZ // HOP_SAMPLES
_NEVER = -1e9
_REACH = 30
"""Frames before and after a line that its phones may use."""
_LONGEST_S = 10.0
"""Of vowels and silences. Consonants last at most as long as their word, or four deviations more than usual."""
_DEVIATIONS = 4.0


class PlacingConfig(Config):
    """How phones are laid into words. Chosen on made songs."""

    class_weight: float = Field(default=0.4, gt=0, le=1)
    """What a frame's score counts: neighbouring frames say the same."""
    word_slack_s: float = Field(default=0.06, gt=0)
    """Standard deviation of the aligner's word times."""
    length_spread: float = Field(default=0.5, gt=0)
    """Standard deviation of a consonant's log-length."""
    vowel_spread: float = Field(default=1.2, gt=0)
    """The same of vowels."""


@dataclass(frozen=True)
class WordSpan:
    """About when a word is sung."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class _State:
    """A phone, or a silence that may be left out. `starts_s`, `ends_s`: of its word, if it is the first or last."""

    kind: int
    phone: int | None
    length_s: float
    spread: float
    longest_s: float = _LONGEST_S
    starts_s: float | None = None
    ends_s: float | None = None


def place(score: Score, spans: Sequence[WordSpan], score_TC: np.ndarray, config: PlacingConfig) -> Score:
    """The score with times for all phones; `spans`: one a word. Words without phones are passed over."""
    placed: dict[int, tuple[float, float]] = {}
    first_phones = _phones_by_word(score)
    lines = dict.fromkeys(word.line for word in score.words)
    at_frame = 0
    for line in lines:
        words = [k for k, word in enumerate(score.words) if word.line == line and first_phones[k]]
        if not words:
            continue
        states = _states(score, words, first_phones, spans, config)
        low = max(at_frame, round(spans[words[0]].start_s * RATE_HZ) - _REACH)
        high = min(len(score_TC), round(spans[words[-1]].end_s * RATE_HZ) + _REACH)
        high = max(high, min(low + 2 * len(states), len(score_TC)))
        edges = _best_edges(states, score_TC[low:high], low, config)
        for state, first, last in zip(states, edges, edges[1:], strict=False):
            if state.phone is not None:
                placed[state.phone] = (first / RATE_HZ, last / RATE_HZ)
                at_frame = last
    return score.replace(phones=tuple(phone.timed(*placed[k]) for k, phone in enumerate(score.phones)))


def _phones_by_word(score: Score) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in score.words]
    for k, phone in enumerate(score.phones):
        found[score.syllables[phone.syllable].word].append(k)
    return found


def _states(
    score: Score,
    words: Sequence[int],
    phones: Sequence[Sequence[int]],
    spans: Sequence[WordSpan],
    config: PlacingConfig,
) -> list[_State]:
    silence = _State(0, None, 0.2, 1.5)
    states = [silence]
    for word in words:
        held, span = phones[word], spans[word]
        nuclei = sum(score.phones[k].place == "nucleus" for k in held)
        quiet_s = sum(_usual_s(score.phones[k]) for k in held if score.phones[k].place != "nucleus")
        vowel_s = max((span.end_s - span.start_s - quiet_s) / max(nuclei, 1), 0.08)
        for k in held:
            phone = score.phones[k]
            is_nucleus = phone.place == "nucleus"
            usual_s = vowel_s if is_nucleus else _usual_s(phone)
            longest_s = max(span.end_s - span.start_s, usual_s * np.exp(_DEVIATIONS * config.length_spread))
            states.append(_State(
                class_of()[phone.symbol], k, usual_s, config.vowel_spread if is_nucleus else config.length_spread,
                _LONGEST_S if is_nucleus else longest_s,
                span.start_s if k == held[0] else None, span.end_s if k == held[-1] else None,
            ))  # fmt: skip
        states.append(silence)
    return states


def _usual_s(phone: Phone) -> float:
    return USUAL_S[inventory()[phone.symbol].manner]


def _best_edges(states: Sequence[_State], score_TC: np.ndarray, low: int, config: PlacingConfig) -> list[int]:
    """Where each state begins, and the end of the last, in frames of the clip; a silence left out has length 0."""
    num_frames = len(score_TC)
    total_TC = np.concatenate([np.zeros((1, score_TC.shape[1])), np.cumsum(config.class_weight * score_TC, axis=0)])
    frames_E = np.arange(num_frames + 1)
    best_E = np.full(num_frames + 1, _NEVER)
    best_E[: 2 * _REACH] = 0.0  # the silence before the first word has no beginning of its own
    chosen: list[np.ndarray] = []
    for state in states:
        start_E = best_E + _pull(frames_E, low, state.starts_s, config)
        total_E = total_TC[:, state.kind]
        reached_E = best_E.copy() if state.phone is None else np.full(num_frames + 1, _NEVER)
        came_E = np.zeros(num_frames + 1, int)
        for length in range(1, min(num_frames, round(state.longest_s * RATE_HZ)) + 1):
            log_length = -0.5 * (np.log(length / RATE_HZ / state.length_s) / state.spread) ** 2
            value_E = start_E[:-length] + total_E[length:] - total_E[:-length] + log_length
            better_E = value_E > reached_E[length:]
            reached_E[length:][better_E] = value_E[better_E]
            came_E[length:][better_E] = length
        best_E = reached_E + _pull(frames_E, low, state.ends_s, config)
        chosen.append(came_E)
    at = int(best_E.argmax())
    edges = [at]
    for came_E in reversed(chosen):
        at -= int(came_E[at])
        edges.append(at)
    return [low + edge for edge in reversed(edges)]


def _pull(frames_E: np.ndarray, low: int, time_s: float | None, config: PlacingConfig) -> np.ndarray:
    if time_s is None:
        return np.zeros(len(frames_E))
    cost_E: np.ndarray = -0.5 * (((frames_E + low) / RATE_HZ - time_s) / config.word_slack_s) ** 2
    return np.maximum(cost_E, -50.0)
