"""The lines of a song's lyrics -> files as people have them: with translations, credits, marks, and pages of sites."""

from collections.abc import Sequence

import numpy as np

from autosing.songs.lyrics import lyric_line
from autosing.songs.trouble import WrittenLine

_CREDITS = ("作词 : 林夕 ", "Lyrics by: Jane Doe", "Producer：The Band")
_OTHER = {"en": "zh", "ko": "en", "zh": "en"}


def lrc_file(lines: Sequence[WrittenLine]) -> str:
    return "\n".join(f"{_stamp(line.start_s)}{line.text}" for line in lines)


def plain_file(lines: Sequence[WrittenLine]) -> str:
    return "\n".join(line.text for line in lines)


def translated_lrc(lines: Sequence[WrittenLine], language: str, rng: np.random.Generator) -> tuple[str, int]:
    """(the file, how many of its lines nobody sings): credits, a translation under each line, marks of the band."""
    rows = [f"{_stamp(0.3 * k)}{credit}" for k, credit in enumerate(_CREDITS)]
    junk = len(rows)
    for number, line in enumerate(lines):
        rows.append(f"{_stamp(line.start_s)}{line.text}")
        rows.append(f"{_stamp(line.start_s)}{lyric_line(_OTHER[language], rng)}")
        junk += 1
        if number % 4 == 3:
            rows.append(f"{_stamp(line.start_s + 4)}{('(Instrumental)', '♪', '♪ ♪ ♪')[number // 4 % 3]}")
            junk += 1
    return "\n".join(rows), junk


def page_of_a_site(lines: Sequence[WrittenLine], lines_a_part: int) -> tuple[str, int]:
    """(the file, how many of its lines nobody sings): a page's header and end glued to lines, headings, an advert."""
    rows: list[str] = []
    for number, line in enumerate(lines):
        if number % lines_a_part == 0:
            part = number // lines_a_part
            rows += [*([""] if rows else []), ("[Verse {}]", "[Chorus]")[part % 2].format(part // 2 + 1)]
        if number == len(lines) // 2:
            rows.append("You might also like")
        rows.append(line.text)
    junk = sum(row.startswith(("[", "You might")) for row in rows) + 2
    rows[0] = f"14 ContributorsThe Song Lyrics{rows[0]}"
    rows[-1] += "7Embed"
    return "\n".join(rows), junk


def _stamp(time_s: float) -> str:
    hundredths = round(time_s * 100)
    return f"[{hundredths // 6000:02d}:{hundredths % 6000 / 100:05.2f}]"
