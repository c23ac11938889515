"""Small scores with known answers."""

import numpy as np

from autosing.schemas.tables import Line, Word
from autosing.score import score as sc
from autosing.score.score import Note, Phone, Score, Syllable
from autosing.songs.truth import SongTruth, SungNote, SungPhone, SungSyllable


def star_score() -> Score:
    """4 s at 120: "sister" on two notes, a rest, "stars" over two notes (a slur). No times of phones."""
    phones = [
        ("s", "onset", 0), ("ɪ", "nucleus", 0), ("s", "onset", 1), ("t", "onset", 1), ("ɚ", "nucleus", 1),
        ("s", "onset", 2), ("t", "onset", 2), ("ɑ", "nucleus", 2), ("ɹ", "coda", 2), ("z", "coda", 2),
    ]  # fmt: skip
    return Score(
        duration_s=4.0,
        words=(sc.Word(text="sister", language="en"), sc.Word(text="stars", language="en", line=1)),
        syllables=(Syllable(word=0, text="sis"), Syllable(word=0, text="ter"), Syllable(word=1, text="stars")),
        phones=tuple(Phone(symbol=s, place=place, syllable=k) for s, place, k in phones),  # type: ignore[arg-type]
        notes=(
            Note(start_s=0.5, end_s=1.0, midi=60, syllable=0),
            Note(start_s=1.0, end_s=1.5, midi=62, syllable=1),
            Note(start_s=2.0, end_s=3.0, midi=64, syllable=2),
            Note(start_s=3.0, end_s=3.5, midi=65.5, syllable=2),
        ),
    )


def made_truth(language: str, words: list[tuple[str, list[str], int]]) -> SongTruth:
    """Words of one syllable each: (text, phonemes as eSpeak NG names them, which is the vowel), 0.1 s a phoneme."""
    phones: list[SungPhone] = []
    syllables, notes, lyrics = [], [], []
    for number, (text, names, nucleus) in enumerate(words):
        first = len(phones)
        phones += [SungPhone(name, (first + k) / 10, (first + k + 1) / 10, number) for k, name in enumerate(names)]
        start_s, end_s = phones[first].start_s, phones[-1].end_s
        syllables.append(SungSyllable(number, names, first + nucleus, start_s, end_s))
        notes.append(SungNote(phones[first + nucleus].start_s, end_s, 60 + number, number))
        lyrics.append(Word(text, start_s, end_s, 1.0, 0))
    end_s = phones[-1].end_s
    lines = [Line(" ".join(text for text, *_ in words), 0.0, end_s, 1.0, True)]
    return SongTruth(
        "song0", "singer", language, 120.0, 0, ["I"], end_s + 0.5, lines, ["verse"], lyrics, syllables, phones, notes,
        np.zeros(int(200 * end_s) + 1, np.float32),
    )  # fmt: skip


def made_score(duration_s: float, midi: int) -> Score:
    """ "la" each half second, on notes of 0.4 s that climb from `midi`."""
    count = int(duration_s / 0.5)
    vowels = ("ɑ", "i", "u")
    phones = []
    for k in range(count):
        at_s = 0.05 + 0.5 * k
        phones.append(Phone(symbol="l", place="onset", syllable=k, start_s=at_s - 0.05, end_s=at_s))
        phones.append(Phone(symbol=vowels[k % 3], place="nucleus", syllable=k, start_s=at_s, end_s=at_s + 0.4))
    return Score(
        duration_s=duration_s,
        words=tuple(sc.Word(text="la", language="en") for _ in range(count)),
        syllables=tuple(Syllable(word=k, text="la") for k in range(count)),
        phones=tuple(phones),
        notes=tuple(
            Note(start_s=0.05 + 0.5 * k, end_s=0.45 + 0.5 * k, midi=midi + k % 5, syllable=k) for k in range(count)
        ),
    )
