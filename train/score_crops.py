"""A clip and its score -> a crop of its sound, and what a model that sings scores is told and learns of it.

Shapes: S samples, F frames of the space, P phones, M notes, N signs, L labels, G = 1.
"""

from dataclasses import dataclass

import numpy as np

from autosing.models.acoustic import SpaceSpec
from autosing.models.melody import length_target, measured_vibrato, smoothed, vibrato_cents
from autosing.models.sung_score import Item, lengths_item, score_item
from autosing.models.told import f0_at, frame_times, loudness_at
from autosing.schemas.sample import Sample
from autosing.score.score import Score
from train.crops import unclipped_db, voice_from

_LOUDNESS_S = 0.15
"""Loudness is told smoothed over so long."""
_SILENT_DB = -80.0
"""What is quieter is told as this."""
_FARTHEST = 4.0
"""Semitones from the note: a tracker's octave error, or another note than the score's; nothing is learnt from it."""


@dataclass(frozen=True)
class ScoreCrop:
    """`item`: sound, pitch, loudness and the score's numbers at the crop's frames; `first`: its first frame."""

    item: Item
    first: int
    score: Score


def cut_crop(
    sample: Sample, rng: np.random.Generator, spec: SpaceSpec, num_frames: int, loudness_shift_db: float
) -> ScoreCrop | None:
    """None where the phones of its score have no times. The gain is in gain_db_G, not in loudness_F."""
    score = sample.score()
    if not score.timed:
        return None
    rate = float(spec.rate_hz)
    vocals = sample.audio("vocals")
    in_clip = max(num_frames, int(np.ceil(vocals.duration_s * rate)))
    # A crop holds a phone: made songs are silent for half of their time.
    middle = score.phones[int(rng.integers(len(score.phones)))].start_s or 0.0
    first = int(np.clip(round(middle * rate) - rng.integers(num_frames), 0, in_clip - num_frames))
    audio_S = voice_from(vocals, first / rate, num_frames * spec.hop_samples, spec.sample_rate_hz)
    gain_db = unclipped_db(rng.uniform(-loudness_shift_db, loudness_shift_db), audio_S)
    times_s_F = frame_times(0, in_clip, rate)
    f0_hz_F = f0_at(sample.array("pitch"), times_s_F).astype(np.float32)
    loudness_F = np.maximum(loudness_at(sample.array("loudness"), times_s_F), _SILENT_DB)
    crop = slice(first, first + num_frames)
    whole = score_item(score, spec.rate_hz, in_clip)
    held = whole | _measured(whole, f0_hz_F)
    item = {name: array[..., crop] if name.endswith("F") else array for name, array in held.items()}
    item |= {
        "audio_S": audio_S.astype(np.float32) * np.float32(10 ** (gain_db / 20)), "f0_F": f0_hz_F[crop],
        "loudness_F": smoothed(loudness_F, rate, _LOUDNESS_S)[crop], "quick_loudness_F": loudness_F[crop],
        "gain_db_G": np.array([gain_db], np.float32),
    }  # fmt: skip
    return ScoreCrop(item | {"label_L": _labels(item)}, first, score)


def lengths_of(score: Score) -> Item:
    """What the lengths of consonants are learnt from."""
    seconds_P = np.array([(p.end_s or 0.0) - (p.start_s or 0.0) for p in score.phones])
    consonant_P = np.array([phone.place != "nucleus" for phone in score.phones])
    return {**lengths_item(score), "length_P": length_target(seconds_P), "consonant_P": consonant_P.astype(np.float32)}


def _measured(whole: Item, f0_hz_F: np.ndarray) -> Item:
    """What the singer did on the notes: vibrato of each, and f0 beside it, in semitones, where it can be told."""
    voiced_F = f0_hz_F > 0
    away_F = 12 * np.log2(np.maximum(f0_hz_F, 20) / 440) + 69 - whole["midi_F"]
    pitched_F = voiced_F & (np.abs(away_F) < _FARTHEST) & (whole["note_of_F"] >= 0)
    held_F = (
        np.interp(np.arange(len(away_F)), np.flatnonzero(pitched_F), away_F[pitched_F])
        if pitched_F.any()
        else 0 * away_F
    )
    args = (whole["note_of_F"], whole["since_F"], whole["swell_F"])
    vibrato_4M = measured_vibrato(100 * held_F, pitched_F, *args, whole["note_KM"].shape[1])
    slow_F = away_F - vibrato_cents(vibrato_4M, *args) / 100
    return {
        "vibrato_4M": vibrato_4M, "away_F": np.where(pitched_F, slow_F, 0).astype(np.float32), "pitched_F": pitched_F,
    }  # fmt: skip


def _labels(item: Item) -> np.ndarray:
    """label_L: the phones that sound for two frames or more of the crop, in order."""
    phones_N, places_N, _ = item["sign_3N"]
    signs, frames = np.unique(item["sign_of_F"], return_counts=True)
    kept = [sign for sign, count in zip(signs, frames, strict=True) if count >= 2 and places_N[sign] > 0]
    return np.asarray(phones_N[kept], np.int64)
