"""(seed, index) -> 30 s of sung or spoken words with their times, with the effects of a room, a band and a separator.

Shapes: S samples, C channels.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from autosing.audio.io import resample
from autosing.ids import seed_of
from autosing.songs.analysis import SpokenWord, analyse
from autosing.songs.band import SONG_RATE_HZ, play_band
from autosing.songs.espeak import SPEECH_RATE_HZ, Espeak, Utterance
from autosing.songs.layout import lay_out
from autosing.songs.room import convolve, rms
from autosing.songs.score import CHORDS, Note, bars_for, line_rhythm, melody
from autosing.songs.sing import sing_line
from autosing.songs.singers import SINGERS, Singer
from train.letters.lexicon import TONGUES, Tongue, draw_line

SAMPLE_RATE_HZ = 16_000
WINDOW_S = 30.0
_VARIANTS = (
    "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "Alex", "Andrea", "Annie", "Gene",
    "Henrique", "Hugo", "Lee", "Marco", "Mario", "Michael", "Mike", "adam", "anika", "antonio", "aunty", "belinda",
    "benjamin", "caleb", "david", "ed", "edward", "ian", "john", "linda", "marcelo", "max", "michel", "miguel",
    "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph", "travis", "victor",
    "zac", "klatt2", "klatt4",
)  # fmt: skip
"""eSpeak NG's voice variants that sound like people."""
_TRIES = 60
_SEPARATED = 0.75
"""The share of windows that are mixed with a band and really separated; in the others a faint band is added."""


@dataclass(frozen=True)
class TimedWord:
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class LetterWindow:
    """audio_S: WINDOW_S of voice at SAMPLE_RATE_HZ, float32."""

    audio_S: np.ndarray
    words: list[TimedWord]
    tongue: str


def make_window(seed: int, index: int) -> LetterWindow:
    """A function of its arguments alone. Half of the windows are spoken (cheap, many words), half are sung."""
    rng = np.random.default_rng(seed_of("letters", seed, index))
    tongue = TONGUES[rng.choice(len(TONGUES), p=np.array([t.share for t in TONGUES]) / sum(t.share for t in TONGUES))]
    singer = _singer(rng)
    dry_S = np.zeros(int((WINDOW_S + 2) * SPEECH_RATE_HZ))
    with Espeak() as engine:
        voice = f"{tongue.voice}+{singer.variant}"
        make = _spoken if rng.random() < 0.5 else _sung
        words = make(engine, voice, tongue, singer, dry_S, rng)
    audio_S = as_separated(dry_S[: int(WINDOW_S * SPEECH_RATE_HZ)], SPEECH_RATE_HZ, rng)
    return LetterWindow(audio_S, words, tongue.voice)


def _singer(rng: np.random.Generator) -> Singer:
    """In a third of the windows a singer of the synthetic songs, in the others a random one."""
    if rng.random() < 1 / 3:
        return SINGERS[int(rng.integers(len(SINGERS)))]
    low = int(rng.integers(40, 63))
    return Singer(
        "somebody", _VARIANTS[int(rng.integers(len(_VARIANTS)))], low, low + int(rng.integers(9, 17)),
        float(rng.uniform(0.86, 1.2)), float(rng.uniform(4.5, 6.5)), float(rng.uniform(0, 80)),
        float(rng.uniform(-2, 3)), float(rng.uniform(0, 0.3)),
    )  # fmt: skip


def _sung(
    engine: Espeak, voice: str, tongue: Tongue, singer: Singer, dry_S: np.ndarray, rng: np.random.Generator
) -> list[TimedWord]:
    words: list[TimedWord] = []
    at_s, key = float(rng.uniform(0.2, 2.5)), int(rng.integers(12))
    for _ in range(_TRIES):
        texts = draw_line(tongue.words, rng)
        said = [(text, engine.say(text, voice, singer.speaking_pitch)) for text in texts]
        if any(not utterance.phones for _, utterance in said):
            continue
        spoken = [analyse(text, utterance, singer) for text, utterance in said]
        notes = _notes(spoken, at_s, key, singer, rng)
        if notes is None or notes[-1].end_s > WINDOW_S - 0.5:
            if words:
                break
            continue
        phones, _ = lay_out(spoken, notes)
        sung = sing_line(spoken, phones, notes, singer, rng)
        _add(dry_S, sung.audio_S, sung.start_s)
        for number, text in enumerate(texts):
            own = [phone for phone in phones if phone.word == number]
            words.append(TimedWord(text, round(own[0].start_s, 4), round(own[-1].end_s, 4)))
        at_s = notes[-1].end_s + float(rng.uniform(0.1, 0.8) if rng.random() < 0.7 else rng.uniform(0.8, 4))
    return words


def _notes(
    words: list[SpokenWord], at_s: float, key: int, singer: Singer, rng: np.random.Generator
) -> list[Note] | None:
    """Rhythms on and off the beat, fast and slow, legato and detached; None for a line that is too long to sing."""
    count = sum(len(word.nuclei) for word in words)
    if count > 18:
        return None
    beat_s = 60 / float(rng.uniform(60, 135) if rng.random() < 0.85 else rng.uniform(34, 60))
    onset_N, length_N = line_rhythm(count, bars_for(count), rng)
    if rng.random() < 0.3:
        length_N = length_N * rng.uniform(0.6, 1, count)
    if rng.random() < 0.4:
        gap_N = np.diff(np.append(onset_N, onset_N[-1] + length_N[-1])) * rng.uniform(0.6, 1.7, count)
        onset_N = np.concatenate([[0], np.cumsum(gap_N)[:-1]])
        length_N = np.minimum(length_N, gap_N)
    midi_N = melody(onset_N, ["I", "V", "vi", "IV"], key, singer.low, singer.high, rng)
    start_N = at_s + onset_N * beat_s
    return [
        Note(float(start_s), float(start_s + length * beat_s), midi)
        for start_s, length, midi in zip(start_N, length_N, midi_N, strict=True)
    ]


def _spoken(
    engine: Espeak, voice: str, tongue: Tongue, singer: Singer, dry_S: np.ndarray, rng: np.random.Generator
) -> list[TimedWord]:
    words: list[TimedWord] = []
    at_s = float(rng.uniform(0.2, 2.5))
    for _ in range(_TRIES):
        texts = draw_line(tongue.words, rng)
        line = ("" if tongue.words == "han" else " ").join(texts)
        pitch, pitch_range, rate = (int(rng.integers(*span)) for span in ((10, 90), (20, 99), (80, 190)))
        utterance = engine.say(line, voice, pitch, pitch_range, rate)
        length_s = len(utterance.audio_S) / SPEECH_RATE_HZ
        if at_s + length_s > WINDOW_S - 0.5:
            if words:
                break
            continue
        _add(dry_S, utterance.audio_S, at_s)
        words += [TimedWord(t, round(at_s + a, 4), round(at_s + b, 4)) for t, a, b in _timed(texts, line, utterance)]
        at_s += length_s + float(rng.uniform(-0.05, 0.6))
    return words


def _timed(texts: list[str], line: str, utterance: Utterance) -> list[tuple[str, float, float]]:
    """Words start at eSpeak's word events; a word without one (eSpeak ran them together) joins the word before."""
    places, at = [], 0
    for text in texts:
        at = line.index(text, at)
        places.append(at)
        at += len(text)
    starts: list[tuple[int, float]] = []
    for position, start_s in utterance.words:
        number = max((n for n, place in enumerate(places) if place <= position - 1), default=0)
        if not starts or number > starts[-1][0]:
            starts.append((number if starts else 0, start_s))
    end_s = utterance.phones[-1].end_s if utterance.phones else len(utterance.audio_S) / SPEECH_RATE_HZ
    bounds = [*starts, (len(texts), end_s)]
    return [("".join(texts[i:j]), a, b) for (i, a), (j, b) in pairwise(bounds)]


def as_separated(dry_S: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Up to WINDOW_S of a voice as a separator might give it: in a room, with remains of a band, hiss and at a random
    level; float32 at SAMPLE_RATE_HZ."""
    voice_S = resample(dry_S.astype(np.float32), rate_hz, SONG_RATE_HZ).astype(np.float64)
    voice_S *= 0.09 / (rms(voice_S[np.abs(voice_S) > 1e-3]) + 1e-9)
    voice_S = _in_room(voice_S, float(rng.uniform(0, 0.3)), float(rng.uniform(0.3, 1.6)), rng)
    chords = [list(CHORDS)[int(k)] for k in rng.integers(len(CHORDS), size=24)]
    band_CS = play_band(chords, int(rng.integers(12)), 60 / float(rng.uniform(76, 118)), WINDOW_S, rng)
    band_CS = band_CS[:, : len(voice_S)] * 0.09 / rms(band_CS)
    voice_S = voice_S[: band_CS.shape[1]]
    if rng.random() < _SEPARATED:
        mix_CS = voice_S + band_CS * 10 ** (rng.uniform(-6, 4) / 20)
        voice_S = _separated(mix_CS.astype(np.float32)).mean(axis=0)
    else:
        voice_S = voice_S + band_CS.mean(axis=0) * 10 ** (rng.uniform(-40, -14) / 20)
    voice_S = voice_S + rng.standard_normal(len(voice_S)) * 10 ** (rng.uniform(-80, -45) / 20)
    audio_S = resample(voice_S.astype(np.float32), SONG_RATE_HZ, SAMPLE_RATE_HZ)
    level = 0.3 * 10 ** (rng.uniform(-10, 8) / 20) / (np.abs(audio_S).max() + 1e-9)
    return np.clip(audio_S * level, -1, 1).astype(np.float32)


def _in_room(dry_S: np.ndarray, wet: float, tail_s: float, rng: np.random.Generator) -> np.ndarray:
    time_S = np.arange(int(tail_s * SONG_RATE_HZ)) / SONG_RATE_HZ
    response_S = rng.standard_normal(len(time_S)) * 10 ** (-3 * time_S / tail_s)
    response_S[time_S < 0.012] = 0
    response_S *= wet / np.sqrt(np.square(response_S).sum())
    return dry_S + convolve(dry_S, response_S)[: len(dry_S)]


@cache
def _separator() -> Any:
    from autosing.models.spleeter import load_spleeter

    return load_spleeter("cpu")


def _separated(mix_CS: np.ndarray) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return np.asarray(_separator()(torch.from_numpy(mix_CS), 1).numpy())


def _add(into_S: np.ndarray, sound_S: np.ndarray, start_s: float) -> None:
    first = round(start_s * SPEECH_RATE_HZ)
    sound_S = sound_S[max(0, -first) :]
    first = max(0, first)
    into_S[first : first + len(sound_S)] += sound_S[: len(into_S) - first]
