"""A lyrics file beside a song -> its facts. What it is is told by its text first: people save subtitles as `.txt`."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosing.errors import InputError
from autosing.score.formats.ultrastar import Karaoke, parse_ultrastar, stamped_lines
from autosing.text.files import guess_remark, read_text_file
from autosing.text.timed import lrc_of, tidy_lrc
from processing.importer.facts import Facts, facts_of, has_stamps
from processing.importer.formats.sites import netease_lrc, written_out
from processing.importer.formats.subtitles import read_subtitles
from processing.importer.formats.ttml import read_ttml


@dataclass(frozen=True)
class LyricFormat:
    """A kind of file: `sniff` tells it by its text, else `suffixes` do."""

    suffixes: tuple[str, ...]
    sniff: Callable[[str], bool]
    read: Callable[[str], Facts]
    """Raises InputError, which need not name the file."""


def _subtitles(kind: str) -> Callable[[str], Facts]:
    return lambda text: Facts(lrc_lyrics=read_subtitles(text, kind))


def _has(pattern: str) -> Callable[[str], bool]:
    found = re.compile(pattern)
    return lambda text: found.search(text) is not None


def _ultrastar(text: str) -> Facts:
    found = parse_ultrastar(text)
    if found is None:
        raise InputError("not readable as an UltraStar file")
    tags = {key: found.tags.get(key) for key in ("artist", "title", "language")}
    return facts_of({**_karaoke_lyrics(found), **tags})


def _karaoke_lyrics(found: Karaoke) -> dict[str, str]:
    """LRC with the times of words; the words alone where the file's tempo is of no use."""
    try:
        return {"lrc": tidy_lrc(lrc_of(stamped_lines(found)))}
    except InputError:
        return {"lyrics": found.text}


def _json(text: str) -> Facts:
    values = parse_json(text)
    if isinstance(values, list) and values and all(isinstance(v, dict) and "plainLyrics" in v for v in values):
        values = values[0]  # what LRCLIB's search found, the best first
    if not isinstance(values, dict):
        return Facts()
    lrc = netease_lrc(values)
    return Facts(lrc_lyrics=lrc) if lrc else facts_of(values)


def _plain(text: str) -> Facts:
    text = written_out(text).strip()
    return Facts(lrc_lyrics=text) if has_stamps(text) else Facts(raw_lyrics=text or None)


def _lrc(text: str) -> Facts:
    return Facts(lrc_lyrics=written_out(text).strip() or None)


FORMATS = (
    LyricFormat((), lambda text: parse_ultrastar(text) is not None, _ultrastar),
    LyricFormat((".vtt",), _has(r"\A\s*WEBVTT"), _subtitles("vtt")),
    LyricFormat((".srt",), _has(r"(?m)^\s*\d+:\d\d:\d\d[,.]\d+\s*-->\s*\d+:\d\d:\d\d[,.]\d+"), _subtitles("srt")),
    LyricFormat((".ass", ".ssa"), _has(r"(?m)\A\s*\[Script Info\]|^Dialogue:\s*[^,\n]+,\d+:\d\d:\d\d\.\d+,"),
                _subtitles("ass")),
    LyricFormat((".ttml", ".dfxp"), _has(r"<(?:\w+:)?tt[\s>]"), lambda text: Facts(lrc_lyrics=read_ttml(text))),
    LyricFormat((".json",), _has(r"\A\s*\[?\s*\{\s*\"(?:id|trackName|plainLyrics|syncedLyrics|lrc|code|sgc)\""), _json),
    LyricFormat((".lrc", ".elrc"), lambda text: False, _lrc),
    LyricFormat((".txt",), lambda text: True, _plain),
)  # fmt: skip
"""In the order in which they are tried; the last takes any text."""
LYRIC_SUFFIXES = (".lrc", ".elrc", ".ttml", ".dfxp", ".srt", ".vtt", ".ass", ".ssa", ".txt", ".json")
"""Of several beside a song an earlier one counts before a later one."""


def facts_in(path: Path) -> tuple[Facts, str | None]:
    """(the facts in a file beside a song, a remark on its encoding if that is a guess). Raises InputError."""
    text, encoding = read_text_file(path)
    try:
        return _read(text, path.suffix.lower()), guess_remark(encoding)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def lyrics_of(text: str) -> Facts:
    """The facts in a text of any kind of lyrics. Raises InputError."""
    return _read(text, ".txt")


def _read(text: str, suffix: str) -> Facts:
    by_suffix = next((kind for kind in FORMATS if suffix in kind.suffixes), FORMATS[-1])
    told = next((kind for kind in FORMATS[:-1] if kind.sniff(text)), by_suffix)
    return by_suffix.read(text) if suffix == ".json" else told.read(text)


def parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not readable as JSON ({error}); repair the file") from None
