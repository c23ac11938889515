"""Where songs come from: a folder of files at any depth, or a corpus in AutoSing's layout.

A source lists its songs in a fixed order and loads them one by one, so memory does not grow with the corpus.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from autosing.audio.guard import tags_apart
from autosing.errors import InputError
from autosing.ids import clean_id
from autosing.schemas.tables import Song
from autosing.stage import Rejected
from autosing.storage.tables import check_kinds, find_partitions, kind_of, open_table, partitions
from processing.importer.layouts import is_layout, known_recordings
from processing.importer.lyrics import Facts, facts_in, facts_of, is_table, read_table
from processing.importer.matching import Songs, assign
from processing.importer.pairs import singer_of_pair, spoken_partners
from processing.importer.scores import SCORE_SUFFIXES, is_score, score_beside
from processing.importer.singers import SingersFrom, count_songs, looks_like_singers, singer_by_folder
from processing.importer.walk import files_of, printable

AUDIO_SUFFIXES = (".mp3", ".flac", ".ogg", ".opus", ".wav", ".m4a", ".aac", ".aif", ".aiff", ".wma", ".mp4", ".webm")
"""Files with these suffixes count as songs. Whether they can be read shows when they are opened."""
_TEXT_COLUMNS = ("raw_lyrics", "lyrics", "lrc_lyrics", "artist", "singer", "title", "language", "licence", "license")
_TEXT_BESIDE = (".lrc", ".txt", ".json")
_BESIDE = (*_TEXT_BESIDE, *SCORE_SUFFIXES)


@dataclass(frozen=True)
class Entry:
    """A song before it is opened. `partition`: its partition in the source, if that has partitions."""

    name: str
    """Its path in the source, for messages and for `load`."""
    wanted_id: str
    partition: int | None = None


class Source(ABC):
    """Songs in a fixed order, under `root`. `remarks`: (name, reason, measurement) on what is not used or guessed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.remarks: dict[tuple[str, str, str], None] = {}

    def remark(self, name: str, reason: str, measurement: str) -> None:
        """Recorded once, however often it is made."""
        self.remarks[name, reason, measurement] = None

    @abstractmethod
    def entries(self) -> list[Entry]:
        """All songs, unopened."""

    @abstractmethod
    def load(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Song | Rejected]]:
        """The songs of `entries`, which must be in the source's order; Rejected if a song's audio cannot be read.

        A song's id is its entry's `wanted_id`.
        """


def open_source(path: Path, table: Path | None, singers_from: SingersFrom | None = None) -> Source:
    """`singers_from`: see FolderSource.

    Raises InputError: no such file or folder, nothing in it, a table that cannot be used, `singers_from` "folder" for a
    source without folders.
    """
    try:
        if not path.exists():
            raise InputError(f"source {path}: does not exist; give a folder of songs, or one song")
        if path.is_file():
            return FolderSource(path.parent, table, only=path, singers_from=singers_from)
        if not path.is_dir():
            raise InputError(f"source {path}: neither a file nor a folder; give a folder of songs, or one song")
        is_corpus = bool(find_partitions(path))
    except OSError as error:
        raise InputError(f"source {path}: cannot be read ({error.strerror}); give a folder that you may read") from None
    if is_corpus and table is not None:
        raise InputError(f"--table {table}: {path} is a corpus, which has the facts in its columns; omit --table")
    if is_corpus and singers_from is not None:
        raise InputError(
            f"--singers-from {singers_from}: {path} is a corpus, which has the singers in its column artist; "
            "omit --singers-from"
        )
    return CorpusSource(path) if is_corpus else FolderSource(path, table, singers_from=singers_from)


class FolderSource(Source):
    """Audio files at any depth, with the text files beside them and the tables among them; or `only` one song.

    Facts about a song are taken in this order: from the given table, from tables that are found, from files beside it,
    from its folder, from its tags. Folders are singers if `singers_from` is "folder", or if it is None and the layout
    says so. With "none", tags name no singer either.
    """

    def __init__(
        self, root: Path, table: Path | None = None, only: Path | None = None, singers_from: SingersFrom | None = None
    ) -> None:
        super().__init__(root)
        self._only = only
        files = [only, *_siblings(only)] if only else files_of(root, _is_audio, _is_beside, self.remark)
        self._songs = {self._name(p): p for p in files if p == only or (only is None and _is_audio(p))}
        if not self._songs:
            raise InputError(
                f"source {self.root}: no audio in it ({len(files)} files); need "
                f"{', '.join(s.lstrip('.') for s in AUDIO_SUFFIXES[:5])} at any depth"
            )
        self._speech = {} if only else self._paired()
        self._singers_from = self._choose_singers(singers_from)
        self._beside: dict[Path, dict[str, Path]] = {}
        for path in files:
            if _is_beside(path):
                self._beside.setdefault(path.with_suffix(""), {})[path.suffix.lower()] = path
        own = {path.with_suffix("") for path in self._songs.values()}
        layouts = [p for p in files if is_layout(p)]
        tables = [p for p in files if p.with_suffix("") not in own and p not in layouts and is_table(p)]
        self._facts: dict[str, Facts] = {}
        self._read_layouts(layouts)
        names = Songs(self.root, self._songs)
        for found in tables:
            if table is None or os.path.realpath(table) != os.path.realpath(found):
                try:
                    self._read_table(found, names)
                except InputError as error:
                    self.remark(self._name(found), "table_not_used", str(error))
        if table is not None:
            try:
                self._read_table(table, names)
            except InputError as error:
                raise InputError(f"--table {error}") from None

    def entries(self) -> list[Entry]:
        return [Entry(name, clean_id(str(Path(name).with_suffix("")))) for name in self._songs]

    def load(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Song | Rejected]]:
        for entry in entries:
            try:
                data = self._songs[entry.name].read_bytes()
                spoken = self._speech.get(entry.name)
                speech = None if spoken is None else spoken.read_bytes()
            except OSError as error:
                yield entry, Rejected(entry.wanted_id, "not_readable", f"{entry.name}: {error.strerror}")
                continue
            facts = self._facts.get(entry.name, Facts()).over(self._facts_beside(entry.name))
            if entry.name in self._speech:
                facts = facts.over(Facts(artist=singer_of_pair(entry.name)))
            if self._singers_from == "folder":
                facts = facts.over(Facts(artist=singer_by_folder(entry.name)))
            tags = _tags(data)
            facts = facts.over(replace(tags, artist=None) if self._singers_from == "none" else tags)
            yield entry, Song(entry.wanted_id, data, **vars(facts), speech=speech)

    def _paired(self) -> dict[str, Path]:
        """Sung recording -> the same words spoken; what is speech of others is no song. Adds a remark for each."""
        partners = spoken_partners(self._songs)
        found = {sung: self._songs[spoken] for sung, spoken in partners.items()}
        for sung, spoken in partners.items():
            self.remark(spoken, "speech", f"the words of {sung}, spoken")
            self._songs.pop(spoken, None)
        return found

    def _choose_singers(self, asked: SingersFrom | None) -> SingersFrom:
        """Where singers are taken from. Adds a remark for each folder that is one."""
        if self._only is not None:
            if asked == "folder":
                raise InputError(f"--singers-from folder: {self._only} is one song; give the folder of the singers")
            return asked or "tags"
        if asked is None:
            asked = "folder" if looks_like_singers(self._songs) and not self._tagged() else "tags"
        if asked == "folder":
            counts = count_songs(self._songs)
            if not counts:
                raise InputError(f"--singers-from folder: no song of {self.root} lies in a folder; omit --singers-from")
            for singer, count in counts.items():
                self.remark(
                    singer, "singer_by_folder", f"{count} songs; --singers-from none or tags if it is no singer"
                )
        return asked

    def _tagged(self) -> bool:
        """Whether the first song of any folder has an artist in its tags: then folders are albums or something else."""
        first = {PurePosixPath(name).parts[0]: path for name, path in reversed(self._songs.items())}
        return any(_tags(_bytes(path)).artist for path in first.values())

    def _facts_beside(self, name: str) -> Facts:
        """If a file cannot be read, only its own facts are missing."""
        facts = Facts()
        beside = self._beside.get(self._songs[name].with_suffix(""), {})
        for path in (beside[suffix] for suffix in _TEXT_BESIDE if suffix in beside):
            try:
                found, guess = facts_in(path)
            except InputError as error:
                self.remark(name, "lyrics_not_readable", str(error))
                continue
            if guess:
                self.remark(name, "encoding_guessed", f"{path.name}: {guess}")
            facts = facts.over(found)
        return facts.over(self._score_beside(name, list(beside.values())))

    def _score_beside(self, name: str, beside: Sequence[Path]) -> Facts:
        """Of the first score beside a song that can be read."""
        order = {suffix: k for k, suffix in enumerate(SCORE_SUFFIXES)}
        for path in sorted(filter(is_score, beside), key=lambda p: order.get(p.suffix.lower(), len(order))):
            try:
                facts, remarks = score_beside(path)
            except InputError as error:
                self.remark(name, "score_not_readable", str(error))
                continue
            for remark in remarks:
                self.remark(name, "score", f"{path.name}: {remark}")
            return facts
        return Facts()

    def _read_layouts(self, layouts: Sequence[Path]) -> None:
        """What a corpus of known layout says of its recordings."""
        by_stem = {str(Path(name).with_suffix("")): name for name in self._songs}
        for known in known_recordings(self.root, layouts, self._songs):
            name = by_stem.get(known.stem)
            if known.fault is not None:
                self.remark(name or known.stem, "score_not_readable", known.fault)
            if name is not None:
                self._facts[name] = known.facts

    def _read_table(self, path: Path, songs: Songs) -> None:
        inside = path.is_relative_to(self.root)
        table = read_table(path, self._name(path) if inside else str(path))
        owned, missed = assign(table.rows, songs, self._name(path.parent) if inside else "")
        for name, rows in owned.items():
            for facts in rows:
                self._facts[name] = facts.over(self._facts.get(name, Facts()))
        for remark in table.remarks:
            self.remark(*remark)
        for written, why in missed.items() if self._only is None else ():
            self.remark(written, why.reason, f"{path.name} names it; {why.measurement}")

    def _name(self, path: Path) -> str:
        return printable(str(path.relative_to(self.root)))


class CorpusSource(Source):
    """<k>/index.parquet with columns id and audio; other known columns are used, the rest is ignored."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
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
                    self.remark(f"{k}/index.parquet", "column_left_out", found)

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
                    data, score = row.pop("audio"), row.pop("score", None)
                    if not isinstance(data, bytes) or not data:
                        yield entry, Rejected(entry.wanted_id, "no_audio", "the audio column is null or empty")
                    else:
                        facts = facts_of({key: value for key, value in row.items() if key != "id"})
                        facts = facts.over(Facts(score=score if isinstance(score, str) else None))
                        yield entry, Song(entry.wanted_id, data, **vars(facts))

    def _rows(self, k: int) -> Iterator[dict[str, Any]]:
        with open_table(self._index(k)) as file:
            known = [n for n in ("id", "audio", "score", *_TEXT_COLUMNS) if n in file.schema_arrow.names]
            for batch in file.iter_batches(batch_size=4, columns=known):
                yield from batch.to_pylist()

    def _index(self, k: int) -> Path:
        return self.root / str(k) / "index.parquet"


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES


def _is_beside(path: Path) -> bool:
    return path.suffix.lower() in _BESIDE


def _siblings(song: Path) -> list[Path]:
    """The other files in a song's folder with the song's stem."""
    return [path for path in sorted(song.parent.iterdir()) if path.stem == song.stem and path != song]


def _bytes(path: Path) -> bytes:
    """Of a file that may be unreadable; loading it later reports that."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _tags(data: bytes) -> Facts:
    tags = tags_apart(data)
    return Facts(artist=tags.get("artist"), title=tags.get("title"), licence=tags.get("license"))
