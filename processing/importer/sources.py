"""Where songs come from: a folder of files at any depth, or a corpus in AutoSing's layout.

A source names its songs in a fixed order and loads them one by one, so that a corpus of any size passes through.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosing.audio.guard import tags_apart
from autosing.errors import InputError
from autosing.ids import clean_id
from autosing.schemas.tables import Song
from autosing.stage import Rejected
from autosing.tables import check_kinds, find_partitions, kind_of, open_table, partitions
from processing.importer.lyrics import Facts, facts_beside, facts_of, is_table, read_table

AUDIO_SUFFIXES = (".mp3", ".flac", ".ogg", ".opus", ".wav", ".m4a", ".aac", ".aif", ".aiff", ".wma", ".mp4", ".webm")
"""What is taken for a song by its name. Whether it can be read shows when it is opened."""
_TEXT_COLUMNS = ("raw_lyrics", "lyrics", "lrc_lyrics", "artist", "singer", "title", "language", "licence", "license")
_BESIDE = (".lrc", ".txt", ".json")


@dataclass(frozen=True)
class Entry:
    """A song before it is opened. `partition` is kept where the source has partitions of its own."""

    name: str
    """Its path in the source, for people and to load it by."""
    wanted_id: str
    partition: int | None = None


class Source(ABC):
    """Songs in a fixed order. `remarks` are (name, reason, measurement) about files that are no songs."""

    def __init__(self) -> None:
        self.remarks: list[tuple[str, str, str]] = []

    @abstractmethod
    def entries(self) -> list[Entry]:
        """All songs, unopened."""

    @abstractmethod
    def load(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Song | Rejected]]:
        """The songs of entries that stand in the source's order; Rejected where there is no audio to be had.

        A song's id is still the wanted one.
        """


def open_source(path: Path, table: Path | None) -> Source:
    """Raises InputError: no such folder, nothing in it, a table that cannot be used."""
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise InputError(f"source {path}: found {found}, need a folder of songs; give the folder that holds them")
    if find_partitions(path):
        if table is not None:
            raise InputError(f"--table {table}: {path} is a corpus, whose facts are in its columns; leave --table out")
        return CorpusSource(path)
    return FolderSource(path, table)


class FolderSource(Source):
    """Audio files at any depth, with the files beside them and the tables among them.

    What is said of a song counts in this order: table given, table found, files beside, tags.
    """

    def __init__(self, root: Path, table: Path | None = None) -> None:
        super().__init__()
        self.root = root
        files = [p for p in sorted(self.root.rglob("*")) if p.is_file() and not _is_hidden(p, self.root)]
        self._songs = {self._name(p): p for p in files if p.suffix.lower() in AUDIO_SUFFIXES}
        if not self._songs:
            raise InputError(
                f"source {self.root}: no audio in it ({len(files)} files); need "
                f"{', '.join(s.lstrip('.') for s in AUDIO_SUFFIXES[:5])} at any depth"
            )
        self._beside: dict[Path, dict[str, Path]] = {}
        for path in files:
            if path.suffix.lower() in _BESIDE:
                self._beside.setdefault(path.with_suffix(""), {})[path.suffix.lower()] = path
        own = {path.with_suffix("") for path in self._songs.values()}
        tables = [p for p in files if p.with_suffix("") not in own and is_table(p)]
        self._facts: dict[str, Facts] = {}
        for found in [*tables, *([table] if table else [])]:
            self._read_table(found)

    def entries(self) -> list[Entry]:
        return [Entry(name, clean_id(str(Path(name).with_suffix("")))) for name in self._songs]

    def load(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Song | Rejected]]:
        for entry in entries:
            try:
                data = self._songs[entry.name].read_bytes()
            except OSError as error:
                yield entry, Rejected(entry.wanted_id, "not_readable", f"{entry.name}: {error.strerror}")
                continue
            facts = self._facts.get(entry.name, Facts()).over(self._facts_beside(entry.name)).over(_tags(data))
            yield entry, Song(entry.wanted_id, data, **vars(facts))

    def _facts_beside(self, name: str) -> Facts:
        try:
            return facts_beside(self._beside.get(self._songs[name].with_suffix(""), {}))
        except InputError as error:
            self._remark(name, "lyrics_not_readable", str(error))
            return Facts()

    def _read_table(self, table: Path) -> None:
        if not table.is_file():
            raise InputError(f"--table {table}: no such file")
        base = table.parent if table.is_relative_to(self.root) else self.root
        names = {Path(name).name: name for name in self._songs}
        stems = {Path(name).stem: name for name in self._songs}
        for written, facts in read_table(table):
            path = (base / written).resolve()
            relative = self._name(path) if path.is_relative_to(self.root.resolve()) else ""
            name = relative if relative in self._songs else names.get(Path(written).name) or stems.get(written)
            if name is None:
                self._remark(written, "listed_but_absent", f"{table.name} names it; no such audio in {self.root}")
            else:
                self._facts[name] = facts.over(self._facts.get(name, Facts()))

    def _name(self, path: Path) -> str:
        root = self.root if path.is_relative_to(self.root) else self.root.resolve()
        # A name of bytes that are no UTF-8 is held as text that can be written; what is lost is kept in its digits.
        return os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")

    def _remark(self, name: str, reason: str, measurement: str) -> None:
        if (name, reason, measurement) not in self.remarks:
            self.remarks.append((name, reason, measurement))


class CorpusSource(Source):
    """<k>/index.parquet with columns id and audio; others that we know are taken, the rest is left behind."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        self._numbers = partitions(root)
        for k in self._numbers:
            with open_table(self._index(k)) as file:
                schema = file.schema_arrow
            names = schema.names
            missing = [name for name in ("id", "audio") if name not in names]
            if missing:
                raise InputError(
                    f"{self._index(k)}: columns {', '.join(missing)} missing; it holds {', '.join(names)}; "
                    f"need id and audio (encoded bytes)"
                )
            check_kinds(self._index(k), schema, {"audio": "bytes"})
            for name in (name for name in _TEXT_COLUMNS if name in names):
                if kind_of(schema.field(name).type) not in ("text", "null"):
                    found = f"column {name} holds {schema.field(name).type}, need text"
                    self.remarks.append((f"{k}/index.parquet", "column_left_out", found))

    def entries(self) -> list[Entry]:
        found = []
        for k in self._numbers:
            with open_table(self._index(k)) as file:
                ids = file.read(columns=["id"])["id"].to_pylist()
            for number, held in enumerate(ids):
                wanted = clean_id(str(held)) if held is not None else f"row_{k}_{number}"
                found.append(Entry(f"{k}/{number}", wanted, k))
        return found

    def load(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Song | Rejected]]:
        wanted = {entry.name: entry for entry in entries}
        for k in sorted({entry.partition for entry in entries if entry.partition is not None}):
            for number, row in enumerate(self._rows(k)):
                entry = wanted.get(f"{k}/{number}")
                if entry is not None:
                    data = row.pop("audio")
                    if not isinstance(data, bytes) or not data:
                        yield entry, Rejected(entry.wanted_id, "no_audio", "the audio column is null or empty")
                    else:
                        facts = facts_of({key: value for key, value in row.items() if key != "id"})
                        yield entry, Song(entry.wanted_id, data, **vars(facts))

    def _rows(self, k: int) -> Iterator[dict[str, Any]]:
        with open_table(self._index(k)) as file:
            known = [n for n in ("id", "audio", *_TEXT_COLUMNS) if n in file.schema_arrow.names]
            for batch in file.iter_batches(batch_size=4, columns=known):
                yield from batch.to_pylist()

    def _index(self, k: int) -> Path:
        return self._root / str(k) / "index.parquet"


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _tags(data: bytes) -> Facts:
    tags = tags_apart(data)
    return Facts(artist=tags.get("artist"), title=tags.get("title"), licence=tags.get("license"))
