"""A score whose phones have no times -> the same with times: vowels on their notes, consonants where they find room.

A vowel starts where its syllable's first note starts. Consonants before it take their time from the note before or the
rest; those behind it end with the syllable's last note; the vowel holds what is left, over all notes of a slur.
"""

from collections.abc import Sequence

from autosing.errors import InputError
from autosing.score.phones import inventory
from autosing.score.score import Phone, Score

USUAL_S = {
    "stop": 0.07, "affricate": 0.09, "fricative": 0.09, "nasal": 0.06, "lateral": 0.06, "approximant": 0.06,
    "tap": 0.03, "trill": 0.06, "glide": 0.05, "vowel": 0.06, "diphthong": 0.06, "nasal_vowel": 0.06, "syllabic": 0.06,
}  # fmt: skip
"""Lengths of phones that are no nucleus, by manner, where nothing better is known: about those of careful speech."""
SHARE = 0.5
"""Consonants take at most this part of what lies between two vowel onsets, and of what then is left."""


def usual_lengths_s(phones: Sequence[Phone]) -> list[float]:
    """A length for each phone; vowels get 0, as they hold what is left."""
    return [USUAL_S.get(inventory()[phone.symbol].manner, 0.0) for phone in phones]


def with_times(score: Score, lengths_s: Sequence[float] | None = None) -> Score:
    """The score with phones placed. `lengths_s`: what each consonant wants to last (seconds, one number a phone, those
    of nuclei are not read); together they are shrunk alike where the room is short.

    Raises InputError where a syllable with phones has no note.
    """
    wanted_s = usual_lengths_s(score.phones) if lengths_s is None else list(lengths_s)
    if len(wanted_s) != len(score.phones):
        raise InputError(f"score: {len(wanted_s)} lengths for {len(score.phones)} phones; need one a phone")
    sung = [number for number, phones in enumerate(score.phones_by_syllable) if phones]
    if silent := [number for number in sung if not score.notes_of(number)]:
        syllable = score.syllables[silent[0]]
        found = f"syllable {silent[0]} ({syllable.text or score.words[syllable.word].text!r})"
        raise InputError(f"score: {found} has phones and no note; need a note for each syllable")
    firsts, at = {}, 0
    for number in sung:
        firsts[number] = at
        at += len(score.phones_of(number))
    starts_s = [score.notes_of(number)[0].start_s for number in sung]
    onsets_s = []
    for number, start_s, before_s in zip(sung, starts_s, [None, *starts_s], strict=False):
        room_s = start_s if before_s is None else SHARE * (start_s - before_s)
        onsets_s.append(_shrunk(_wanted(score, wanted_s, number, firsts[number], "onset"), room_s))
    placed: list[Phone] = []
    for k, number in enumerate(sung):
        end_s = score.notes_of(number)[-1].end_s
        if k + 1 < len(sung):
            end_s = min(end_s, starts_s[k + 1] - sum(onsets_s[k + 1]))
        coda_s = _shrunk(_wanted(score, wanted_s, number, firsts[number], "coda"), SHARE * (end_s - starts_s[k]))
        lengths = [*onsets_s[k], end_s - starts_s[k] - sum(coda_s), *coda_s]
        at_s = starts_s[k] - sum(onsets_s[k])
        for phone, length_s in zip(score.phones_of(number), lengths, strict=True):
            placed.append(phone.timed(at_s, at_s + length_s))
            at_s += length_s
    return score.replace(phones=tuple(placed))


def _wanted(score: Score, wanted_s: Sequence[float], syllable: int, first: int, place: str) -> list[float]:
    return [wanted_s[first + i] for i, phone in enumerate(score.phones_of(syllable)) if phone.place == place]


def _shrunk(wanted_s: Sequence[float], room_s: float) -> list[float]:
    total_s = sum(wanted_s)
    scale = min(1.0, max(room_s, 0.0) / total_s) if total_s > 0 else 1.0
    return [length_s * scale for length_s in wanted_s]
