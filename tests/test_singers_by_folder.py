"""Folders of singers: who sings is known from where a song lies, where the whole shape of the source says so."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.storage.tables import partitions, read_rows, table_path
from processing.importer.importer import ImportReport, import_corpus
from processing.importer.singers import looks_like_singers
from tests.test_import import sound, write

SINGERS = ("Ann/a1.wav", "Ann/a2.wav", "Bö B/x.wav", "Bö B/y.wav", "Bö B/z.wav")


def folder(root: Path, *names: str) -> Path:
    return write(root, {name: sound(k) for k, name in enumerate(names)})


def artists(corpus: Path) -> dict[str, str | None]:
    rows = (row for k in partitions(corpus) for row in read_rows(table_path(corpus, k, "index"), Song))
    return {row.id.rpartition("_")[2] if row.artist is None else row.id: row.artist for row in rows}


def remarks(report: ImportReport, reason: str = "singer_by_folder") -> set[str]:
    return {item["file"] for item in report.remarks if item["reason"] == reason}


def test_a_folder_of_singers_is_one_and_the_summary_says_so(tmp_path):
    report = import_corpus(folder(tmp_path / "s", *SINGERS), tmp_path / "c")
    assert sorted(filter(None, artists(tmp_path / "c").values())) == ["Ann", "Ann", "Bö B", "Bö B", "Bö B"]
    assert remarks(report) == {"Ann", "Bö B"} and report.known["artist"] == 5
    (row,) = (row for row in report.rows() if row["outcome"] == "remark: singer_by_folder")
    assert row["songs"] == 2 and "Ann" in row["files"]


@pytest.mark.parametrize("names", [
    ("Ann/1.wav", "Ann/2.wav"),
    ("Ann/1.wav", "Ann/2.wav", "Bo/1.wav"),
    (*SINGERS, "alone.wav"),
    (*SINGERS, "Ann/live/3.wav"),
    ("one/vocals.wav", "one/mixture.wav", "two/vocals.wav", "two/mixture.wav"),
    ("1.wav", "2.wav"),
])  # fmt: skip
def test_other_shapes_say_nothing_of_singers(tmp_path, names):
    assert not looks_like_singers(names)
    report = import_corpus(folder(tmp_path / "s", *names), tmp_path / "c")
    assert set(artists(tmp_path / "c").values()) == {None} and not remarks(report)


def test_singers_may_number_their_songs_alike():
    assert looks_like_singers(["Ann/001.wav", "Ann/002.wav", "Bo/001.wav", "Bo/002.wav"])


def test_where_it_is_asked_for_the_first_folder_is_the_singer(tmp_path):
    source = folder(tmp_path / "s", "Ann/live/1.wav", "Ann/2.wav", "3.wav")
    report = import_corpus(source, tmp_path / "c", singers_from="folder")
    assert sorted(map(str, artists(tmp_path / "c").values())) == ["Ann", "Ann", "None"] and remarks(report) == {"Ann"}


def test_tags_make_folders_albums_and_can_be_left_unheard(tmp_path):
    source = folder(tmp_path / "s", "One/1.wav", "One/2.wav", "Two/2.wav")
    with sf.SoundFile(source / "Two" / "1.flac", "w", 16_000, 1) as file:
        file.artist = "Cy"
        file.write(np.full(8000, 0.1, np.float32))
    assert not remarks(import_corpus(source, tmp_path / "auto"))
    assert set(artists(tmp_path / "auto").values()) == {None, "Cy"}
    import_corpus(source, tmp_path / "none", singers_from="none")
    assert set(artists(tmp_path / "none").values()) == {None}
    import_corpus(source, tmp_path / "folder", singers_from="folder")
    assert set(artists(tmp_path / "folder").values()) == {"One", "Two"}


def test_a_table_knows_better_than_a_folder(tmp_path):
    source = folder(tmp_path / "s", *SINGERS)
    (source / "list.csv").write_text("file,singer\nAnn/a1.wav,Anna\n")
    import_corpus(source, tmp_path / "c")
    assert sorted(filter(None, artists(tmp_path / "c").values())) == ["Ann", "Anna", "Bö B", "Bö B", "Bö B"]


def test_one_singer_may_be_named_whatever_folders_tags_and_tables_say(tmp_path):
    source = folder(tmp_path / "s", *SINGERS)
    (source / "list.csv").write_text("file,singer\nAnn/a1.wav,Anna\n")
    assert not remarks(import_corpus(source, tmp_path / "c", singer="Dora"))
    assert list(artists(tmp_path / "c").values()) == ["Dora"] * 5
    import_corpus(source / "Ann" / "a1.wav", tmp_path / "one", singer="Dora")
    assert list(artists(tmp_path / "one").values()) == ["Dora"]
    with pytest.raises(InputError, match=r"--singer Dora: sings everything, .* give one of them"):
        import_corpus(source, tmp_path / "d", singers_from="folder", singer="Dora")
    with pytest.raises(InputError, match=r"--singer Dora: .* is a corpus, .* leave it out"):
        import_corpus(tmp_path / "c", tmp_path / "d", singer="Dora")


def test_singers_by_folder_of_what_has_no_folders_is_refused(tmp_path):
    source = folder(tmp_path / "s", "1.wav", "2.wav")
    with pytest.raises(InputError, match=r"--singers-from folder: no song of .* lies in a folder"):
        import_corpus(source, tmp_path / "c", singers_from="folder")
    with pytest.raises(InputError, match=r"--singers-from folder: .*1\.wav is one song"):
        import_corpus(source / "1.wav", tmp_path / "c", singers_from="folder")
    import_corpus(source, tmp_path / "c")
    with pytest.raises(InputError, match="is a corpus, which has the singers in its column artist"):
        import_corpus(tmp_path / "c", tmp_path / "d", singers_from="none")
