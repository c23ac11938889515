"""An UltraStar file (karaoke: `#TITLE:` tags, then a note a line) -> its words by line, and its tags.

Times are in beats of one recording and are dropped: the aligner finds the words.
"""

import re

_TAG = re.compile(r"\s*#\s*(\w+)\s*:(.*)")
_NOTE = re.compile(r"\s*[:*FRG]\s*-?\d+\s+-?\d+\s+-?\d+ ?(.*)")
_BREAK = re.compile(r"\s*-\s*-?\d+(\s+-?\d+)?\s*")
_END_OR_SINGER = re.compile(r"\s*(E|P\s*\d+)\s*")


def read_ultrastar(text: str) -> tuple[str, dict[str, str]] | None:
    """(lyrics, tags in lower case); None for another kind of text: no tag first, or a line of an unknown form."""
    tags: dict[str, str] = {}
    lines = [""]
    notes = 0
    for row in text.splitlines():
        if not row.strip():
            continue
        if tag := _TAG.fullmatch(row):
            tags.setdefault(tag[1].lower(), tag[2].strip())
        elif not tags:
            return None
        elif note := _NOTE.fullmatch(row):
            notes += 1
            lines[-1] += note[1]  # the text of a syllable includes the space before or after its word
        elif _BREAK.fullmatch(row):
            lines.append("")
        elif not _END_OR_SINGER.fullmatch(row):
            return None
    lyrics = "\n".join(tidy for line in lines if (tidy := " ".join(line.split())))
    return (lyrics, tags) if notes else None
