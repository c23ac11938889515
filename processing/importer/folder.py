"""A folder of songs at any depth, or one song, as a source: audio, rows of Parquet files, and all that tells of them.

Every file is a song, tells of a song, or is passed over with a reason.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path, PurePosixPath

from autosing.audio.guard import tags_apart
from autosing.errors import InputError
from autosing.ids import clean_id
from autosing.schemas.tables import Song
from autosing.stage import Rejected
from processing.importer.beside import LYRIC_FOLDERS, Beside
from processing.importer.facts import Facts, facts_of, without_half_characters
from processing.importer.kinds import AUDIO_SUFFIXES, NOT_TAKEN, is_audio
from processing.importer.layouts import Layout, known_recordings, layout_of
from processing.importer.lyric_files import LYRIC_SUFFIXES
from processing.importer.matching import Songs, assign
from processing.importer.pairs import singer_of_pair, spoken_partners
from processing.importer.rows import SongRows
from processing.importer.scores import SCORE_SUFFIXES
from processing.importer.side_facts import facts_beside
from processing.importer.singers import SingersFrom, count_songs, looks_like_singers, singers_by_folder
from processing.importer.source import Entry, Source
from processing.importer.tables import TABLE_SUFFIXES, is_table, read_table
from processing.importer.walk import files_of, printable

_BESIDE = (*LYRIC_SUFFIXES, *SCORE_SUFFIXES)
_ROWS = ".parquet"


class FolderSource(Source):
    """Audio files at any depth, with the text files beside them and the tables among them; or `only` one song.

    Facts about a song are taken in this order: from the given table, from tables that are found, from files beside it,
    from its folder, from its tags. Folders are singers if `singers_from` is "folder", or if it is None and the layout
    says so. With "none", tags name no singer either. `singer` is named in place of all that these say.
    """

    def __init__(
        self, root: Path, table: Path | None = None, only: Path | None = None,
        singers_from: SingersFrom | None = None, singer: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(root)
        self._only = only
        self._singer = singer
        files = _around(only) if only else files_of(root, is_audio, _is_beside, self.remark)
        audio = [path for path in files if is_audio(path) or (path == only and path.suffix.lower() != _ROWS)]
        self._songs = {self._name(path): path for path in audio if only in (None, path)}
        self._rows = dict(self._song_rows(files))
        if not self._songs and not self._rows:
            raise InputError(
                f"source {self.root}: no audio in it ({len(files)} files); need "
                f"{', '.join(s.lstrip('.') for s in AUDIO_SUFFIXES[:5])} at any depth"
            )
        self._speech = {} if only else self._paired()
        self._row_entries = {
            name: [Entry(f"{name}/{row.number}", row.wanted_id) for row in rows.entries()]
            for name, rows in self._rows.items()
        }
        self._singers_from = self._choose_singers("none" if singer else singers_from)
        self._singers = singers_by_folder(self._songs)
        layouts = {path: layout for path in files if (layout := layout_of(path))}
        self._facts: dict[str, Facts] = {}
        used = {*audio, *layouts, *self._read_layouts(layouts.values())}
        used |= {path for path in files if self._name(path) in self._rows}
        texts = [path for path in files if _is_beside(path) and path not in used]
        self._beside = Beside(audio, texts)
        used |= {side.path for sides in self._beside.of.values() for side in sides}
        used |= self._read_tables([path for path in files if path not in used], table, audio)
        self.read_beside = sum(not is_audio(path) and self._name(path) not in self._rows for path in used)
        if only is None:
            self.passed_over += [self._why_not_used(path) for path in files if path not in used]

    def entries(self) -> list[Entry]:
        songs = [Entry(name, clean_id(str(Path(name).with_suffix("")))) for name in self._songs]
        return songs + [entry for entries in self._row_entries.values() for entry in entries]

    def load(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Song | Rejected]]:
        for home, held in groupby(entries, key=self._home):
            if home is None:
                for entry in held:
                    yield entry, self._song(entry)
            else:
                yield from self._songs_of_rows(home, list(held))

    def _home(self, entry: Entry) -> str | None:
        """The Parquet file that an entry is a row of."""
        return None if entry.name in self._songs else entry.name.rpartition("/")[0]

    def _song(self, entry: Entry) -> Song | Rejected:
        path = self._songs[entry.name]
        try:
            data = path.read_bytes()
            spoken = self._speech.get(entry.name)
            speech = None if spoken is None else spoken.read_bytes()
        except OSError as error:
            return Rejected(entry.wanted_id, "not_readable", f"{entry.name}: {error.strerror}")
        tags = self._tags(entry.name, data)
        facts = self._facts.get(entry.name, Facts())
        language = facts.language or tags.language
        beside, remarks = facts_beside(self._beside.of.get(path, ()), language)
        for reason, found in remarks:
            self.remark(entry.name, reason, found)
        facts = facts.over(beside)
        if speech is not None:
            facts = facts.over(Facts(artist=singer_of_pair(entry.name)))
        if self._singers_from == "folder":
            facts = facts.over(Facts(artist=self._singers.get(entry.name)))
        facts = facts.over(tags.without_lyrics() if facts.has_lyrics else tags)
        return replace(self._with_facts(entry, data, facts), speech=speech)

    def _songs_of_rows(self, home: str, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Song | Rejected]]:
        wanted = {entry.name: entry for entry in entries}
        for number, data, facts in self._rows[home].load():
            entry = wanted.get(f"{home}/{number}")
            if entry is None:
                continue
            if data is None:
                yield entry, Rejected(entry.wanted_id, "no_audio", "the row has no bytes of audio")
                continue
            tags = self._tags(entry.name, data)
            yield entry, self._with_facts(entry, data, facts.over(tags.without_lyrics() if facts.has_lyrics else tags))

    def _with_facts(self, entry: Entry, data: bytes, facts: Facts) -> Song:
        facts, halved = without_half_characters(facts)
        for why in halved:
            self.remark(entry.name, "lyrics_not_readable", why)
        if self._singer is not None:
            facts = replace(facts, artist=self._singer)
        return Song(entry.wanted_id, data, **vars(facts))

    def _tags(self, name: str, data: bytes) -> Facts:
        found = tags_apart(data)
        for reason, why in found.remarks:
            self.remark(name, reason, why)
        try:
            tags = facts_of(found.texts)
        except InputError as error:
            self.remark(name, "lyrics_not_readable", f"in its tags: {error}")
            return Facts()
        return replace(tags, artist=None) if self._singers_from == "none" else tags

    def _song_rows(self, files: Iterable[Path]) -> Iterator[tuple[str, SongRows]]:
        for path in files:
            if path.suffix.lower() == _ROWS and self._only in (None, path):
                try:
                    rows = SongRows(path)
                    if rows.holds_audio:
                        yield self._name(path), rows
                except (InputError, OSError):
                    continue  # it is told as a table that cannot be used

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
            is_shaped = not self._rows and looks_like_singers(self._songs, self.root.name)
            asked = "folder" if is_shaped and not self._tagged() else "tags"
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
        first = {str(PurePosixPath(name).parent): path for name, path in reversed(self._songs.items())}
        return any(facts_of(tags_apart(_bytes(path)).texts).artist for path in first.values())

    def _read_layouts(self, layouts: Iterable[Layout]) -> set[Path]:
        """What a corpus of known layout says of its recordings. Gives the files that tell of a recording alone."""
        by_stem = {str(Path(name).with_suffix("")): name for name in self._songs}
        used: set[Path] = set()
        for known in known_recordings(self.root, layouts, self._songs):
            name = by_stem.get(known.stem)
            used |= set(known.files)
            if known.fault is not None:
                self.remark(name or known.stem, "score_not_readable", known.fault)
            if name is not None:
                self._facts[name] = known.facts
        return used

    def _read_tables(self, files: Sequence[Path], given: Path | None, audio: Sequence[Path]) -> set[Path]:
        """Tables that are found, then the given one, whose facts count before. Gives the files that are tables."""
        names = Songs(self.root, self._songs)
        own = {path.with_suffix("") for path in audio}
        tables: set[Path] = set()
        for path in files:
            if given is not None and os.path.realpath(given) == os.path.realpath(path):
                tables.add(path)
            elif path.suffix.lower() in TABLE_SUFFIXES and path.with_suffix("") not in own:
                if path.suffix.lower() != _ROWS and not is_table(path, names.holds(self._name(path.parent))):
                    continue
                tables.add(path)
                try:
                    self._read_table(path, names)
                except (InputError, OSError) as error:
                    self.remark(self._name(path), "table_not_used", str(error))
        if given is not None:
            try:
                self._read_table(given, names)
            except InputError as error:
                raise InputError(f"--table {error}") from None
        return tables

    def _read_table(self, path: Path, songs: Songs) -> None:
        inside = path.is_relative_to(self.root)
        folder = self._name(path.parent) if inside else ""
        table = read_table(path, self._name(path) if inside else str(path), songs.holds(folder))
        owned, missed = assign(table.rows, songs, folder)
        for name, rows in owned.items():
            for facts in rows:
                self._facts[name] = facts.over(self._facts.get(name, Facts()))
        for remark in table.remarks:
            self.remark(*remark)
        for written, why in missed.items() if self._only is None else ():
            self.remark(written, why.reason, f"{path.name} names it; {why.measurement}")

    def _why_not_used(self, path: Path) -> tuple[str, str, str]:
        """(name, reason, what to do) of a file that is no song and tells of none."""
        suffix = path.suffix.lower()
        if suffix in NOT_TAKEN:
            return self._name(path), *NOT_TAKEN[suffix]
        if path in self._beside.unowned:
            return self._name(path), "no_song_of_its_name", self._beside.unowned[path]
        if suffix in TABLE_SUFFIXES:
            return self._name(path), "not_used", "its name is a song's; call a table of songs by another name"
        return self._name(path), "other_file", f"{suffix or 'no ending'}: neither a song nor lyrics"

    def _name(self, path: Path) -> str:
        return printable(str(path.relative_to(self.root)))


def _is_beside(path: Path) -> bool:
    return path.suffix.lower() in _BESIDE


def _around(song: Path) -> list[Path]:
    """The files that may tell of one song: those of its folder and of folders of lyrics in and beside it."""
    try:
        inner = [path for path in (*song.parent.iterdir(), *song.parent.parent.iterdir()) if _is_lyric_folder(path)]
        found = {path for folder in (song.parent, *inner) for path in folder.iterdir() if os.path.isfile(path)}  # noqa: PTH113
    except OSError:
        found = set()
    return sorted({path for path in found if path.is_relative_to(song.parent)} | {song})


def _is_lyric_folder(path: Path) -> bool:
    return path.name.casefold() in LYRIC_FOLDERS and os.path.isdir(path)  # noqa: PTH112


def _bytes(path: Path) -> bytes:
    """Of a file that may be unreadable; loading it later reports that."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
