"""Lines -> the same lines spoken one after the other, with the times of their words."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from autosing.audio.io import Audio
from autosing.schemas.tables import Word
from autosing.songs.analysis import SpeakingVoice
from autosing.songs.espeak import SPEECH_RATE_HZ, Utterance
from autosing.songs.lyrics import split_words
from autosing.songs.room import on_16_bits
from autosing.text.normalize import join_words

_PAUSE_S = 0.25


def speak_lines(voice: SpeakingVoice, lines: Sequence[str], language: str) -> tuple[Audio, list[Word]]:
    """Speech at SPEECH_RATE_HZ with a pause after each line, and its words on its own time."""
    pause_S = np.zeros(round(_PAUSE_S * SPEECH_RATE_HZ))
    pieces: list[np.ndarray] = []
    words: list[Word] = []
    num_samples = 0
    for number, text in enumerate(lines):
        utterance = voice.speak(text)
        since_s = num_samples / SPEECH_RATE_HZ
        for word, start_s, end_s in _words_of(utterance, text, language):
            words.append(Word(word, round(since_s + start_s, 4), round(since_s + end_s, 4), 1.0, number))
        pieces += [utterance.audio_S, pause_S]
        num_samples += len(utterance.audio_S) + len(pause_S)
    return Audio(on_16_bits(np.concatenate(pieces)[None]), SPEECH_RATE_HZ), words


def _words_of(utterance: Utterance, text: str, language: str) -> list[tuple[str, float, float]]:
    """eSpeak's word events carry a character position; a word without one of its own joins the one before."""
    tokens = split_words(text, language)
    starts, at = [], 0
    for token in tokens:
        at = text.index(token, at)
        starts.append(at)
        at += len(token)
    heard: list[tuple[int, float]] = []
    for position, start_s in utterance.words:
        token_number = max((n for n, start in enumerate(starts) if start <= position - 1), default=0)
        if not heard or token_number > heard[-1][0]:
            heard.append((token_number if heard else 0, start_s))
    end_s = utterance.phones[-1].end_s if utterance.phones else len(utterance.audio_S) / SPEECH_RATE_HZ
    bounds = [*heard, (len(tokens), end_s)]
    return [(join_words(tokens[first:last]), start, end) for (first, start), (last, end) in pairwise(bounds)]
