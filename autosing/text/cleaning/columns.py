"""Lines of which some translate or romanise others -> the readings of the file: which of its columns is sung.

A group is what stands under one stamp: the lines with that stamp, and those without one behind them. In a file of
several languages most groups have as many lines, in the same order: the file has columns. In plain text a group is a
pair of neighbouring lines in different scripts.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from autosing.text.cleaning.languages import Column, apart, column_of, romanises, same_words
from autosing.text.cleaning.line import FileLine
from autosing.text.normalize import main_script

SAME_STAMP_S = 0.03
"""Programs that merge two files round their stamps differently."""
_MAJORITY, _NEARLY_ALL = 0.5, 0.8
_SAME_WORDS, _OTHER_WORDS = 0.3, 0.12
"""Two columns of one language share more of their words than the first, of two languages less than the second."""

_ENOUGH = 3
"""Groups from which it is told that a column of ideographs holds no kana."""

Group = list[int]
"""Numbers of lines that may be sung, which stand under one stamp."""


@dataclass(frozen=True)
class _Table:
    """The groups of more than one line: the column of each of their lines, and what the columns are."""

    groups: list[Group]
    column_of_line: dict[int, int]
    columns: list[Column]

    @property
    def are_apart(self) -> bool:
        return any(apart(a, b) for a in self.columns for b in self.columns)


def readings(lines: Sequence[FileLine], stamped: bool, language: str | None = None) -> list[list[FileLine]]:
    """The file's lines as often as there is a doubt which of them are sung; the likeliest reading first."""
    as_it_is = list(lines)
    groups = _groups(lines) if stamped else _pairs(lines)
    several = [group for group in groups if len(group) > 1]
    if not several:
        return [as_it_is]
    table = _table(lines, several)
    whole = len(several) >= max(2, (_MAJORITY if stamped else _NEARLY_ALL) * len(groups))
    if not table.are_apart:
        shared = same_words(table.columns[0], table.columns[1])
        if not whole or shared >= _SAME_WORDS:
            return [as_it_is]  # lines that share a stamp: all are sung
        maybe_all = shared > _OTHER_WORDS
    else:
        maybe_all = not whole or not stamped
        if not whole and not stamped:
            return [as_it_is]
    order = _order(table, language)
    found = [_reading(lines, table, column) for column in order]
    if not maybe_all and _is_certain(table, order, language):
        found = found[:1]
    return [*found[:1], *([as_it_is] if maybe_all else []), *found[1:]]


def _groups(lines: Sequence[FileLine]) -> list[Group]:
    groups: list[Group] = []
    stamp_s: float | None = None
    for number, line in enumerate(lines):
        if not line.is_sung or line.is_copy:
            continue
        near = line.start_s is None or (stamp_s is not None and abs(line.start_s - stamp_s) <= SAME_STAMP_S)
        if groups and near:
            groups[-1].append(number)
        else:
            groups.append([number])
            stamp_s = line.start_s
    return groups


def _pairs(lines: Sequence[FileLine]) -> list[Group]:
    """Of plain text: the first script that is followed by another one begins each pair."""
    columns = {number: column_of([line.text]) for number, line in enumerate(lines) if line.is_sung}
    first = next((a for a, b in pairwise(columns.values()) if apart(a, b)), None)
    groups: list[Group] = []
    for number, column in columns.items():
        last = groups[-1] if groups else []
        follows = len(last) == 1 and last[0] == number - 1 and lines[number].block == lines[number - 1].block
        if first is not None and follows and not apart(columns[number - 1], first) and apart(column, first):
            last.append(number)
        else:
            groups.append([number])
    return groups


def _table(lines: Sequence[FileLine], groups: list[Group]) -> _Table:
    """A line's column is its place in the group; its script decides where the lines of a group have changed places."""
    width = Counter(map(len, groups)).most_common(1)[0][0]
    scripts = {number: main_script(lines[number].text) for group in groups for number in group}
    usual = [
        Counter(scripts[group[place]] for group in groups if len(group) == width).most_common(1)[0][0]
        for place in range(width)
    ]
    place_of: dict[int, int] = {}
    for group in groups:
        own = [scripts[number] for number in group]
        distinct = len(set(own)) == len(own) and len(set(usual)) == width and set(own) <= set(usual)
        for place, number in enumerate(group):
            place_of[number] = usual.index(scripts[number]) if distinct else min(place, width - 1)
    columns = [
        column_of([lines[number].text for group in groups for number in group if place_of[number] == place])
        for place in range(width)
    ]
    if len(groups) >= _ENOUGH and any(
        column.languages == {"ja"} for column in columns
    ):  # beside kana, no kana: Chinese
        columns = [column.without("ja") if "zh" in (column.languages or ()) else column for column in columns]
    return _Table(groups, place_of, columns)


def _order(table: _Table, language: str | None) -> list[int]:
    """The columns that may be sung, the likeliest first: in the song's language, then romanised, then as in the file.
    What romanises another column is not tried: the column itself says the same in its own letters."""
    columns = table.columns
    original = [k for k in range(len(columns)) if not any(romanises(columns[k], other) for other in columns)]
    return sorted(
        original or range(len(columns)),
        key=lambda k: (language is not None and not columns[k].may_be(language), not _is_romanised(table, k), k),
    )


def _is_certain(table: _Table, order: Sequence[int], language: str | None) -> bool:
    """Whether one column alone can be sung: it is in the song's language, or is romanised beside a translation."""
    if language is not None:
        return table.are_apart and [table.columns[k].may_be(language) for k in order].count(True) == 1
    return [_is_romanised(table, k) for k in order].count(True) == 1


def _is_romanised(table: _Table, column: int) -> bool:
    return any(romanises(other, table.columns[column]) for other in table.columns)


def _reading(lines: Sequence[FileLine], table: _Table, sung: int) -> list[FileLine]:
    read = list(lines)
    heard = table.columns[sung]
    for group in table.groups:
        columns = [table.column_of_line[number] for number in group]
        for number, column in zip(group, columns, strict=True):
            if column == sung or (sung not in columns and number == group[0]):
                continue
            if romanises(table.columns[column], heard):
                read[number] = lines[number].named("romanisation", "romanises the line that it stands under")
            else:
                read[number] = lines[number].named("translation", "translates the line that it stands with")
    return read
