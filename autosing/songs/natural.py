"""A line -> how a natural voice speaks it; and that on a tune -> the same voice singing it.

Kokoro speaks the line, then sings it: the same phones with other durations and another f0. Between two vowels that
stand on notes, consonants and vowel are stretched together (consonants by no more than _MOST): vowels that alone take
all of a note's length cost a quarter of the words. All times are whole units of the network, so they are exact.

Shapes: P letters with a pad before and after, N syllables, F frames of half a unit, S samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autosing.audio.runs import runs
from autosing.songs.espeak import SpokenPhone
from autosing.songs.gesture import f0_curve
from autosing.songs.kokoro import UNIT_S, VOICE_RATE_HZ, Kokoro, Prosody
from autosing.songs.layout import PlacedPhone
from autosing.songs.natural_singers import NaturalSinger
from autosing.songs.onsets import Lateness, lateness, vowel_starts
from autosing.songs.phones import STRESS, VOWELS, PhoneString
from autosing.songs.retune import retune
from autosing.songs.score import Note

FRAMES_A_UNIT = 2
_FRAME_SAMPLES = round(UNIT_S * VOICE_RATE_HZ) // FRAMES_A_UNIT
_VOICED_HZ = 40
"""Kokoro says f0 near 0 where nothing is voiced."""
_AHEAD_UNITS = 2.5
"""A phone sounds so much before its letter's place among the durations (median of vowels after voiceless phones)."""
_MOST = 1.8
_LONG_UNITS = 6
"""A vowel from here on is held up: by itself it would fade, as it does in speech."""
_VOICELESS = frozenset("ptkfsʃθhʧ")
_CLEAR = _VOICELESS | frozenset("bdɡvzðʒʤ")
"""Where a vowel follows, its start can be heard."""
_IN_IPA = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "ʤ": "dʒ", "ʧ": "tʃ", "ᵊ": "ə", "T": "ɾ"}


@dataclass(frozen=True)
class WordPhones:
    """A word's phones, in time of the speech, and which of them carry a note each."""

    text: str
    phones: list[SpokenPhone]
    nuclei: list[int]


@dataclass(frozen=True)
class SpokenLine:
    """A line as the voice speaks it. `anchors_N` are the letters (counted from the pad) at whose starts notes start."""

    letters: PhoneString
    style: np.ndarray
    prosody: Prosody
    words: list[WordPhones]
    anchors_N: list[int]
    stressed_N: list[bool]

    @property
    def edges_P(self) -> np.ndarray:
        """Where each letter starts, in units; one more for the end."""
        return np.concatenate([[0], np.cumsum(self.prosody.units_P)]).astype(int)

    @property
    def onset_N(self) -> np.ndarray:
        return np.asarray(self.edges_P[self.anchors_N])

    @property
    def f0_hz(self) -> float:
        """Where the network's voice lies, on the median."""
        return float(np.median(self.prosody.f0_hz_F[self.prosody.f0_hz_F > _VOICED_HZ]))


def speak(network: Kokoro, texts: Sequence[str], letters: PhoneString, singer: NaturalSinger) -> SpokenLine:
    """Words and their phones -> the line as it would be spoken. Nothing sounds yet."""
    style = singer.style(len(letters.letters))
    prosody = network.prosody(letters.letters, style, 1.0)
    prosody = replace(prosody, units_P=_marks_short(letters.letters, prosody.units_P, 1))
    edges = (np.concatenate([[0], np.cumsum(prosody.units_P)]) - _AHEAD_UNITS) * UNIT_S / singer.formant
    phones: list[list[SpokenPhone]] = [[] for _ in texts]
    nuclei: list[list[int]] = [[] for _ in texts]
    anchors_N = []
    for at, (letter, word) in enumerate(zip(letters.letters, letters.word_of, strict=True), start=1):
        if word is None or letter in STRESS:
            continue
        if letter in VOWELS:
            nuclei[word].append(len(phones[word]))
            anchors_N.append(at)
        phones[word].append(SpokenPhone(_IN_IPA.get(letter, letter), float(edges[at]), float(edges[at + 1])))
    words = [WordPhones(*each) for each in zip(texts, phones, nuclei, strict=True)]
    return SpokenLine(letters, style, prosody, words, anchors_N, [letters.stressed(i) for i in letters.nuclei])


def _marks_short(letters: str, units_P: np.ndarray, heir: int) -> np.ndarray:
    """A stress mark lasts one unit; what it had beyond goes to the letter at `heir` from it (1: the vowel).

    A consonant's release sounds in that one unit, so that the vowel begins where its letter does.
    """
    units_P = units_P.astype(int)
    for at, letter in enumerate(letters, start=1):
        if letter in STRESS:
            units_P[at + heir] += units_P[at] - 1
            units_P[at] = 1
    return units_P


def sound_spoken(network: Kokoro, line: SpokenLine) -> np.ndarray:
    return network.sound(line.letters.letters, line.style, line.prosody)


def sung_units(line: SpokenLine, onset_N: np.ndarray, end: int) -> np.ndarray:
    """units_P with vowel n starting `onset_N[n] - onset_N[0]` units after the first, the last ending near `end`."""
    spoken = line.prosody.units_P.astype(int)
    sung = spoken.copy()
    bounds = [*line.anchors_N, len(spoken) - 2]  # the full stop and the pad keep their time
    targets = np.diff([*onset_N, end])
    for first, last, target in zip(bounds, bounds[1:], targets, strict=False):
        sung[first:last] = _stretched(spoken[first:last], int(target))
    return _marks_short(line.letters.letters, sung, -1)


def _stretched(spoken: np.ndarray, target: int) -> np.ndarray:
    """A vowel and what follows, in `target` units, one a letter at least; all but the vowel by _MOST at most."""
    ratio = target / spoken.sum()
    wanted = spoken * min(ratio, _MOST)
    wanted[0] = max(target - wanted[1:].sum(), 1.0)
    edges = np.round(np.concatenate([[0], np.cumsum(wanted)]) * target / wanted.sum()).astype(int)
    for i in range(1, len(edges)):
        edges[i] = max(edges[i], edges[i - 1] + 1)
    for i in range(len(edges) - 1, 0, -1):
        edges[i] = min(edges[i], target - (len(edges) - 1 - i))
    return np.diff(edges)


@dataclass(frozen=True)
class SungLine:
    """audio_S at VOICE_RATE_HZ times the singer's formant; its first sample lies at `start_s` of the song."""

    audio_S: np.ndarray
    asked_F: np.ndarray
    """Hz, also where nothing voiced sounds; frame n from start_s + n * frame_s on"""
    voiced_F: np.ndarray
    frame_s: float
    start_s: float
    phones: list[PlacedPhone]


def sing(
    network: Kokoro, line: SpokenLine, notes: Sequence[Note], singer: NaturalSinger, rng: np.random.Generator
) -> SungLine:
    """The line on its notes, whose starts are whole units apart. The network sings as if the throat were its own.

    It follows f0 loosely (0.90 of the frames within 50 cents, 12 cents on the median), and vowels start 12 ms off on
    the median, so what it sang is retuned and timed.
    """
    unit_s = UNIT_S / singer.formant
    onset_N = np.array([round((note.start_s - notes[0].start_s) / unit_s) for note in notes])
    units_P = sung_units(line, onset_N, round((notes[-1].end_s - notes[0].start_s) / unit_s))
    num_frames = int(units_P.sum()) * FRAMES_A_UNIT
    edges, spoken_edges = (np.round((np.concatenate([[0], np.cumsum(u)]) - _AHEAD_UNITS) * FRAMES_A_UNIT).astype(int)
                           for u in (units_P, line.prosody.units_P))  # fmt: skip
    frame_s = unit_s / FRAMES_A_UNIT
    start_s = notes[0].start_s - edges[line.anchors_N[0]] * frame_s
    at_F = np.interp(np.arange(num_frames) + 0.5, edges, spoken_edges)
    source_F = np.clip(at_F.astype(int), 0, len(line.prosody.f0_hz_F) - 1)
    spoken_hz_F, energy_F = line.prosody.f0_hz_F[source_F], line.prosody.energy_F[source_F].copy()
    asked_F = f0_curve(start_s + np.arange(num_frames) * frame_s, notes, singer.gesture, rng)
    told_F = spoken_hz_F > _VOICED_HZ
    for anchor in line.anchors_N:
        first, last = edges[anchor], edges[anchor + 1]
        told_F[first + FRAMES_A_UNIT : last - FRAMES_A_UNIT] = True
        if last - first >= _LONG_UNITS * FRAMES_A_UNIT:
            _hold_up(energy_F[first:last], float(np.percentile(energy_F[told_F], 75)))
    heard_F = np.where(told_F, asked_F / singer.formant, np.minimum(spoken_hz_F, 1.0))
    audio_S = network.sound(line.letters.letters, line.style, Prosody(units_P, heard_F, energy_F))
    voiced_F = told_F & ~_voiceless(line.letters, edges, num_frames)
    late = _lateness(line, audio_S, edges[line.anchors_N] * _FRAME_SAMPLES, voiced_F)
    audio_S = retune(audio_S, VOICE_RATE_HZ, asked_F / singer.formant, voiced_F, _FRAME_SAMPLES, late)
    return SungLine(audio_S, asked_F, voiced_F, frame_s, start_s, _placed(line, edges * frame_s + start_s))


def _lateness(line: SpokenLine, audio_S: np.ndarray, asked_N: np.ndarray, voiced_F: np.ndarray) -> Lateness:
    """How late the vowels sound that should start at samples asked_N, and all else with them."""
    late_N = vowel_starts(audio_S, VOICE_RATE_HZ, asked_N / VOICE_RATE_HZ) * VOICE_RATE_HZ - asked_N
    heard_N = [line.letters.letters[: anchor - 1].rstrip("".join(STRESS))[-1:] in _CLEAR for anchor in line.anchors_N]
    rests = [(first * _FRAME_SAMPLES, last * _FRAME_SAMPLES) for first, last in runs(~voiced_F)]
    return lateness(asked_N, np.where(heard_N, late_N, np.nan), rests)


def _voiceless(letters: PhoneString, edges: np.ndarray, num_frames: int) -> np.ndarray:
    """mask_F of voiceless phones: Kokoro's f0 runs on through them, its decoder knows better."""
    mask_F = np.zeros(num_frames, bool)
    for at, letter in enumerate(letters.letters, start=1):
        if letter in _VOICELESS:
            mask_F[edges[at] : edges[at + 1]] = True
    return mask_F


def _hold_up(energy_F: np.ndarray, level: float) -> None:
    """In place: a ramp of 0.1 s to the level, kept until 0.1 s before the end; what is louder stays."""
    ramp_F = np.interp(np.arange(len(energy_F)), [0, 8, len(energy_F) - 8, len(energy_F)], [0, 1, 1, 0.3])
    np.maximum(energy_F, energy_F[0] + (level - energy_F[0]) * ramp_F, out=energy_F)


def _placed(line: SpokenLine, edges_s: np.ndarray) -> list[PlacedPhone]:
    """The phones in the song's time: the time of stress marks and spaces is the phone's before them."""
    letters = line.letters
    kept = [at for at, (c, w) in enumerate(zip(letters.letters, letters.word_of, strict=True), 1)
            if w is not None and c not in STRESS]  # fmt: skip
    starts_s = [float(edges_s[at]) for at in kept]
    ends_s = [*starts_s[1:], float(edges_s[kept[-1] + 1])]
    flat = [(w, phone, n in word.nuclei) for w, word in enumerate(line.words) for n, phone in enumerate(word.phones)]
    return [
        PlacedPhone(word, phone, nucleus, start_s, end_s)
        for (word, phone, nucleus), start_s, end_s in zip(flat, starts_s, ends_s, strict=True)
    ]


def f0_at(sung: SungLine, time_T: np.ndarray) -> np.ndarray:
    """f0_T in Hz at times of the song, 0 where the line is unvoiced or does not sound."""
    at_T = (time_T - sung.start_s) / sung.frame_s
    frame_T = np.floor(at_T).astype(int)
    inside_T = (frame_T >= 0) & (frame_T < len(sung.voiced_F))
    voiced_T = inside_T & sung.voiced_F[np.clip(frame_T, 0, len(sung.voiced_F) - 1)]
    curve_T = np.interp(at_T, np.arange(len(sung.asked_F)), sung.asked_F)
    return np.where(voiced_T, curve_T, 0.0)


def rate_hz(singer: NaturalSinger) -> int:
    """What the network's samples are read at: a shorter throat's formants lie higher, and time runs faster."""
    return round(VOICE_RATE_HZ * singer.formant)
