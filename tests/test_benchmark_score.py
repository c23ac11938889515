"""The benchmark of transcribed scores: known shifts give known figures."""

import importlib.util
import sys
from pathlib import Path

import pytest

from autosing.errors import InputError
from autosing.score.score import Note, Phone, Score, Syllable, Word

_FILE = Path(__file__).parents[1] / "benchmarks" / "quality" / "score.py"
_SPEC = importlib.util.spec_from_file_location("benchmark_of_scores", _FILE)
assert _SPEC is not None and _SPEC.loader is not None
benchmark = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = benchmark
_SPEC.loader.exec_module(benchmark)
note_f1, onset_figures, phone_onsets = benchmark.note_f1, benchmark.onset_figures, benchmark.phone_onsets


def score(shift_s: float = 0.0, midi: float = 60.0, words: str = "see me", spelled: str = "si mi") -> Score:
    """Each word two phones of 0.1 and 0.4 s, on a note of its own; `spelled`: their symbols."""
    texts, phones, notes = words.split(), [], []
    for k, symbols in enumerate(spelled.split()):
        at_s = 0.5 + k + shift_s
        notes.append(Note(start_s=at_s, end_s=at_s + 0.4, midi=midi + k, syllable=k))
        for symbol, place, a, b in zip(symbols, ("onset", "nucleus"), (-0.1, 0.0), (0.0, 0.4), strict=True):
            phones.append(Phone(symbol=symbol, place=place, syllable=k, start_s=at_s + a, end_s=at_s + b))
    return Score(
        duration_s=3.0,
        words=tuple(Word(text=text, language="en", line=0) for text in texts),
        syllables=tuple(Syllable(word=k) for k in range(len(texts))),
        phones=tuple(phones),
        notes=tuple(notes),
    )


def test_a_shift_of_30_ms_is_found_in_every_phone():
    onsets = phone_onsets(score(), score(0.03))
    figures = onset_figures(onsets)
    assert {kind: f["compared"] for kind, f in figures.items()} == {"vowel": 2, "consonant": 2}
    for kind in ("vowel", "consonant"):
        assert figures[kind]["median_ms"] == pytest.approx(30, abs=0.1)
        assert (figures[kind]["within_20_ms"], figures[kind]["within_50_ms"]) == (0.0, 1.0)


def test_words_and_phones_that_only_one_has_are_not_compared():
    assert len(phone_onsets(score(), score(words="see you", spelled="si ju"))) == 2, "the other word"
    assert len(phone_onsets(score(), score(spelled="si ni"))) == 4, "m and n are one class"
    assert len(phone_onsets(score(), score(spelled="si si"))) == 3, "a hiss is no nasal"
    with pytest.raises(InputError, match="no vowel to compare"):
        onset_figures(phone_onsets(score(), score(words="he she")))


def test_notes_count_within_50_ms_and_50_cents():
    assert note_f1(score(), score(0.04)) == 1.0
    assert note_f1(score(), score(0.06)) == 0.0
    assert note_f1(score(), score(midi=60.6)) == 0.0
