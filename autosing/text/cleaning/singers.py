"""Lines -> the same without labels that say who sings (`v1:`, `F:`, `Both:`, `男：`, `<v Name>`, names of a cast)."""

import re
from collections import Counter
from collections.abc import Sequence

from autosing.text.cleaning.credits import is_credit
from autosing.text.cleaning.headings import in_brackets
from autosing.text.cleaning.line import FileLine
from autosing.text.cleaning.table import any_of
from autosing.text.letters import letters

_VTT = re.compile(r"<v(?:\.[\w.-]+)?\s+(?P<who>[^>]{1,40})>\s*(?P<rest>.*?)(?:\s*</v>)?\s*")
_SINGLE = r"[FMDBG](?:\s*\d)?|[vV]\s?\d{1,2}"
_KNOWN = rf"{any_of('singer')}(?:\s*\d)?"
_LABEL = re.compile(rf"[\[(（【]?(?P<who>{_SINGLE}|{_KNOWN})[\])）】]?\s*(?:[:：])\s*(?P<rest>\S.*)")
_BRACKETED = re.compile(rf"(?P<who>{_SINGLE}|{_KNOWN})\s*[:：]?")
_NAME = re.compile(r"(?P<who>[^\W\d_][^:：\[\]()]{0,30}?)\s*[:：]\s+(?P<rest>\S.*)")
_ALONE = re.compile(rf"[\[(（【]?(?:{_SINGLE}|{_KNOWN})[\])）】]?\s*[:：]")


def without_labels(lines: Sequence[FileLine]) -> list[FileLine]:
    """A label of its own on a line becomes a heading. Names count as labels if they recur."""
    names = _cast([line.text for line in lines if line.is_sung])
    return [_unlabelled(line, names) if line.is_sung else line for line in lines]


def _unlabelled(line: FileLine, names: frozenset[str]) -> FileLine:
    spoken = _VTT.fullmatch(line.text)
    if spoken is None:
        spoken = _LABEL.fullmatch(line.text)
    if spoken is None and (named := _NAME.fullmatch(line.text)) and _key(named["who"]) in names:
        spoken = named
    if spoken is not None:
        return line.cut(spoken["rest"], f"sung by {spoken['who'].strip()}")
    if _ALONE.fullmatch(line.text):
        return line.named("heading", "says who sings")
    inner, behind = in_brackets(line.text)
    behind = behind.lstrip(" :：")
    labelled = inner and (_BRACKETED.fullmatch(inner) or (line.text[0] in "[【" and _is_name(inner)))
    if inner and labelled and any(map(letters, behind.split())):
        return line.cut(behind, f"sung by {inner.rstrip(' :：')}")
    return line


def _cast(texts: Sequence[str]) -> frozenset[str]:
    """Names before colons, if one of them comes three times, or two of them twice."""
    found = Counter(
        _key(named["who"])
        for text in texts
        if (named := _NAME.fullmatch(text)) and _is_name(named["who"]) and not is_credit(text)
    )
    recurring = {name: count for name, count in found.items() if count >= 2}
    return frozenset(found) if len(recurring) >= 2 or max(recurring.values(), default=0) >= 3 else frozenset()


def _is_name(text: str) -> bool:
    """One to four words, each with a capital if its script has them."""
    words = [word for word in re.split(r"[\s,/&+]+", text.strip(" :：")) if word]
    cased = [word for word in words if word.lower() != word.upper()]
    return 0 < len(words) <= 4 and len(cased) == len(words) and all(not word[0].islower() for word in cased)


def _key(name: str) -> str:
    return name.strip().casefold()
