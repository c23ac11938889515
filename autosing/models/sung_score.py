"""A score -> the numbers that a singing model is told of it: phones and rests, notes, and what sounds in each frame.

The same in training and in use. Frame f lies around (f + 1/2) / rate, as in autosing.models.told.

Shapes: B clips, N signs (phones and the rests between them), P phones alone, M notes, F frames, K numbers of each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from autosing.score.frames import PLACES, ScoreFrames, frames
from autosing.score.phones import BREATH, REST, language_id, phone_id
from autosing.score.score import TOUCH_S, Note, Phone, Score

SIGN_NUMBERS, LENGTH_NUMBERS, NOTE_NUMBERS, FRAME_NUMBERS = 7, 6, 8, 21
DECAYS_S = (0.03, 0.1, 0.3, 1.0)
"""A time t is told as exp(-t / d) for each of these."""
GLIDE_S = 0.1
"""The pitch of notes goes over from one to the next within this; what singers do beside that is learnt."""
VIBRATO_FROM_S, SWELL_S, FADE_S = 0.2, 0.25, 0.06
"""When a vibrato sets in, how long it grows, and how long before its note's end it dies."""


@dataclass(frozen=True)
class ScoreTold:
    """A batch of scores. Padding is 0, and masks are false there."""

    sign_B3N: Tensor
    """Phone, place in the syllable and language of each sign, as ids."""
    sign_BKN: Tensor
    sign_mask_BN: Tensor
    note_BKM: Tensor
    note_mask_BM: Tensor
    sign_of_BF: Tensor
    """Which sign sounds in a frame."""
    note_of_BF: Tensor
    """Which note does, or did last; -1 before the first."""
    frame_BKF: Tensor
    midi_BF: Tensor
    """The notes' pitch without gaps, gliding from one to the next."""
    since_BF: Tensor
    """Seconds since the note's start."""
    swell_BF: Tensor
    """0 to 1: how far a vibrato has grown."""

    @property
    def num_frames(self) -> int:
        return self.sign_of_BF.shape[1]


@dataclass(frozen=True)
class LengthsTold:
    """What the lengths of consonants are guessed from: nothing here depends on the phones' times."""

    phone_B3P: Tensor
    phone_BKP: Tensor
    phone_mask_BP: Tensor


Item = dict[str, np.ndarray]


def score_item(score: Score, rate_hz: Fraction, num_frames: int) -> Item:
    """The fields of ScoreTold for one score, without the batch. Raises InputError where phones have no times."""
    told = frames(score, rate_hz, num_frames)
    signs = _signs(score)
    time_F = (np.arange(num_frames) + 0.5) / float(rate_hz)
    starts_N, ends_N = (np.array([sign[i] for sign in signs]) for i in (0, 1))
    sign_of_F = np.clip(np.searchsorted(starts_N, time_F, side="right") - 1, 0, len(signs) - 1)
    sign_of_F = np.where(time_F >= ends_N[-1], len(signs) - 1, sign_of_F)
    note_of_F = np.maximum.accumulate(told.note_index_F) if num_frames else told.note_index_F
    start_s, end_s = (
        np.array([*(getattr(note, name) for note in score.notes), 0.0])[note_of_F] for name in ("start_s", "end_s")
    )
    since_F, until_F = time_F - start_s, np.maximum(end_s - time_F, 0)
    sign_since_F = np.maximum(time_F - starts_N[sign_of_F], 0)
    sign_until_F = np.maximum(ends_N[sign_of_F] - time_F, 0)
    in_sign_F = np.clip(sign_since_F / np.maximum(ends_N - starts_N, 1e-4)[sign_of_F], 0, 1)
    before_M, after_M = _intervals(score.notes)
    has_note_F = told.note_index_F >= 0
    frame_KF = np.stack([
        in_sign_F, *_decays(sign_since_F), *_decays(sign_until_F), *_decays(np.maximum(since_F, 0)),
        *_decays(until_F), has_note_F, told.slur_F, before_M[note_of_F], after_M[note_of_F],
    ])  # fmt: skip
    swell_F = np.clip((since_F - VIBRATO_FROM_S) / SWELL_S, 0, 1) * np.clip(until_F / FADE_S, 0, 1)
    return {
        "sign_3N": np.stack([[_id(sign[2], score) for sign in signs], *_places(signs, score)]).astype(np.int64),
        "sign_KN": np.stack([_sign_numbers(score, *sign) for sign in signs], axis=1).astype(np.float32),
        "sign_mask_N": np.ones(len(signs), bool),
        "note_KM": _note_numbers(score.notes, score.slurs),
        "note_mask_M": np.ones(len(score.notes), bool),
        "sign_of_F": sign_of_F.astype(np.int64),
        "note_of_F": note_of_F.astype(np.int64),
        "frame_KF": frame_KF.astype(np.float32),
        "midi_F": _gliding(told, float(rate_hz)),
        "since_F": since_F.astype(np.float32),
        "swell_F": np.where(note_of_F >= 0, swell_F, 0).astype(np.float32),
    }


def lengths_item(score: Score) -> Item:
    """The fields of LengthsTold for one score, whether its phones have times or not."""
    firsts_s = [notes[0].start_s if notes else None for notes in score.notes_by_syllable]
    lasts_s = [notes[-1].end_s if notes else None for notes in score.notes_by_syllable]
    rows = []
    for at, phone in enumerate(score.phones):
        number = phone.syllable
        start_s, end_s = firsts_s[number], lasts_s[number]
        earlier = [k for k in range(number) if firsts_s[k] is not None]
        before_s, rest_s = 2.0, 1.0
        if earlier and start_s is not None:
            before_s = start_s - (firsts_s[earlier[-1]] or 0.0)
            rest_s = start_s - (lasts_s[earlier[-1]] or 0.0)
        cluster = [p for p in score.phones_of(number) if p.place == phone.place]
        note_s = 0.3 if start_s is None or end_s is None else end_s - start_s
        rows.append([
            _octaves(note_s), _octaves(before_s), float(np.clip(rest_s, 0, 1)), len(cluster) - 1,
            *_word_edges(score, at),
        ])  # fmt: skip
    ids = [[phone_id(p.symbol) for p in score.phones], *_phone_places(score.phones, score)]
    return {
        "phone_3P": np.array(ids, np.int64).reshape(3, -1),
        "phone_KP": np.array(rows, np.float32).reshape(-1, LENGTH_NUMBERS).T,
        "phone_mask_P": np.ones(len(rows), bool),
    }


def stacked(items: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Tensor]:
    """Items -> tensors by the names of ScoreTold's and LengthsTold's fields, padded at the end to the longest."""
    batch = {}
    for name in items[0]:
        arrays = [item[name] for item in items]
        longest = max(1, *(array.shape[-1] for array in arrays))
        padded = [np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, longest - a.shape[-1])]) for a in arrays]
        stem, _, shape = name.rpartition("_")
        batch[f"{stem}_B{shape}"] = torch.from_numpy(np.stack(padded))
    return batch


def score_told(batch: Mapping[str, Tensor]) -> ScoreTold:
    return ScoreTold(**{field.name: batch[field.name] for field in fields(ScoreTold)})


def lengths_told(batch: Mapping[str, Tensor]) -> LengthsTold:
    return LengthsTold(**{field.name: batch[field.name] for field in fields(LengthsTold)})


Sign = tuple[float, float, int | str]
"""Start, end, and which phone of the score, or the symbol of a silence."""


def _signs(score: Score) -> list[Sign]:
    """Phones, with rests or breaths where there are none, from 0 to the score's end."""
    found: list[Sign] = []
    at_s = 0.0
    for number, phone in enumerate(score.phones):
        assert phone.start_s is not None and phone.end_s is not None, "frames() would have refused it"
        if phone.start_s - at_s > TOUCH_S:
            found.append((at_s, phone.start_s, _silence(score, at_s, phone.start_s)))
        found.append((phone.start_s, phone.end_s, number))
        at_s = max(at_s, phone.end_s)
    if score.duration_s - at_s > TOUCH_S or not found:
        found.append((at_s, max(score.duration_s, at_s), REST))
    return found


def _silence(score: Score, start_s: float, end_s: float) -> str:
    breaths = [b for b in score.breaths if b.start_s < end_s and b.end_s > start_s]
    return BREATH if breaths else REST


def _id(what: int | str, score: Score) -> int:
    return phone_id(what if isinstance(what, str) else score.phones[what].symbol)


def _places(signs: Sequence[Sign], score: Score) -> tuple[list[int], list[int]]:
    places, languages = [], []
    for _, _, what in signs:
        place, language = ([0], [0]) if isinstance(what, str) else _phone_places([score.phones[what]], score)
        places += place
        languages += language
    return places, languages


def _phone_places(phones: Sequence[Phone], score: Score) -> tuple[list[int], list[int]]:
    """(places, languages) as ids."""
    words = [score.words[score.syllables[phone.syllable].word] for phone in phones]
    return [1 + PLACES.index(phone.place) for phone in phones], [language_id(word.language) for word in words]


def _sign_numbers(score: Score, start_s: float, end_s: float, what: int | str) -> list[float]:
    length = _octaves(end_s - start_s)
    if isinstance(what, str):
        return [length, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    notes = score.notes_of(score.phones[what].syllable)
    own = None if not notes else notes[-1 if score.phones[what].place == "coda" else 0]
    pitched = own is not None and own.midi is not None
    note_s = notes[-1].end_s - notes[0].start_s if notes else 0.3
    height = 0.0 if own is None or own.midi is None else (own.midi - 60) / 12
    return [length, float(pitched), height, _octaves(note_s), float(len(notes) > 1), *_word_edges(score, what)]


def _word_edges(score: Score, phone: int) -> tuple[float, float]:
    """Whether a phone begins, and ends, its word."""

    def word(number: int) -> int:
        held = 0 <= number < len(score.phones)
        return score.syllables[score.phones[number].syllable].word if held else -1

    return float(word(phone - 1) != word(phone)), float(word(phone + 1) != word(phone))


def _note_numbers(notes: Sequence[Note], slurs: Sequence[bool]) -> np.ndarray:
    before_M, after_M = _intervals(notes)
    starts = [note.start_s for note in notes]
    ends = [note.end_s for note in notes]
    rows = []
    for m, note in enumerate(notes):
        rest_before_s = note.start_s - ends[m - 1] if m else 1.0
        rest_after_s = starts[m + 1] - note.end_s if m + 1 < len(notes) else 1.0
        height = 0.0 if note.midi is None else (note.midi - 60) / 12
        rows.append([
            _octaves(note.duration_s), height, before_M[m], after_M[m], float(np.clip(rest_before_s, 0, 1)),
            float(np.clip(rest_after_s, 0, 1)), float(slurs[m]), float(note.midi is not None),
        ])  # fmt: skip
    return np.array(rows, np.float32).reshape(-1, NOTE_NUMBERS).T


def _intervals(notes: Sequence[Note]) -> tuple[np.ndarray, np.ndarray]:
    """(up from the note before, up to the note after), in fifths of an octave; 0 where there is none. One more for no
    note."""
    midi = [note.midi for note in notes]

    def up(a: float | None, b: float | None) -> float:
        return 0.0 if a is None or b is None else float(np.clip((b - a) / 5, -3, 3))

    before = [up(a, b) for a, b in zip([None, *midi[:-1]], midi, strict=True)] if midi else []
    after = [up(a, b) for a, b in zip(midi, [*midi[1:], None], strict=True)] if midi else []
    return np.array([*before, 0.0]), np.array([*after, 0.0])


def _gliding(told: ScoreFrames, rate_hz: float) -> np.ndarray:
    """midi_F: notes, the nearest before or else after where there are none, smoothed by a Hann window."""
    pitched = np.flatnonzero(told.midi_F > 0)
    if not len(pitched):
        return np.full(len(told.midi_F), 60.0, np.float32)
    last_F = np.searchsorted(pitched, np.arange(len(told.midi_F)), side="right") - 1
    held_F = told.midi_F[pitched[np.maximum(last_F, 0)]]
    half = max(1, round(GLIDE_S * rate_hz / 2))
    window_K = np.hanning(2 * half + 3)[1:-1]
    smooth_F = np.convolve(np.pad(held_F, half, mode="edge"), window_K / window_K.sum(), "valid")
    return smooth_F.astype(np.float32)


def _decays(time_s_F: np.ndarray) -> list[np.ndarray]:
    # Below e^-12 nothing: numbers too small for float32 to hold in full make a convolution a hundred times slower.
    return [np.where(time_s_F < 12 * decay_s, np.exp(-time_s_F / decay_s), 0.0) for decay_s in DECAYS_S]


def _octaves(time_s: float) -> float:
    """About -2 to 2 for 20 ms to 5 s."""
    return float(np.log2(np.clip(time_s, 0.01, 10) / 0.3) / 2)
