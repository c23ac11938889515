"""A word of any language that eSpeak NG speaks -> phones of the inventory. One engine a process, opened when needed.

eSpeak NG is GPL-3 and no part of this package; it is loaded at run time (see autosing.songs.espeak).
"""

import importlib.util
import re
import threading
from functools import lru_cache

from autosing.errors import InputError
from autosing.score.phones import ipa_phones
from autosing.songs.espeak import Espeak

_VOICES = {"en": "en-us", "zh": "cmn", "pt": "pt-br", "no": "nb"}
"""Where eSpeak NG calls a language otherwise."""
_SPELLINGS = {
    "en": (("ɜː", "ɚ"), ("ɐ", "ə"), ("r", "ɹ")), "de": (("ɜ", "ɐ"), ("r", "ʁ"), ("ɾ", "ʁ"), ("ɑ", "a")),
    "ko": (("ɐ", "a"), ("t^ʃh", "t^ɕʰ"), ("ɫ", "l"), ("q-", "k͈"), ("k-", "k͈"), ("t-", "t͈"), ("p-", "p͈"), ("s-", "s͈")),
}  # fmt: skip
"""What eSpeak NG writes otherwise than the inventory."""
_UNIT = re.compile(r"\w[\u02b0-\u02ff\u0300-\u036f]*(?:\^\w[\u02b0-\u02ff\u0300-\u036f]*)*")
"""Letters that belong to one phoneme are tied by ^: t and s that are not are two."""
_lock = threading.Lock()
_engines: list[Espeak] = []


def has_espeak() -> bool:
    """Whether its library is installed (extra `score`)."""
    return all(importlib.util.find_spec(name) is not None for name in ("espeakng_loader", "pyworld"))


@lru_cache(1 << 14)
def espeak_phones(word: str, language: str) -> tuple[str, ...]:
    """Raises InputError: not installed, a language that it does not speak, or nothing that it can say of the word."""
    if not has_espeak():
        raise InputError(
            f"word {word!r} ({language}): its pronunciation needs eSpeak NG; run pip install 'autosing[songs]'"
        )
    with _lock:
        if not _engines:
            _engines.append(Espeak().__enter__())
        try:
            text = _engines[0].ipa(word, _VOICES.get(language, language))
        except AssertionError:
            raise InputError(f"language {language!r}: eSpeak NG does not speak it; give an ISO 639 code") from None
    for theirs, ours in _SPELLINGS.get(language, ()):
        text = text.replace(theirs, ours)
    found = tuple(p for part in _UNIT.findall(_without_switches(text)) for p in ipa_phones(part, unknown="drop"))
    if not found:
        raise InputError(f"word {word!r} ({language}): no pronunciation is known; spell it as it is sung")
    return found


def _without_switches(text: str) -> str:
    """Without `(en)...(cmn)`, by which it tells that it read a part as another language."""
    kept, depth = [], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter != ")":
            kept.append(letter)
    return "".join(kept)
