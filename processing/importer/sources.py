"""A path -> the source of songs that lies there: a folder of files at any depth, one song, or a corpus."""

from pathlib import Path

from autosing.errors import InputError
from autosing.storage.tables import find_partitions
from processing.importer.corpus import CorpusSource
from processing.importer.folder import FolderSource
from processing.importer.singers import SingersFrom
from processing.importer.source import Source


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
