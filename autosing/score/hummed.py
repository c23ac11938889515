"""f0 of a melody that was hummed, whistled or sung -> its notes; a breath, or another pitch, begins one.

Shapes: T values at 100 Hz, 0 where nothing is voiced.
"""

import numpy as np

from autosing.score.notes import RATE_HZ, NotesConfig, SyllableSpan, transcribe_notes
from autosing.score.score import Note

_GAP_S, _SHORTEST_S = 0.03, 0.05
"""Silences up to this are none; stretches of pitch below are noise."""


def notes_of_melody(f0_hz_T: np.ndarray, config: NotesConfig | None = None) -> list[Note]:
    """Notes with pitches, in order, belonging to no syllable."""
    voiced = np.flatnonzero(f0_hz_T > 0)
    if not len(voiced):
        return []
    breaks = np.flatnonzero(np.diff(voiced) > _GAP_S * RATE_HZ)
    firsts, lasts = voiced[np.concatenate([[0], breaks + 1])], voiced[np.concatenate([breaks, [len(voiced) - 1]])]
    spans = [
        SyllableSpan(first / RATE_HZ, first / RATE_HZ, (last + 1) / RATE_HZ)
        for first, last in zip(firsts, lasts, strict=True)
        if last + 1 - first >= _SHORTEST_S * RATE_HZ
    ]
    found = transcribe_notes(f0_hz_T, spans, config or NotesConfig())
    return [
        Note(start_s=note.start_s, end_s=note.end_s, midi=note.midi)
        for note in found
        if note.midi is not None and note.end_s > note.start_s
    ]
