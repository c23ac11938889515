"""A line -> whether it tells who made the song or the file (`作词 : …`, `Lyrics by: …`, `Title - Artist`)."""

import re
from collections.abc import Sequence

from autosing.text.cleaning.table import any_of, words

_AND = r"\s*(?:/|／|&|,|、|·|＋|\+|\band\b|\bund\b|\bet\b|\by\b|\be\b|\bи\b)\s*"
_SURE_ROLE = rf"(?:{any_of('role')}|[一-鿿]{{0,5}}{any_of('role behind others')})"
_ROLE = rf"(?:{_SURE_ROLE}|{any_of('role beside others')})"
_COLON = r"\s*[:：﹕∶]\s*"
_SURE = re.compile(rf"{_SURE_ROLE}(?:{_AND}{_ROLE})*{_COLON}.*", re.IGNORECASE)
_BESIDE = re.compile(rf"{_ROLE}(?:{_AND}{_ROLE})*(?:\s+by)?{_COLON}(?P<names>\S.*)", re.IGNORECASE)
_BY = re.compile(
    rf"{any_of('made')}(?:(?:{_AND}|\s+){any_of('made')}){{0,2}}\s+{any_of('by')}\b\s*(?P<colon>[:：])?\s*(?P<names>\S.*)",
    re.IGNORECASE,
)
_RIGHTS = re.compile(
    r"(?:©|℗|\(c\)|\(p\)).*|(?:©|℗|\(c\)|copyright)\s*(?:©|℗|\(c\))?\s*\d{4}.*|.*(?:©|℗)\s*\d{4}.*"
    r"|.*\b(?:EMI|BMI|ASCAP|Sony/ATV|Universal) (?:Music )?Publishing.*",
    re.IGNORECASE,
)
_WITHOUT_COLON = re.compile(r"(?:作词|作詞|作曲|编曲|編曲|演唱|歌手|词|詞|曲|작사|작곡|편곡)[\s　]+\S.{0,30}")
_TITLE = re.compile(r"(?P<a>\S.{0,80}?)\s+[-–—－~]\s+(?P<b>\S.{0,80})")
_SMALL = frozenset(words("small"))
_MOST_NAMES = 12
"""Words of a name, or of several."""


def is_credit(text: str) -> bool:
    """Wherever it stands."""
    core = text.strip(" *_-–—[]【】()（）「」")
    if _RIGHTS.fullmatch(core) or _SURE.fullmatch(core):
        return True
    by = _BY.fullmatch(core)
    return by is not None and by["colon"] is not None


def is_credit_beside_others(text: str) -> bool:
    """Where credits are: at the head or the end of a file."""
    core = text.strip(" *_-–—[]【】()（）")
    by, role = _BY.fullmatch(core), _BESIDE.fullmatch(core)
    if by is not None or role is not None:
        return looks_like_names((by or role)["names"])  # type: ignore[index]
    return _WITHOUT_COLON.fullmatch(core) is not None


def is_known_name(text: str, known: Sequence[str]) -> bool:
    """Whether it is one of the known names: title, artist."""
    return _plain(text) in {_plain(name) for name in known if name}


def is_known_title(text: str, known: Sequence[str]) -> bool:
    """Whether it is two names with a dash between, of which one is known."""
    parts = _TITLE.fullmatch(text.strip())
    return parts is not None and (is_known_name(parts["a"], known) or is_known_name(parts["b"], known))


def looks_like_a_title(text: str) -> bool:
    """`Title - Artist`, each word of both with a capital, or in a script without capitals."""
    parts = _TITLE.fullmatch(text.strip())
    return parts is not None and looks_like_names(parts["a"]) and looks_like_names(parts["b"])


def looks_like_names(text: str) -> bool:
    """Each word has a capital or is a small word between them; a script without capitals has at most a few words."""
    names = [word for part in re.split(r"[\s,/&;+、，|]+", text) if (word := part.strip(".:()[]\"'“”"))]
    if not names or len(names) > _MOST_NAMES or text.rstrip().endswith(("?", "!", ",")):
        return False
    cased = [word for word in names if word.lower() != word.upper()]
    return all(not word[0].islower() or word.lower() in _SMALL for word in cased) and not (
        cased and names[0].lower() in _SMALL and names[0][0].islower()
    )


def _plain(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())
