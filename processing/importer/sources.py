"""A path -> the source of songs that lies there: a folder of files at any depth, one song, or a corpus."""

from pathlib import Path

from autosing.errors import InputError
from autosing.storage.tables import find_partitions
from processing.importer.corpus import CorpusSource
from processing.importer.folder import FolderSource
from processing.importer.singers import SingersFrom
from processing.importer.source import Source


def open_source(
    path: Path, table: Path | None, singers_from: SingersFrom | None = None, singer: str | None = None
) -> Source:
    """`singers_from`, `singer`: see FolderSource.

    Raises InputError: no such file or folder, nothing in it, a table that cannot be used, `singers_from` "folder" for a
    source without folders, both of `singers_from` and `singer`.
    """
    if singer is not None and singers_from is not None:
        raise InputError(f"--singer {singer}: sings everything, so --singers-from has no say; give one of them")
    try:
        if not path.exists():
            raise InputError(f"source {path}: does not exist; give a folder of songs, or one song")
        if path.is_file():
            return FolderSource(path.parent, table, only=path, singers_from=singers_from, singer=singer)
        if not path.is_dir():
            raise InputError(f"source {path}: neither a file nor a folder; give a folder of songs, or one song")
        is_corpus = bool(find_partitions(path))
    except OSError as error:
        raise InputError(f"source {path}: cannot be read ({error.strerror}); give a folder that you may read") from None
    if is_corpus and table is not None:
        raise InputError(f"--table {table}: {path} is a corpus, which has the facts in its columns; omit --table")
    asked = f"--singers-from {singers_from}" if singers_from else f"--singer {singer}" if singer is not None else None
    if is_corpus and asked:
        raise InputError(f"{asked}: {path} is a corpus, which has the singers in its column artist; leave it out")
    return CorpusSource(path) if is_corpus else FolderSource(path, table, singers_from=singers_from, singer=singer)
