"""Labels: words and phones with their times, perhaps notes -> a score. What TextGrids, LAB files and tables hold.

Labels know nothing of syllables: these are found by their vowels (syllabify.py), and the notes of each by time.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autosing.errors import InputError
from autosing.score.alphabets import BREATH_SIGNS, REST_SIGNS, alphabet_of, phones_of_sign, spread
from autosing.score.languages import language_of_letters
from autosing.score.score import TOUCH_S, Breath, Note, Phone, Score, Syllable, Word
from autosing.score.syllabify import SungSyllable, syllabify
from autosing.score.tempo import TempoMap

_NOTE_NAME = re.compile(r"([A-Ga-g])([#♯b♭]?)(-?\d+)(?:/[A-G][#b]?-?\d+)?([+-]\d+)?")
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


@dataclass(frozen=True)
class Label:
    """A text from start to end."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class NoteLabel:
    """A note of a label file; `slur`: it goes on with the syllable before; None: the file does not say."""

    start_s: float
    end_s: float
    midi: float | None
    slur: bool | None = None


def midi_of(name: str) -> float | None:
    """`C4`, `Bb3`, `C#4/Db4`, `A4+12` (cents), `69`; None for a rest. Raises ValueError for what is no note."""
    text = name.strip()
    if text.lower() in ("rest", "sp", "ap", "", "0", "r", "none", "nan"):
        return None
    if match := _NOTE_NAME.fullmatch(text):
        step, sign, octave, cents = match.groups()
        shift = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[sign]
        return 12 * (int(octave) + 1) + _STEPS[step.lower()] + shift + int(cents or 0) / 100
    value = float(text)
    return value if value > 0 else None


def name_of(midi: float | None) -> str:
    """The inverse: C4 is 60; cents behind it; `rest`."""
    if midi is None:
        return "rest"
    whole = round(midi)
    cents = round(100 * (midi - whole))
    names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    return f"{names[whole % 12]}{whole // 12 - 1}" + (f"{cents:+d}" if cents else "")


def score_of_labels(
    words: Sequence[Label],
    phones: Sequence[Label],
    notes: Sequence[NoteLabel],
    duration_s: float,
    language: str,
    origin: str,
    tempo: TempoMap | None = None,
) -> Score:
    """Without words each syllable is a word, spelt as its phones. Raises InputError for phones that are unknown, lie
    outside of all words, or overlap."""
    alphabet = alphabet_of([p.text for p in phones], language)
    breaths = [Breath(start_s=p.start_s, end_s=p.end_s) for p in (*phones, *words) if p.text in BREATH_SIGNS]
    sounding = [p for p in phones if p.text not in REST_SIGNS | BREATH_SIGNS]
    spoken = [w for w in words if w.text not in REST_SIGNS | BREATH_SIGNS]
    groups = _by_word(sounding, spoken, origin) if spoken else _between_rests(phones)
    out_words: list[Word] = []
    syllables: list[Syllable] = []
    out_phones: list[Phone] = []
    for text, held in groups:
        spread_out = [
            (symbol, *span)
            for label in held
            for symbols in [phones_of_sign(label.text, alphabet)]
            for symbol, span in zip(symbols, spread(symbols, label.start_s, label.end_s), strict=True)
        ]
        split = syllabify([symbol for symbol, _, _ in spread_out])
        at = 0
        for number, syllable in enumerate(split):
            mine = spread_out[at : at + len(syllable.symbols)]
            at += len(mine)
            if text is None or number == 0:
                spelt = text if text is not None else "".join(syllable.symbols)
                code = language if language != "und" else language_of_letters(spelt)
                out_words.append(Word(text=spelt, language=code))
            syllables.append(Syllable(word=len(out_words) - 1, text="" if text is not None else out_words[-1].text))
            out_phones += _placed(syllable, mine, len(syllables) - 1)
    return Score(
        duration_s=max([duration_s, *(n.end_s for n in notes), *(p.end_s for p in phones)]),
        tempo=tempo or TempoMap(), words=tuple(out_words), syllables=tuple(syllables), phones=tuple(out_phones),
        notes=tuple(_bound(notes, out_phones)), breaths=tuple(_unique(breaths)),
    )  # fmt: skip


def phone_labels(score: Score) -> list[Label]:
    """All phones and breaths with their times, and SP where nothing sounds, without gaps. Raises InputError where the
    phones have no times."""
    if score.phones and not score.timed:
        raise InputError("score: its phones have no times; place them first (autosing.score.timing.with_times)")
    sounding = [Label(p.start_s or 0.0, p.end_s or 0.0, p.symbol) for p in score.phones]
    breaths = [Label(b.start_s, b.end_s, "AP") for b in score.breaths]
    return filled(sorted([*sounding, *breaths], key=lambda label: label.start_s), score.duration_s, "SP")


def word_labels(score: Score, rest: str = "SP") -> list[Label]:
    """Words from their first phone (or note) to their last, and rests between."""
    spans: dict[int, tuple[float, float]] = {}
    for number, syllable in enumerate(score.syllables):
        times = [t for p in score.phones_of(number) for t in (p.start_s, p.end_s) if t is not None]
        times = times or [t for n in score.notes_of(number) for t in (n.start_s, n.end_s)]
        if times:
            first, last = spans.get(syllable.word, (times[0], times[-1]))
            spans[syllable.word] = min(first, *times), max(last, *times)
    labels = [Label(first, last, score.words[word].text) for word, (first, last) in sorted(spans.items())]
    return filled(labels, score.duration_s, rest)


def filled(labels: Sequence[Label], duration_s: float, rest: str) -> list[Label]:
    """The labels with `rest` in what they leave open from 0 to the end; overlaps go to the earlier one."""
    found: list[Label] = []
    at_s = 0.0
    for label in labels:
        start_s = max(label.start_s, at_s)
        if start_s - at_s > TOUCH_S:
            found.append(Label(at_s, start_s, rest))
        else:
            start_s = at_s
        if label.end_s > start_s:
            found.append(Label(start_s, label.end_s, label.text))
            at_s = label.end_s
    if duration_s - at_s > TOUCH_S:
        found.append(Label(at_s, duration_s, rest))
    return found


def _by_word(phones: Sequence[Label], words: Sequence[Label], origin: str) -> list[tuple[str | None, list[Label]]]:
    """Each phone to the word that its middle lies in."""
    groups: list[tuple[str | None, list[Label]]] = [(word.text, []) for word in words]
    at = 0
    for phone in phones:
        middle_s = (phone.start_s + phone.end_s) / 2
        while at < len(words) - 1 and words[at].end_s <= middle_s:
            at += 1
        if not words[at].start_s - 0.02 <= middle_s <= words[at].end_s + 0.02:
            found = f"phone {phone.text!r} at {phone.start_s:.3f} s lies in no word"
            raise InputError(f"{origin}: {found}; mend the labels, or leave the words out")
        groups[at][1].append(phone)
    return groups


def _between_rests(phones: Sequence[Label]) -> list[tuple[str | None, list[Label]]]:
    groups: list[tuple[str | None, list[Label]]] = [(None, [])]
    for phone in phones:
        if phone.text in REST_SIGNS | BREATH_SIGNS:
            groups.append((None, []))
        else:
            groups[-1][1].append(phone)
    return groups


def _placed(syllable: SungSyllable, spans: Sequence[tuple[str, float, float]], number: int) -> list[Phone]:
    return [
        Phone(symbol=symbol, place=place, syllable=number, start_s=start_s, end_s=end_s)
        for (symbol, start_s, end_s), place in zip(spans, syllable.places, strict=True)
    ]


def _bound(notes: Sequence[NoteLabel], phones: Sequence[Phone]) -> list[Note]:
    """Each vowel's first note is the one that begins nearest to it, of those that sound with it and no vowel before has
    (and that are no slurs, where the file tells). Notes behind it that sound with its syllable are a slur."""
    pitched = [note for note in notes if note.midi is not None]
    ends_s = {phone.syllable: phone.end_s or 0.0 for phone in phones}
    owner: dict[int, int] = {}
    at = 0
    for phone in phones:
        if phone.place != "nucleus":
            continue
        start_s, end_s = phone.start_s or 0.0, phone.end_s or 0.0
        near = []
        for k in range(at, len(pitched)):
            if pitched[k].start_s >= end_s:
                break
            if pitched[k].end_s > start_s and not pitched[k].slur:
                near.append(k)
        if near:
            best = min(near, key=lambda k: abs(pitched[k].start_s - start_s))
            owner[best], at = phone.syllable, best + 1
    found: list[Note] = []
    sung: int | None = None
    for k, note in enumerate(pitched):
        sung = owner.get(k, sung)
        goes_on = sung is not None and (k in owner or bool(note.slur) or note.start_s < ends_s[sung] - TOUCH_S)
        found.append(Note(start_s=note.start_s, end_s=note.end_s, midi=note.midi, syllable=sung if goes_on else None))
    return found


def _unique(breaths: Sequence[Breath]) -> list[Breath]:
    """In order; a breath that is told twice, among the words and among the phones, is one."""
    found: list[Breath] = []
    for breath in sorted(breaths, key=lambda b: b.start_s):
        if not found or breath.start_s >= found[-1].end_s - TOUCH_S:
            found.append(breath)
    return found
