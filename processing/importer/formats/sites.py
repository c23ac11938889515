"""What programs save that fetch lyrics -> LRC text: answers of NetEase's service, its rows of JSON between LRC rows."""

import json
import re
from collections.abc import Mapping
from html import unescape
from typing import Any

from autosing.text.lrc import clock

_ROW = re.compile(r"^\s*(\{.*\"c\"\s*:\s*\[.*\})\s*$", re.MULTILINE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[A-Za-z]{2,8});")
_BREAK = re.compile(r"<br\s*/?>\s*\n?|</?p>", re.IGNORECASE)


def written_out(text: str) -> str:
    """Lyrics as they are meant: HTML's entities and line breaks, and NetEase's rows of JSON, as text."""
    text = _ROW.sub(_netease_row, text)
    if _BREAK.search(text):
        text = _BREAK.sub("\n", text)
    return _ENTITY.sub(lambda match: unescape(match[0]), text)


def netease_lrc(values: Mapping[str, Any]) -> str | None:
    """LRC of an answer `{"lrc": {"lyric": ...}, "tlyric": ..., "romalrc": ...}`: the translation follows the lyrics,
    and shares their stamps. None for another kind of JSON."""
    texts = [
        held.get("lyric") for name in ("lrc", "tlyric", "romalrc") if isinstance(held := values.get(name), Mapping)
    ]
    if not isinstance(values.get("lrc"), Mapping):
        return None
    return "\n".join(written_out(text) for text in texts if isinstance(text, str)).strip() or None


def _netease_row(match: re.Match[str]) -> str:
    """`{"t": 1000, "c": [{"tx": "作词: "}, {"tx": "..."}]}` -> `[00:01.00]作词: ...`; other JSON stays."""
    try:
        row = json.loads(match[1])
        return f"[{clock(float(row['t']) / 1000)}]" + "".join(str(part["tx"]) for part in row["c"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return match[0]
