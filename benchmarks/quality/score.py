"""Transcribed scores of made songs against their truth -> phones' onsets and notes, as JSON on stdout.

    autosing import SONGS CORPUS
    autosing process CORPUS --stages separate,align,segment,pitch,score [--set score.classes=FOLDER]
    python benchmarks/quality/score.py CORPUS SONGS

SONGS is what `autosing songs` wrote; without --set score.truth the stage transcribes. Words are compared where both
have them; of a word, the phones whose classes (autosing.score.sounds) both have, in order: pronunciations differ.
Notes by mir_eval: onsets within 50 ms, pitch within 50 cents, one to one; offsets do not count.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np

from autosing.errors import InputError
from autosing.schemas.features import ClipScore
from autosing.score.cut import cut
from autosing.score.made import score_of_truth
from autosing.score.score import Phone, Score
from autosing.score.sounds import class_of
from autosing.songs.truth import load_truth
from autosing.storage.tables import partitions, read_rows, table_path

_KINDS = ("vowel", "consonant")
Onset = tuple[bool, float, float]
"""Of a phone: is it a vowel, its true and its found start in seconds."""


@dataclass(frozen=True)
class Window:
    """What is read of a clip."""

    id: str
    song: str
    start_s: float
    duration_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("songs", type=Path)
    given = parser.parse_args()
    onsets: list[Onset] = []
    notes, phones, clips = [], 0, 0
    for window, found in _scores(given.corpus):
        true = cut(
            score_of_truth(load_truth(given.songs, window.song)), window.start_s, window.start_s + window.duration_s
        )
        onsets += phone_onsets(true, found)
        notes.append(note_f1(true, found))
        phones += len(true.phones)
        clips += 1
    if not clips:
        raise InputError(f"{given.corpus}: no transcribed score; run the stage score without score.truth")
    report = {"what": "transcribed scores", "clips": clips, "true_phones": phones}
    print(json.dumps({**report, **onset_figures(onsets), "note_f1": round(float(np.mean(notes)), 3)}, indent=1))


def _scores(corpus: Path) -> Iterator[tuple[Window, Score]]:
    for k in partitions(corpus):
        windows = {row.id: row for row in read_rows(table_path(corpus, k, "segment"), Window)}
        for row in read_rows(table_path(corpus, k, "score"), ClipScore):
            if row.source == "transcribed":
                yield windows[row.id], Score.from_json(row.score, f"score of {row.id}")


def phone_onsets(true: Score, found: Score) -> list[Onset]:
    """Of the phones of words that both have."""
    held = [
        [[p for p in s.phones if s.syllables[p.syllable].word == k] for k in range(len(s.words))] for s in (true, found)
    ]
    onsets: list[Onset] = []
    for a, b in _pairs([w.text.casefold() for w in true.words], [w.text.casefold() for w in found.words]):
        sung, laid = held[0][a], held[1][b]
        for i, j in _pairs(_classes(sung), _classes(laid)):
            start_s, found_s = sung[i].start_s, laid[j].start_s
            if start_s is not None and found_s is not None:
                onsets.append((sung[i].place == "nucleus", start_s, found_s))
    return onsets


def _classes(phones: Sequence[Phone]) -> list[str]:
    return [str(class_of()[phone.symbol]) for phone in phones]


def _pairs(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[int, int]]:
    for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
        for k in range(block.size):
            yield block.a + k, block.b + k


def onset_figures(onsets: Sequence[Onset]) -> dict[str, Any]:
    """Of vowels and of consonants: how many were compared, median absolute error, shares within 20 and 50 ms."""
    figures = {}
    for kind, is_vowel in zip(_KINDS, (True, False), strict=True):
        off_N = np.array([abs(found_s - true_s) for vowel, true_s, found_s in onsets if vowel == is_vowel])
        if not len(off_N):
            raise InputError(f"no {kind} to compare; need clips whose words are those of the truth")
        figures[kind] = {
            "compared": len(off_N), "median_ms": round(1000 * float(np.median(off_N)), 1),
            "within_20_ms": round(float((off_N <= 0.02).mean()), 3),
            "within_50_ms": round(float((off_N <= 0.05).mean()), 3),
        }  # fmt: skip
    return figures


def note_f1(true: Score, found: Score) -> float:
    """mir_eval's F1 of notes; 0 where nothing is found."""
    from mir_eval.transcription import precision_recall_f1_overlap

    if not true.notes or not found.notes:
        return float(not true.notes and not found.notes)
    (true_N2, true_hz_N), (found_N2, found_hz_N) = (_notes(score) for score in (true, found))
    return float(precision_recall_f1_overlap(true_N2, true_hz_N, found_N2, found_hz_N, offset_ratio=None)[2])


def _notes(score: Score) -> tuple[np.ndarray, np.ndarray]:
    pitched = [(n.start_s, max(n.end_s, n.start_s + 1e-3), n.midi) for n in score.notes if n.midi is not None]
    spans_N3 = np.array(pitched, dtype=np.float64).reshape(-1, 3)
    return spans_N3[:, :2], 440 * 2 ** ((spans_N3[:, 2] - 69) / 12)


if __name__ == "__main__":
    main()
