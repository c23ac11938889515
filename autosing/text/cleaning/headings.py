"""A line -> the section that it heads (`[Chorus] x2`, `**Verse 2**`, `Hook:`), how often, what is sung behind it."""

import re
from dataclasses import dataclass

from autosing.text.cleaning.table import any_of, words

_NUMBER = r"(?:[0-9]{1,2}|[ivx]{1,4}|one|two|three|four|five|six|[a-f]|[一二三四五六]|\([0-9]\))"


def _pattern(*keys: str) -> str:
    return rf"(?:{any_of('before section')}[\s-]+)*(?P<name>{any_of(*keys)})(?:\s*[-#.]?\s*{_NUMBER})?"


_PLAIN, _ANY = _pattern("section"), _pattern("section", "dressed section")
_TIMES = re.compile(
    r"""\s*(?:
        [(\[（【]\s*(?:repeat(?:ed)?\s*)?(?:[x×*]\s*(?P<a>[0-9]{1,2})|(?P<b>[0-9]{1,2})\s*(?:[x×]|times|fois|veces|vezes|mal|раза?))\s*[)\]）】]
        | (?<![^\s)\]】*])(?:repeat\s*)?(?:[x×]\s*(?P<c>[0-9]{1,2})|(?P<d>[0-9]{1,2})\s*[x×])
        | [(\[（]\s*(?P<twice>repeat|repeats|bis|twice|2\s*fois|dos\s*veces|重复|重複)\s*[)\]）]
    )\s*[:.]?\s*$""",
    re.IGNORECASE | re.VERBOSE,
)  # fmt: skip
"""`x2`, `(x2)`, `[2x]`, `(repeat)` at the end of a line."""
_MOST = 16
_BRACKETS = {
    "[": "]",
    "【": "】",
    "(": ")",
    "（": "）",
    "{": "}",
    "<": ">",
    "《": "》",
    "〔": "〕",
    "［": "］",
    "「": "」",
}
_MARKDOWN = re.compile(r"^\s*(?:#{1,6}\s+|[*_~=—–-]{1,}\s*)?(.*?)\s*[*_~=#—–-]*\s*$")
_BARE = re.compile(_PLAIN, re.IGNORECASE)
_DRESSED = re.compile(_ANY, re.IGNORECASE)
_IN_ROUND = re.compile(rf"(?:{_ANY})\s*(?:[:：\-–—].*)?", re.IGNORECASE)
_IN_SQUARE = re.compile(rf"(?:{_ANY})\s*(?:[:：\-–—;,(|/&+].*)?", re.IGNORECASE)
_GLUED = re.compile(rf"(?:{_pattern('section', 'refrain')})\s*[:：]\s*(?P<rest>\S.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """Of a section."""

    name: str
    times: int = 1
    rest: str = ""
    """What is sung, where the heading stands before it on one line."""

    @property
    def is_refrain(self) -> bool:
        """Whether a heading with nothing under it stands for the words under an earlier one of that name."""
        return self.name in words("refrain")


def times_behind(text: str) -> tuple[str, int]:
    """(the text without a mark of repetition at its end, how often it is sung)."""
    found = _TIMES.search(text)
    if not found:
        return text, 1
    times = 2 if found["twice"] else int(found["a"] or found["b"] or found["c"] or found["d"])
    return (text[: found.start()].rstrip(), times) if 1 <= times <= _MOST else (text, 1)


def heading_of(text: str) -> Heading | None:
    """The heading that the line is or begins with; None for a line that is sung (`Chorus of angels`)."""
    core, times = times_behind(text)
    stripped = _MARKDOWN.sub(r"\1", core).strip()
    inner, behind = in_brackets(stripped)
    if inner is not None:
        inner, inner_times = times_behind(inner)
        inside = _IN_ROUND if stripped[0] in "(（" else _IN_SQUARE
        name = _name(inside.fullmatch(inner.strip(" *_")))
        if name is None:
            return None
        rest, marks = times_behind(behind.strip(" :：*_"))
        return Heading(name, max(times, inner_times, marks), "" if _is_dress(rest) else rest)
    dressed = not stripped.startswith(core.strip()[:1]) or stripped.endswith((":", "："))
    bare = re.sub(r"\s*[:：]$", "", stripped).strip(" *_")
    name = _name((_DRESSED if dressed else _BARE).fullmatch(bare))
    if name is not None:
        return Heading(name, times)
    glued = _GLUED.fullmatch(stripped)
    if glued is None:
        return None
    rest, times = times_behind(glued["rest"])
    return Heading(_name(glued) or "", times, rest)


def in_brackets(text: str) -> tuple[str | None, str]:
    """(what stands in brackets at the beginning, what stands behind them); (None, text) if nothing does."""
    close = _BRACKETS.get(text[:1])
    end = text.find(close) if close else -1
    return (text[1:end].strip(), text[end + 1 :].strip()) if end > 0 else (None, text)


def _name(found: re.Match[str] | None) -> str | None:
    return None if found is None else re.sub(r"[\s\-–]", "", found["name"].casefold())


def _is_dress(rest: str) -> bool:
    return not any(char.isalpha() for char in rest)
