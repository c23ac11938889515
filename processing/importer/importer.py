"""A source of songs -> a corpus: <k>/index.parquet in AutoSing's layout, and _import.json, the outcome for each file.

Songs that are already in the corpus stay where they are, so a second run writes only new and changed songs.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autosing.console import progress
from autosing.errors import InputError
from autosing.ids import clean_id
from autosing.schemas.tables import Song
from autosing.storage.store import Place, put_bytes
from autosing.storage.tables import TableWriter, find_partitions, read_meta, read_rows, table_path
from processing.importer.check import Checked, check_all, digests
from processing.importer.singers import SingersFrom
from processing.importer.source import Entry, Source
from processing.importer.sources import open_source

_VERSION = 1
_FEW_PARTITIONS = 8
"""Even a small corpus gets so many partitions (one for each song at most), so that workers can share it."""
_KNOWN = ("LRC", "plain lyrics", "no lyrics", "language", "artist")


@dataclass
class ImportReport:
    """The outcome for each entry of the source."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    """{file, reason, measurement}: not in the corpus."""
    remarks: list[dict[str, str]] = field(default_factory=list)
    """{file, reason, measurement}: in the corpus, or not a song, but worth mentioning."""
    passed_over: list[dict[str, str]] = field(default_factory=list)
    """{file, reason, measurement}: neither a song nor of use for one; the measurement says what to do."""
    read_beside: int = 0
    """How many files tell of songs: lyrics, scores and tables."""
    partitions: int = 0
    known: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_KNOWN, 0))
    """Fact -> number of the source's songs in the corpus for which it is known."""

    def count(self, columns: frozenset[str]) -> None:
        """Count one more song that is in the corpus and has values in these columns."""
        lyrics = "LRC" if "lrc_lyrics" in columns else "plain lyrics" if "raw_lyrics" in columns else "no lyrics"
        for name in (lyrics, *columns.intersection(("language", "artist"))):
            self.known[name] += 1

    def rows(self) -> list[dict[str, Any]]:
        """A row for each outcome: its name, how many songs, some of their files."""
        rows = []
        for outcome, names in (("new", self.new), ("changed", self.changed), ("kept", self.kept)):
            rows.append({"outcome": outcome, "songs": len(names), "files": _some(names)})
        rows += [{"outcome": f"known: {name}", "songs": count, "files": ""} for name, count in self.known.items()]
        rows.append({"outcome": "read beside songs", "songs": self.read_beside, "files": ""})
        for kind, items in (
            ("left out", self.left_out), ("remark", self.remarks), ("passed over", self.passed_over),
        ):  # fmt: skip
            for reason in sorted({item["reason"] for item in items}):
                names = [item["file"] for item in items if item["reason"] == reason]
                rows.append({"outcome": f"{kind}: {reason}", "songs": len(names), "files": _some(names)})
        return rows


@dataclass(frozen=True)
class _Held:
    """A song in the corpus: its partition and its digests (audio, row)."""

    partition: int
    audio: str
    row: str


@dataclass(frozen=True)
class _Placed:
    """A song to be written."""

    id: str
    checked: Checked


def import_corpus(
    source: Path,
    corpus: Place,
    table: Path | None = None,
    partition_mb: float = 64.0,
    singers_from: SingersFrom | None = None,
    singer: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> ImportReport:
    """Read SOURCE into CORPUS. Deterministic: the same files give the same bytes. `singers_from` and
    `singer`: see FolderSource.

    Raises InputError: no such folder, no song in it, a table or columns that cannot be used, nothing readable.
    """
    opened = open_source(source, table, singers_from, singer)
    if opened.root.resolve() == corpus.resolve():
        raise InputError(f"import {source}: source and corpus are one folder; give another folder for the corpus")
    entries = opened.entries()
    held = _held(corpus)
    origins = _origins(corpus)
    tell(f"import: {len(entries)} songs in {source}, {len(held)} in {corpus}")
    opening = check_all(opened.load(entries), {song.audio for song in held.values()})
    checked = list(progress(opening, "import", len(entries)))
    report = ImportReport(passed_over=[_item(*item) for item in opened.passed_over], read_beside=opened.read_beside)
    report.remarks = [_item(*remark) for remark in opened.remarks]
    origin = str(opened.root.resolve())
    placed = _place(checked, held, origins, origin, report)
    if not held and not placed:
        reasons = ", ".join(f"{r} {n}" for r, n in sorted(Counter(x["reason"] for x in report.left_out).items()))
        raise InputError(f"source {source}: none of its {len(entries)} songs can be used ({reasons})")
    touched = _touched(placed, held, partition_mb)
    for k, songs in touched.items():
        _write(corpus, k, songs, opened, {i: h for i, h in held.items() if h.partition == k})
        tell(f"import: partition {k} written, {len(songs)} songs new or changed")
    report.partitions = len(find_partitions(corpus))
    for song in placed:
        origins[song.id] = [origin, song.checked.entry.name]
    _write_report(corpus, report, origins)
    return report


def _place(
    checked: Sequence[Checked], held: dict[str, _Held], origins: dict[str, list[str]], origin: str,
    report: ImportReport,
) -> list[_Placed]:  # fmt: skip
    """Give each usable song its id, and tell which are new, changed, kept or duplicate."""
    placed: list[_Placed] = []
    taken: set[str] = set()
    audio_of: dict[str, str] = {}
    held_audio = {song.audio: song_id for song_id, song in held.items()}
    for item in checked:
        name = item.entry.name
        if item.reason is not None:
            report.left_out.append(_item(name, item.reason, item.measurement))
            continue
        twin = audio_of.setdefault(item.audio_digest, name)
        if twin != name:
            report.left_out.append(_item(name, "duplicate", f"the same audio as {twin}"))
            continue
        song_id = item.entry.wanted_id
        if song_id in taken:
            song_id = clean_id(f"{song_id}_{item.audio_digest[:8]}")
        there = held.get(song_id)
        ours = origins.get(song_id) == [origin, name]
        if there is not None and there.audio != item.audio_digest and not ours:
            song_id = clean_id(f"{song_id}_{item.audio_digest[:8]}")  # another song of that name, from elsewhere
            there = held.get(song_id)
        if there is None and item.audio_digest in held_audio:
            report.left_out.append(_item(name, "duplicate", f"the same audio as {held_audio[item.audio_digest]}"))
            continue
        taken.add(song_id)
        report.count(item.known)
        if song_id != item.entry.wanted_id:
            report.remarks.append(_item(name, "renamed", f"id {song_id}: another song is {item.entry.wanted_id}"))
        if there is not None and there.row == item.row_digest:
            report.kept.append(song_id)
            origins.setdefault(song_id, [origin, name])  # of an import that was killed before it wrote its report
        else:
            (report.new if there is None else report.changed).append(song_id)
            placed.append(_Placed(song_id, item))
    return placed


def _touched(placed: Sequence[_Placed], held: dict[str, _Held], partition_mb: float) -> dict[int, list[_Placed]]:
    """partition -> the songs to write into it. Changed songs stay in their partition; new ones fill new partitions.

    Songs of a source with partitions keep their partition if its number is free. Others are spread by size: the largest
    first, each into the smallest partition so far, which is within a third of the optimum (Graham 1969).
    """
    touched: dict[int, list[_Placed]] = {}
    place = {song.id: number for number, song in enumerate(placed)}
    numbers = {song.partition for song in held.values()}
    following = max(numbers, default=-1) + 1
    free = [song for song in placed if song.id not in held]
    for song in (song for song in placed if song.id in held):
        touched.setdefault(held[song.id].partition, []).append(song)
    own = [song for song in free if song.checked.entry.partition is not None]
    wanted = sorted({k for song in own if (k := song.checked.entry.partition) is not None})
    following = max(following, *wanted, -1) + 1 if wanted else following
    number_of = {k: k if k not in numbers else following + i for i, k in enumerate(wanted)}
    for song in own:
        assert song.checked.entry.partition is not None
        touched.setdefault(number_of[song.checked.entry.partition], []).append(song)
    packed = [song for song in free if song.checked.entry.partition is None]
    total = sum(song.checked.num_bytes for song in packed)
    count = max(-int(-total // (partition_mb * 1e6)), min(_FEW_PARTITIONS, len(packed)))
    loads = [0] * count
    for song in sorted(packed, key=lambda s: (-s.checked.num_bytes, s.id)):
        lightest = loads.index(min(loads))
        loads[lightest] += song.checked.num_bytes
        touched.setdefault(following + lightest, []).append(song)
    return {k: sorted(songs, key=lambda s: place[s.id]) for k, songs in sorted(touched.items())}


def _write(corpus: Place, k: int, songs: Sequence[_Placed], source: Source, held: dict[str, _Held]) -> None:
    """Commit one partition: its songs so far, changed ones replaced, then new ones in the source's order."""
    path = table_path(corpus, k, "index")
    names = {song.checked.entry.name: song for song in songs}
    changed = {song.id for song in songs} & set(held)
    fresh = [song.checked.entry for song in songs if song.id not in held]
    replaced = {s.id: s for s in _loaded(source, [s.checked.entry for s in songs if s.id in changed], names)}
    known = {i: [h.audio, h.row] for i, h in held.items()}
    known |= {song.id: [song.checked.audio_digest, song.checked.row_digest] for song in songs}
    count = 0
    with TableWriter(path, Song) as writer:
        for song in read_rows(path, Song, batch_rows=2) if held else ():
            writer.add(replaced.get(song.id, song))
            count += 1
        for song in _loaded(source, fresh, names):
            writer.add(song)
            count += 1
        writer.commit("index", _VERSION, count, {"stage": "index", "version": _VERSION, "songs": known})


def _loaded(source: Source, entries: Sequence[Entry], names: dict[str, _Placed]) -> Iterator[Song]:
    for entry, song in source.load(entries):
        placed = names[entry.name]
        if not isinstance(song, Song) or digests(song) != (placed.checked.audio_digest, placed.checked.row_digest):
            raise InputError(f"{entry.name}: changed while it was imported; run the import again")
        yield replace(song, id=placed.id)


def _held(corpus: Place) -> dict[str, _Held]:
    """The songs that a corpus holds already. An index that was not written by this importer is read row by row."""
    held: dict[str, _Held] = {}
    for k in find_partitions(corpus):
        path = table_path(corpus, k, "index")
        meta = read_meta(path)
        songs = meta.details.get("songs") if meta else None
        if songs is None:
            songs = {song.id: digests(song) for song in read_rows(path, Song, batch_rows=2)}
        held |= {song_id: _Held(k, audio, row) for song_id, (audio, row) in songs.items()}
    return held


def _origins(corpus: Place) -> dict[str, list[str]]:
    """id -> [source folder, file in it], as the last import wrote it."""
    path = corpus / "_import.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))["origins"]) if path.is_file() else {}


def _write_report(corpus: Place, report: ImportReport, origins: dict[str, list[str]]) -> None:
    path = corpus / "_import.json"
    content = {**vars(report), "origins": dict(sorted(origins.items()))}
    put_bytes((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(), path, "import")


def _item(name: str, reason: str, measurement: str) -> dict[str, str]:
    texts = {"file": name, "reason": reason, "measurement": measurement}
    return {key: text.encode(errors="backslashreplace").decode() for key, text in texts.items()}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
