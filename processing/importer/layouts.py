"""Folders laid out as known singing corpora are -> what is known of each recording: score, lyrics, singer, language.

| corpus | told by |
|---|---|
| Opencpop | `transcriptions.txt` (`name|text|phones|notes|note lengths|phone lengths|slurs`) beside `wavs/` |
| DiffSinger | `transcriptions.csv` with `name` and `ph_seq` beside `wavs/` |
| M4Singer | `meta.json`, a list with `item_name` (`singer#song#0000`) and `phs`; audio `singer#song/0000.wav` |
| CSD | folders `wav`, `csv` and `lyric` side by side under a language's name |

GTSinger's JSON lies beside each recording, and is read there.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from autosing.errors import InputError
from autosing.score.formats.corpora import score_of_csd, score_of_phone_rows
from autosing.score.formats.diffsinger import read_transcriptions
from autosing.score.formats.labels import midi_of
from autosing.score.languages import language_code
from autosing.score.score import Score
from autosing.text.files import read_text_file
from processing.importer.facts import Facts


@dataclass(frozen=True)
class Known:
    """Of one recording: its path in the source without its ending, its facts, why it has no score, and the files that
    tell of it alone."""

    stem: str
    facts: Facts
    fault: str | None = None
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A file that describes a corpus; it is no table. `items`: those of M4Singer's list."""

    path: Path
    items: Sequence[Mapping[str, Any]] = ()


def layout_of(path: Path) -> Layout | None:
    """None for a file that describes no corpus, by its name and, of a `meta.json`, by what it holds."""
    if path.name in ("transcriptions.txt", "transcriptions.csv"):
        return Layout(path)
    items = _m4_items(path) if path.name == "meta.json" else []
    return Layout(path, items) if items else None


def known_recordings(root: Path, layouts: Iterable[Layout], names: Iterable[str]) -> Iterator[Known]:
    """`layouts`: those found beside audio; `names`: the audio's paths from the root. A file that cannot be read is
    yielded under its own name, with its fault."""
    for layout in layouts:
        path = layout.path
        folder = path.parent.relative_to(root).as_posix()
        base = "" if folder == "." else f"{folder}/"
        try:
            if path.name == "transcriptions.txt":
                yield from _opencpop(path, base)
            elif path.name == "transcriptions.csv":
                yield from _diffsinger(path, base)
            else:
                yield from _m4singer(layout, base)
        except InputError as error:
            yield Known(f"{base}{path.name}", Facts(), str(error))
    for name in names:
        stem = PurePosixPath(name)
        labels = root / stem.parent.parent / "csv" / f"{stem.stem}.csv"
        lyrics = root / stem.parent.parent / "lyric" / f"{stem.stem}.txt"
        if stem.parent.name == "wav" and os.path.isfile(labels) and os.path.isfile(lyrics):  # noqa: PTH113 (never raises)
            known = _csd(str(stem.with_suffix("")), labels, lyrics, language_code(stem.parent.parent.name))
            yield replace(known, files=(labels, lyrics))


def _opencpop(path: Path, base: str) -> Iterator[Known]:
    recordings = 0
    for number, row in enumerate(read_text_file(path)[0].splitlines(), start=1):
        fields = row.split("|")
        if not row.strip() or len(fields) < 7:
            continue
        name, text, signs, notes, _, lengths, slurs = fields[:7]

        def score(
            signs: str = signs, notes: str = notes, lengths: str = lengths, slurs: str = slurs, text: str = text,
            origin: str = f"{path.name} line {number}",
        ) -> Score:  # fmt: skip
            return score_of_phone_rows(
                signs.split(), [float(x) for x in lengths.split()], [midi_of(note) for note in notes.split()],
                [flag == "1" for flag in slurs.split()], text, "zh", origin,
            )  # fmt: skip

        recordings += 1
        yield _known(f"{base}wavs/{name}", score, Facts(raw_lyrics=text or None, artist="opencpop", language="zh"))
    if not recordings:
        raise InputError(f"{path}: no row of seven fields parted by |; need name|text|phones|notes|... as Opencpop has")


def _m4singer(layout: Layout, base: str) -> Iterator[Known]:
    path = layout.path
    for item in layout.items:
        parts = str(item.get("item_name", "")).split("#")
        if len(parts) != 3:
            continue

        def score(item: Mapping[str, Any] = item) -> Score:
            return score_of_phone_rows(
                item["phs"], [float(x) for x in item["ph_dur"]], [float(n) or None for n in item["notes"]],
                [bool(flag) for flag in item["is_slur"]], str(item["txt"]), "zh", f"{path.name} {item['item_name']}",
            )  # fmt: skip

        facts = Facts(raw_lyrics=str(item.get("txt") or "") or None, artist=parts[0], language="zh")
        yield _known(f"{base}{parts[0]}#{parts[1]}/{parts[2]}", score, facts)


def _diffsinger(path: Path, base: str) -> Iterator[Known]:
    for phrase in read_transcriptions(path):
        yield Known(f"{base}wavs/{phrase.name}", Facts(score=phrase.score.to_json().decode()))


def _csd(stem: str, labels: Path, lyrics: Path, language: str) -> Known:
    try:
        text = read_text_file(lyrics)[0].strip()
    except InputError as error:
        return Known(stem, Facts(artist="csd", language=language), str(error))

    def score() -> Score:
        rows = list(csv.DictReader(io.StringIO(read_text_file(labels)[0], newline="")))
        return score_of_csd(rows, text, language, f"{labels.parent.name}/{labels.name}")

    return _known(stem, score, Facts(raw_lyrics=text or None, artist="csd", language=language))


def _known(stem: str, score: Any, facts: Facts) -> Known:
    """The facts with the score, or without it and why: the lyrics are known all the same."""
    try:
        return Known(stem, Facts(score=score().to_json().decode()).over(facts))
    except InputError as error:
        return Known(stem, facts, str(error))
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        return Known(stem, facts, f"its labels are damaged ({type(error).__name__}: {error})")


def _m4_items(path: Path) -> list[dict[str, Any]]:
    """Empty if it is another kind of JSON, or cannot be read."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    is_m4 = isinstance(values, list) and all(isinstance(v, dict) and "phs" in v for v in values)
    return values if is_m4 else []
