"""Plain values -> pieces of HTML: tables, and takes (a spectrogram with words and pitch, and its player)."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from autosing.audio.io import Audio, encode
from inference.provenance.origin import sentence_of
from inference.provenance.tags import tagged_mp3
from inference.report.figures import Mark, spectrogram_png


def page(title: str, body: Iterable[str]) -> str:
    """One self-contained page: style, script, sounds and pictures inside."""
    here = Path(__file__).parent
    style, script = (here / "page.css").read_text("utf-8"), (here / "page.js").read_text("utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>\n{style}</style></head>\n'
        f"<body><main>\n{chr(10).join(body)}\n</main>\n<script>\n{script}</script></body></html>\n"
    )


def table(rows: Sequence[Mapping[str, Any]], warn: Sequence[str] = ()) -> str:
    """Rows -> a table with a column for every key; numbers right. Columns in `warn` are coloured where not zero."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    numeric = {c for c in columns if all(isinstance(row.get(c, 0), int | float) for row in rows)}

    def cell(column: str, value: Any) -> str:
        kinds = [kind for kind, yes in (("number", column in numeric), ("warn", column in warn and value)) if yes]
        return f'<td class="{" ".join(kinds)}">{escape(shown(value))}</td>'

    def name(column: str) -> str:
        return f'<th class="{"number" if column in numeric else ""}">{escape(column.replace("_", " "))}</th>'

    head = "".join(name(column) for column in columns)
    lines = ("<tr>" + "".join(cell(c, row.get(c, "")) for c in columns) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def take(
    title: str, fact: str, audio: Audio, words: Sequence[Mark] = (), pitch: str = "",
    tags: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """A player with its audio embedded, and the spectrogram with words and pitch. `tags`: of the sound's own file,
    which say where it comes from."""
    data = encode(audio, "mp3")
    sound = base64.b64encode(tagged_mp3(data, tags, sentence_of(tags)) if tags else data).decode()
    picture = base64.b64encode(spectrogram_png(audio)).decode()
    over = f'<svg viewBox="0 0 1 1" preserveAspectRatio="none"><path class="pitch" d="{pitch}"/></svg>' if pitch else ""
    spans = "".join(f'<span style="left:{100 * mark.left:.2f}%">{escape(mark.text)}</span>' for mark in words)
    return (
        f'<figure class="take"><figcaption><b>{escape(title)}</b><span>{escape(fact)}</span></figcaption>'
        f'<div class="picture"><img alt="spectrogram: {escape(title)}" src="data:image/png;base64,{picture}">{over}'
        f'<div class="playhead"></div></div>{f"""<div class="words">{spans}</div>""" if words else ""}'
        f'<audio controls preload="metadata" aria-label="{escape(title)}" src="data:audio/mpeg;base64,{sound}"></audio>'
        "</figure>"
    )


def shown(value: Any) -> str:
    """Numbers with thousands separators and four significant digits; other values as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
