"""A score whose phones have times -> what a model is told in each of its frames.

Frame f lies around (f + 1/2) / rate, as everywhere in autosing.models.told. Shapes: F frames.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from autosing.errors import InputError
from autosing.score.phones import BREATH, REST, language_id, phone_id
from autosing.score.score import Score
from autosing.timebase import num_frames_to_cover

PLACES = ("onset", "nucleus", "coda")


@dataclass(frozen=True)
class ScoreFrames:
    """One value a frame. Where nothing sounds: phone `<rest>` (or `<breath>`), index -1, positions 0."""

    phone_F: np.ndarray
    """int64: id of the inventory."""
    phone_index_F: np.ndarray
    """int64: which of the score's phones; -1: none."""
    place_F: np.ndarray
    """int64: 0 none, 1 onset, 2 nucleus, 3 coda."""
    language_F: np.ndarray
    """int64: id of autosing.score.phones.LANGUAGES, 0 where no phone sounds."""
    phone_position_F: np.ndarray
    """float32: 0 at the phone's start, 1 at its end."""
    note_index_F: np.ndarray
    """int64: which of the score's notes; consonants that sound in a rest before their note have that note. -1: none."""
    midi_F: np.ndarray
    """float32: the note's pitch; 0 where there is no note, or a spoken one."""
    note_position_F: np.ndarray
    """float32: 0 at the note's start, 1 at its end; below 0 for the consonants before it, in the note's length."""
    note_s_F: np.ndarray
    """float32: seconds that the note lasts; 0 where there is none."""
    slur_F: np.ndarray
    """bool: the note goes on with the syllable of the note before."""


def frames(score: Score, rate_hz: Fraction | float, num_frames: int | None = None) -> ScoreFrames:
    """By default so many frames as cover the score. Raises InputError where the phones have no times."""
    if score.phones and not score.timed:
        raise InputError("score: its phones have no times; place them first (autosing.score.timing.with_times)")
    rate = Fraction(rate_hz)
    count = num_frames_to_cover(score.duration_s, rate) if num_frames is None else num_frames
    time_F = (np.arange(count) + 0.5) / float(rate)
    phone_index_F, phone_position_F = _within([(p.start_s or 0.0, p.end_s or 0.0) for p in score.phones], time_F)
    ids = np.array([*(phone_id(p.symbol) for p in score.phones), phone_id(REST)])
    phone_F = ids[phone_index_F]
    breath_F, _ = _within([(b.start_s, b.end_s) for b in score.breaths], time_F)
    phone_F[(breath_F >= 0) & (phone_index_F < 0)] = phone_id(BREATH)
    places = np.array([*(1 + PLACES.index(p.place) for p in score.phones), 0])
    languages = np.array(
        [*(language_id(score.words[score.syllables[p.syllable].word].language) for p in score.phones), 0]
    )
    note_index_F, _ = _within([(n.start_s, n.end_s) for n in score.notes], time_F)
    note_index_F = np.where(note_index_F < 0, _own_notes(score)[phone_index_F], note_index_F)
    start_s = np.array([*(n.start_s for n in score.notes), 0.0])[note_index_F]
    length_s = np.array([*(n.duration_s for n in score.notes), 0.0])[note_index_F]
    position_F = np.where(length_s > 0, (time_F - start_s) / np.maximum(length_s, 1e-6), 0.0)
    return ScoreFrames(
        phone_F=phone_F,
        phone_index_F=phone_index_F,
        place_F=places[phone_index_F],
        language_F=languages[phone_index_F],
        phone_position_F=phone_position_F.astype(np.float32),
        note_index_F=note_index_F,
        midi_F=np.array([*(n.midi or 0.0 for n in score.notes), 0.0], np.float32)[note_index_F],
        note_position_F=position_F.astype(np.float32),
        note_s_F=length_s.astype(np.float32),
        slur_F=np.array([*score.slurs, False])[note_index_F],
    )


def _within(spans: list[tuple[float, float]], time_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(index_F of the span that holds each time, -1 for none; position_F in it from 0 to 1)."""
    if not spans:
        return np.full(len(time_F), -1), np.zeros(len(time_F))
    start_N, end_N = np.array(spans).T
    index_F = np.searchsorted(start_N, time_F, side="right") - 1
    inside_F = (index_F >= 0) & (time_F < end_N[index_F])
    length_F = np.maximum(end_N - start_N, 1e-9)[index_F]
    position_F = np.where(inside_F, (time_F - start_N[index_F]) / length_F, 0.0)
    return np.where(inside_F, index_F, -1), position_F


def _own_notes(score: Score) -> np.ndarray:
    """For each phone the note that it leads to (onset: the syllable's first) or comes from (coda: the last); -1 none.
    One more for "no phone"."""
    first_of = {n.syllable: i for i, n in reversed(list(enumerate(score.notes))) if n.syllable is not None}
    last_of = {n.syllable: i for i, n in enumerate(score.notes) if n.syllable is not None}
    own = [(first_of if p.place == "onset" else last_of).get(p.syllable, -1) for p in score.phones]
    return np.array([*own, -1])
