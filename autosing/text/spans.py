"""Words and lines with times in a song -> those of a window, on the window's own time.

A span is any dataclass with `start_s` and `end_s`.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol, TypeVar

ROUNDING_S = 1e-6
"""Rounding errors of times, after a table or a subtraction, are smaller."""


class _Span(Protocol):
    @property
    def start_s(self) -> float: ...

    @property
    def end_s(self) -> float: ...


Span = TypeVar("Span", bound=_Span)


def lies_inside(span: _Span, start_s: float, end_s: float, slack_s: float = 0.0) -> bool:
    """Whether the whole span lies in the window."""
    return span.start_s >= start_s - slack_s and span.end_s <= end_s + slack_s


def on_window(spans: Iterable[Span], start_s: float, length_s: float) -> list[Span]:
    """The spans on the time of a window that begins at `start_s`, cut at its ends."""

    def moved(time_s: float) -> float:
        return min(max(time_s - start_s, 0.0), length_s)

    return [replace(span, start_s=moved(span.start_s), end_s=moved(span.end_s)) for span in spans]  # type: ignore[type-var]
