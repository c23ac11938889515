"""The text files of one song -> its facts. If one cannot be read, only its own facts are missing, and that is told."""

from collections.abc import Sequence
from pathlib import Path

from autosing.errors import InputError
from processing.importer.beside import Side
from processing.importer.facts import Facts
from processing.importer.lyric_files import LYRIC_SUFFIXES, facts_in
from processing.importer.scores import SCORE_SUFFIXES, is_score, score_beside

_LABELS = ".json"
"""Holds facts of any kind, not only lyrics in one language."""


def facts_beside(sides: Sequence[Side], language: str | None) -> tuple[Facts, list[tuple[str, str]]]:
    """(facts, remarks as (reason, what was found)). `language`: the song's, if it is known elsewhere."""
    remarks: list[tuple[str, str]] = []
    texts, spoken = _one_language(sides, language, remarks)
    facts = Facts()
    for path in texts:
        try:
            found, guess = facts_in(path)
        except InputError as error:
            remarks.append(("lyrics_not_readable", str(error)))
            continue
        if guess:
            remarks.append(("encoding_guessed", f"{path.name}: {guess}"))
        facts = facts.over(found)
    facts = facts.over(_score([side.path for side in sides], remarks))
    return facts.over(Facts(language=spoken)) if facts.has_lyrics else facts, remarks


def _one_language(
    sides: Sequence[Side], language: str | None, remarks: list[tuple[str, str]]
) -> tuple[list[Path], str | None]:
    """(the files of lyrics that count, in the order in which they do; their language where their names say it)."""
    order = {suffix: k for k, suffix in enumerate(LYRIC_SUFFIXES)}
    texts = [side for side in sides if side.path.suffix.lower() in order]
    texts.sort(key=lambda side: (order[side.path.suffix.lower()], side.distance, side.path.name))
    named = [side for side in texts if side.language and side.path.suffix.lower() != _LABELS]
    others = [side for side in texts if side not in named]
    if not named:
        return [side.path for side in others], None
    files = ", ".join(side.path.name for side in named)
    if any(side.path.suffix.lower() != _LABELS for side in others):
        remarks.append(("lyrics_not_used", f"{files}: lyrics without a language in their name are there, and taken"))
        return [side.path for side in others], None
    languages = {side.language for side in named}
    spoken = language if language in languages else languages.pop() if len(languages) == 1 else None
    if spoken is None:
        remarks.append(
            ("lyrics_not_used", f"{files}: of several languages; leave out the language in the sung one's name")
        )
        return [side.path for side in others], None
    if not_sung := [side.path.name for side in named if side.language != spoken]:
        remarks.append(("lyrics_not_used", f"{', '.join(not_sung)}: the song is in {spoken}"))
    kept = [side.path for side in texts if side in others or side.language == spoken]
    return kept, spoken


def _score(paths: Sequence[Path], remarks: list[tuple[str, str]]) -> Facts:
    """Of the first score beside a song that can be read."""
    order = {suffix: k for k, suffix in enumerate(SCORE_SUFFIXES)}
    for path in sorted(filter(is_score, paths), key=lambda p: order.get(p.suffix.lower(), len(order))):
        try:
            facts, found = score_beside(path)
        except InputError as error:
            remarks.append(("score_not_readable", str(error)))
            continue
        remarks += [("score", f"{path.name}: {remark}") for remark in found]
        return facts
    return Facts()
