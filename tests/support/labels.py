"""A file of labels -> a song's lines and the onsets of their words."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Labels:
    """The lines of a song, and for each its words with their onsets in seconds."""

    lines: list[str]
    words: list[list[tuple[str, float]]]
    language: str | None

    @property
    def onsets_s(self) -> list[float]:
        return [start_s for line in self.words for _, start_s in line]


def read_labels(path: Path) -> Labels:
    """truth.json of made songs, or the labels beside real ones."""
    held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if "lines" in held:
        lines = [line["text"] for line in held["lines"]]
        words: list[list[tuple[str, float]]] = [[] for _ in lines]
        for word in held["words"]:
            words[word["line"]].append((word["word"], word["start"]))
        return Labels(lines, words, held["language"])
    if "syllables" in held:
        return _from_syllables(held["syllables"])
    lines = [line for line in held["lyrics"].splitlines() if line.strip()]
    rest = iter(held["words"])
    return Labels(lines, [[(word, next(rest)["start"]) for word in line.split()] for line in lines], None)


def _from_syllables(syllables: list[dict[str, Any]]) -> Labels:
    """UltraStar: a syllable that starts with a space, or a line, starts a word; `~` holds the one before."""
    words: list[list[tuple[str, float]]] = [[] for _ in range(syllables[-1]["line"] + 1)]
    for syllable in syllables:
        line, text = words[syllable["line"]], syllable["text"]
        if line and not text.startswith(" "):
            line[-1] = (line[-1][0] + text.replace("~", ""), line[-1][1])
        else:
            line.append((text.strip().replace("~", ""), syllable["start"]))
    return Labels([" ".join(word for word, _ in line) for line in words], words, None)
