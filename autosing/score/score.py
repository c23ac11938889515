"""What is to be sung: words, their syllables, the phones and the notes of each, breaths, and the tempo.

A syllable belongs to a word; a phone to a syllable; a note to a syllable too, and a syllable may have several notes
(a slur). The lists stand side by side, each in the order of time, and point at one another by index. All times are
seconds from the score's start; `tempo` turns them into beats. What no note covers is rest.

The law of singing: a vowel starts where its first note starts; the consonants before it take their time from what lies
before (see timing.py).
"""

import json
import math
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from autosing.config import Config
from autosing.errors import InputError
from autosing.score.phones import inventory
from autosing.score.tempo import TempoMap

PhonePlace = Literal["onset", "nucleus", "coda"]
TOUCH_S = 1e-4
"""Neighbours may overlap by this: times are rounded to it."""
_BINARY_S = 1e-9
"""The difference of two such times, which are no binary fractions, may be so much more."""
MAX_JSON_BYTES = 16 << 20


class _Span(Config):
    start_s: float = Field(allow_inf_nan=False)
    end_s: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end_s < self.start_s:
            raise ValueError(f"ends at {self.end_s:.3f} s, before it starts at {self.start_s:.3f} s")
        return self

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


class Note(_Span):
    """A pitch from start to end."""

    midi: float | None = Field(default=None, ge=0, le=127, allow_inf_nan=False)
    """69 is 440 Hz, a semitone is 1; hundredths are cents. None: spoken (rap)."""
    syllable: int | None = Field(default=None, ge=0)
    """None: nothing is known to be sung on it."""


class Phone(Config):
    """A sound of the inventory (phones.tsv) and its place in its syllable."""

    symbol: str
    place: PhonePlace
    syllable: int = Field(ge=0)
    start_s: float | None = Field(default=None, allow_inf_nan=False)
    """None where the score does not say (then of all phones)."""
    end_s: float | None = Field(default=None, allow_inf_nan=False)

    def timed(self, start_s: float, end_s: float) -> "Phone":
        """The same at other times, checked anew."""
        return Phone(symbol=self.symbol, place=self.place, syllable=self.syllable, start_s=start_s, end_s=end_s)

    @field_validator("symbol")
    @classmethod
    def _known(cls, symbol: str) -> str:
        if symbol not in inventory():
            raise ValueError(f"{symbol!r} is not in the inventory (autosing/score/phones.tsv)")
        return symbol

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.start_s is None) != (self.end_s is None):
            raise ValueError("has one of start_s and end_s; need both or none")
        if self.start_s is not None and self.end_s is not None and self.end_s < self.start_s:
            raise ValueError(f"ends at {self.end_s:.3f} s, before it starts at {self.start_s:.3f} s")
        return self


class Syllable(Config):
    """What is sung on one note, or on several in a slur. Its phones: onset*, one nucleus, coda*; or none are known."""

    word: int = Field(ge=0)
    text: str = ""
    """As the file spells it; empty where only the word is known."""


class Word(Config):
    text: str
    language: str = "und"
    """ISO 639; languages may be mixed in a song."""
    line: int = Field(default=0, ge=0)


class Breath(_Span):
    """A breath that can be heard."""


class Score(Config):
    """See the module. Frozen; `to_json` and `from_json` are inverse."""

    duration_s: float = Field(gt=0, allow_inf_nan=False)
    """From time 0 to the end of the last rest."""
    tempo: TempoMap = TempoMap()
    words: tuple[Word, ...] = ()
    syllables: tuple[Syllable, ...] = ()
    phones: tuple[Phone, ...] = ()
    notes: tuple[Note, ...] = ()
    breaths: tuple[Breath, ...] = ()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        _rising("syllables", "word", [s.word for s in self.syllables], len(self.words))
        _rising("phones", "syllable", [p.syllable for p in self.phones], len(self.syllables))
        sung = [n.syllable for n in self.notes if n.syllable is not None]
        _rising("notes", "syllable", sung, len(self.syllables))
        _rising("words", "line", [w.line for w in self.words], None)
        spans = [(p.start_s, p.end_s) for p in self.phones if p.start_s is not None and p.end_s is not None]
        if spans and len(spans) != len(self.phones):
            raise ValueError(f"{len(spans)} of {len(self.phones)} phones have times; need all or none")
        _apart("phones", spans)
        _apart("notes", [(n.start_s, n.end_s) for n in self.notes])
        _apart("breaths", [(b.start_s, b.end_s) for b in self.breaths])
        for number in range(len(self.syllables)):
            places = [p.place for p in self.phones_of(number)]
            if places and (places.count("nucleus") != 1 or places != sorted(places, key=_ORDER.index)):
                raise ValueError(f"syllable {number} has phones {', '.join(places)}; need onset*, one nucleus, coda*")
        return self

    @property
    def timed(self) -> bool:
        """Whether every phone has times."""
        return bool(self.phones) and all(phone.start_s is not None for phone in self.phones)

    @cached_property
    def phones_by_syllable(self) -> tuple[tuple[Phone, ...], ...]:
        groups: list[list[Phone]] = [[] for _ in self.syllables]
        for phone in self.phones:
            groups[phone.syllable].append(phone)
        return tuple(map(tuple, groups))

    @cached_property
    def notes_by_syllable(self) -> tuple[tuple[Note, ...], ...]:
        groups: list[list[Note]] = [[] for _ in self.syllables]
        for note in self.notes:
            if note.syllable is not None:
                groups[note.syllable].append(note)
        return tuple(map(tuple, groups))

    def phones_of(self, syllable: int) -> tuple[Phone, ...]:
        return self.phones_by_syllable[syllable]

    def notes_of(self, syllable: int) -> tuple[Note, ...]:
        """More than one: a slur. None: it is not known when the syllable is sung."""
        return self.notes_by_syllable[syllable]

    @property
    def slurs(self) -> tuple[bool, ...]:
        """For each note, whether it goes on with the syllable of the note before."""
        before = [None, *(note.syllable for note in self.notes)]
        return tuple(n.syllable is not None and n.syllable == b for n, b in zip(self.notes, before, strict=False))

    @property
    def rests(self) -> tuple[tuple[float, float], ...]:
        """(start, end) in seconds of what no note covers."""
        found, at_s = [], 0.0
        for note in self.notes:
            if note.start_s - at_s > TOUCH_S:
                found.append((at_s, note.start_s))
            at_s = max(at_s, note.end_s)
        return (*found, (at_s, self.duration_s)) if self.duration_s - at_s > TOUCH_S else tuple(found)

    @property
    def lines(self) -> tuple[tuple[Word, ...], ...]:
        numbers = dict.fromkeys(word.line for word in self.words)
        return tuple(tuple(word for word in self.words if word.line == number) for number in numbers)

    def to_json(self) -> bytes:
        """What is as by default is left out."""
        values = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def from_json(cls, data: bytes | str, origin: str = "score") -> "Score":
        """Raises InputError for what is no score."""
        if len(data) > MAX_JSON_BYTES:
            raise InputError(f"{origin}: {len(data)} bytes; at most {MAX_JSON_BYTES} are read")
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "score"
            raise InputError(f"{origin}: {where}: {first['msg']}; need a score as autosing writes it") from None

    def replace(self, **changes: Any) -> "Score":
        """Another score that differs in these fields, checked anew."""
        held: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        return Score(**(held | changes))


_ORDER = ("onset", "nucleus", "coda")


def _rising(name: str, field: str, indices: Sequence[int], limit: int | None) -> None:
    if any(after < before for before, after in pairwise(indices)):
        raise ValueError(f"{name} are not in the order of their {field}")
    if indices and limit is not None and indices[-1] >= limit:
        raise ValueError(f"{name} name {field} {indices[-1]}, there are {limit}")


def _apart(name: str, spans: Sequence[tuple[float, float]]) -> None:
    for (start, end), (following, _) in pairwise(spans):
        if following < end - TOUCH_S - _BINARY_S or following < start:
            raise ValueError(f"{name} overlap: one ends at {end:.3f} s, the next starts at {following:.3f} s")
    if any(not math.isfinite(value) for span in spans for value in span):
        raise ValueError(f"{name} have times that are no numbers")
