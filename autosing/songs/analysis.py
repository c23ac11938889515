"""A spoken word -> its phonemes and its WORLD frames, ready to be laid out on a score.

Shapes: T frames every FRAME_S, K frequency bins from 0 to half of SPEECH_RATE_HZ, S samples.
"""

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from autosing.songs.espeak import SPEECH_RATE_HZ, SpokenPhone, Utterance
from autosing.songs.singers import Singer, voice_name

FRAME_S = 0.005
SILENCE = float(np.log(1e-12))
"""Log power of nothing."""
_VOWEL = re.compile(r"[aeiouyæøœɐɑɒɔəɘɚɛɜɝɞɤɨɪɯɵɶʉʊʌʏᵻ]|[lmnŋɹ]̩")
_GLIDES = ("j", "w", "ɥ", "ɰ")


@dataclass(frozen=True)
class SpokenWord:
    """A word as a singer's voice speaks it. `nuclei` are the indices of the phones that carry a note each."""

    text: str
    phones: list[SpokenPhone]
    nuclei: list[int]
    voiced_T: np.ndarray
    log_power_TK: np.ndarray
    aperiodicity_TK: np.ndarray


class Speaks(Protocol):
    """What says words: eSpeak NG, or another engine with phones and their times."""

    def say(self, text: str, voice: str, pitch: int, pitch_range: int = 0, rate_wpm: int = 150) -> Utterance: ...


class SpeakingVoice:
    """A singer's words in one language, each analysed once. The order of words matters to eSpeak: see Espeak."""

    def __init__(self, engine: Speaks, singer: Singer, language: str) -> None:
        self._engine, self._singer = engine, singer
        self._voice = voice_name(singer, language)
        self._known: dict[str, SpokenWord] = {}

    def word(self, text: str) -> SpokenWord:
        if text not in self._known:
            utterance = self._engine.say(text, self._voice, self._singer.speaking_pitch)
            self._known[text] = analyse(text, utterance, self._singer)
        return self._known[text]

    def speak(self, line: str) -> Utterance:
        """A whole line as it is spoken."""
        return self._engine.say(line, self._voice, self._singer.speaking_pitch, pitch_range=50)


def is_nucleus(phone: str) -> bool:
    """Whether a phoneme (IPA) can carry a note: a vowel, a vowel after a glide, or a syllabic consonant."""
    return bool(_VOWEL.search(phone[1:] if phone.startswith(_GLIDES) else phone))


def analyse(text: str, utterance: Utterance, singer: Singer) -> SpokenWord:
    """WORLD's analysis, with formants moved, brightness tilted and breath added as the singer has them."""
    import pyworld

    noise_S = np.random.default_rng(0).standard_normal(len(utterance.audio_S))
    audio_S = np.ascontiguousarray(utterance.audio_S + 1e-5 * noise_S)  # digital silence breaks the analysis
    coarse_T, time_T = pyworld.dio(audio_S, SPEECH_RATE_HZ, f0_floor=60, f0_ceil=500, frame_period=FRAME_S * 1000)
    f0_T = pyworld.stonemask(audio_S, coarse_T, time_T, SPEECH_RATE_HZ)
    log_power_TK = np.log(np.maximum(pyworld.cheaptrick(audio_S, f0_T, time_T, SPEECH_RATE_HZ), 1e-12))
    # Aperiodicity is two thirds of the cost and changes slowly: every other frame, each used twice.
    even_TK = pyworld.d4c(audio_S, f0_T[::2].copy(), time_T[::2].copy(), SPEECH_RATE_HZ)
    aperiodicity_TK = np.repeat(even_TK, 2, axis=0)[: len(f0_T)]
    num_bins = log_power_TK.shape[1]
    hz_K = np.arange(num_bins) * (SPEECH_RATE_HZ / 2 / (num_bins - 1))
    log_power_TK = _stretch(log_power_TK, singer.formant)
    log_power_TK += np.log(10) / 10 * singer.tilt_db * np.log2(np.maximum(hz_K, 500) / 500)
    aperiodicity_TK = 1 - (1 - aperiodicity_TK) * (1 - singer.breath * np.clip(hz_K / 4000, 0, 1))
    return SpokenWord(text, utterance.phones, _nuclei(utterance.phones), f0_T > 0, log_power_TK, aperiodicity_TK)


def _stretch(log_power_TK: np.ndarray, factor: float) -> np.ndarray:
    """The spectrum drawn out along frequency by a factor: bin k is read at k / factor."""
    last = log_power_TK.shape[1] - 1
    source_K = np.minimum(np.arange(last + 1) / factor, last)
    below_K = np.minimum(source_K.astype(int), last - 1)
    part_K = source_K - below_K
    return log_power_TK[:, below_K] * (1 - part_K) + log_power_TK[:, below_K + 1] * part_K


def _nuclei(phones: list[SpokenPhone]) -> list[int]:
    found = [i for i, phone in enumerate(phones) if is_nucleus(phone.phone)]
    longest = max(range(len(phones)), key=lambda i: phones[i].end_s - phones[i].start_s)
    return found or [longest]  # a word of consonants is sung on its longest
