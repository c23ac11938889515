"""Beats <-> seconds, by a tempo that may change. A beat is a quarter note, whatever the metre."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from typing import Self, TypeVar

from pydantic import Field, model_validator

from autosing.config import Config

_FASTEST_BPM = 10_000


class Tempo(Config):
    """From this beat on, so many quarter notes a minute."""

    beat: float = Field(ge=0)
    bpm: float = Field(gt=0, le=_FASTEST_BPM)


class Meter(Config):
    """From this beat on, bars of so many beats of such a note value."""

    beat: float = Field(ge=0)
    numerator: int = Field(ge=1, le=64)
    denominator: int = Field(ge=1, le=64)

    @property
    def bar_beats(self) -> float:
        """Quarter notes a bar."""
        return 4 * self.numerator / self.denominator


class TempoMap(Config):
    """Where beat 0 lies, the tempos from there on, and the metres. Before beat 0 the first tempo holds."""

    first_beat_s: float = 0.0
    tempos: tuple[Tempo, ...] = (Tempo(beat=0, bpm=120),)
    meters: tuple[Meter, ...] = (Meter(beat=0, numerator=4, denominator=4),)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name, marks in (("tempos", self.tempos), ("meters", self.meters)):
            beats = [mark.beat for mark in marks]
            if not beats or beats[0] != 0 or beats != sorted(set(beats)):
                raise ValueError(f"{name} at beats {beats[:8]}; need the first at 0 and each later than the one before")
        return self

    def seconds(self, beat: float) -> float:
        """When a beat is."""
        starts_s, tempo = self._at([t.beat for t in self.tempos], beat)
        return starts_s + (beat - tempo.beat) * 60 / tempo.bpm

    def beats(self, time_s: float) -> float:
        """The beat that a time is."""
        starts_s = self.starts_s
        number = max(0, bisect_right(starts_s, time_s) - 1)
        tempo = self.tempos[number]
        return tempo.beat + (time_s - starts_s[number]) * tempo.bpm / 60

    def bar_and_beat(self, time_s: float) -> tuple[int, float]:
        """As musicians count them, both from 1; for messages."""
        beat, bar = self.beats(time_s), 1.0
        for meter, until in zip(self.meters, [*(m.beat for m in self.meters[1:]), float("inf")], strict=True):
            if beat < until:
                bars, rest = divmod(beat - meter.beat + 1e-6, meter.bar_beats)
                return int(bar + bars), round(rest * meter.denominator / 4 + 1, 2)
            bar += (until - meter.beat) / meter.bar_beats
        raise AssertionError(beat)

    def moved(self, by_s: float) -> "TempoMap":
        """The same, so much later. (`model_copy` would copy what is computed of it, too.)"""
        return TempoMap(first_beat_s=self.first_beat_s + by_s, tempos=self.tempos, meters=self.meters)

    def from_zero(self) -> "TempoMap":
        """The same tempos at the same times, with beat 0 at time 0, as most files have it.

        Time before the first beat becomes whole beats of a tempo of their own, so that what was on a beat still is.
        """
        if self.first_beat_s > 0:
            lead = max(1.0, float(round(self.first_beat_s * self.tempos[0].bpm / 60)))
            bpm = 60 * lead / self.first_beat_s
            if bpm > _FASTEST_BPM:  # a few milliseconds
                lead, bpm = self.first_beat_s * self.tempos[0].bpm / 60, self.tempos[0].bpm
            tempos = [Tempo(beat=0, bpm=bpm), *(t.model_copy(update={"beat": t.beat + lead}) for t in self.tempos)]
            bar = Meter(beat=0, numerator=int(lead), denominator=4) if 1 <= lead <= 64 else self.meters[0]
            meters = [bar, *(m.model_copy(update={"beat": m.beat + lead}) for m in self.meters)]
            return TempoMap(tempos=tuple(tempos), meters=tuple(meters))
        if self.first_beat_s < 0:
            gone = self.beats(0.0)
            return TempoMap(tempos=tuple(_since(self.tempos, gone)), meters=tuple(_since(self.meters, gone)))
        return self

    def _at(self, keys: list[float], key: float) -> tuple[float, Tempo]:
        number = max(0, bisect_right(keys, key) - 1)
        return self.starts_s[number], self.tempos[number]

    @cached_property
    def starts_s(self) -> list[float]:
        """When each tempo begins."""
        starts = [self.first_beat_s]
        for before, tempo in zip(self.tempos, self.tempos[1:], strict=False):
            starts.append(starts[-1] + (tempo.beat - before.beat) * 60 / before.bpm)
        return starts


M = TypeVar("M", Tempo, Meter)


def _since(marks: Sequence[M], gone: float) -> list[M]:
    """The marks that hold from a beat on, which becomes beat 0."""
    before = [mark for mark in marks if mark.beat <= gone]
    first = (before or list(marks))[-1 if before else 0].model_copy(update={"beat": 0.0})
    return [first] + [mark.model_copy(update={"beat": mark.beat - gone}) for mark in marks if mark.beat > gone]
