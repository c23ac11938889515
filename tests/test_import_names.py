"""What a folder holds besides songs: tables in anybody's spelling, files that cannot be read, links, other formats.

A song gets the words that are surely its own, and what is not used is told.
"""

import json
import unicodedata
from pathlib import Path

import pytest

from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.storage.tables import partitions, read_rows, table_path
from processing.importer.importer import ImportReport, import_corpus
from support.hostile import song


def folder(root: Path, *names: str, **texts: str | bytes) -> Path:
    """Songs of these names, each its own sound, and other files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(song(name, samples=200))
    for name, text in texts.items():
        (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def taken(source: Path, corpus: Path, **more: Path) -> tuple[dict[str, str | None], ImportReport]:
    """(the song as it is called in the source, by its sound -> its words; the report)."""
    report = import_corpus(source, corpus, **more)
    rows = {row.audio: row for k in partitions(corpus) for row in read_rows(table_path(corpus, k, "index"), Song)}
    found = {}
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        if path.is_file() and (row := rows.get(path.read_bytes())):
            found[str(path.relative_to(source))] = row.raw_lyrics or row.lrc_lyrics
    return found, report


def reasons(report: ImportReport) -> set[tuple[str, str]]:
    return {(item["file"], item["reason"]) for item in report.remarks}


ALBUMS = ("a/01.wav", "b/01.wav", "b/two.wav", "c/ünïque.wav")


@pytest.mark.parametrize(
    ("written", "owner"),
    [
        ("/home/me/music/b/01.wav", "b/01.wav"),
        ("C:\\Music\\b\\01.wav", "b/01.wav"),
        ("b/01.wav", "b/01.wav"),
        ("./b/../b/01.wav", "b/01.wav"),
        ("b/01", "b/01.wav"),
        ("two", "b/two.wav"),
        ("two.wav", "b/two.wav"),
        (unicodedata.normalize("NFD", "c/ünïque.wav"), "c/ünïque.wav"),
        ("01.wav", "listed_ambiguously"),
        ("/home/me/music/d/01.wav", "listed_ambiguously"),
        ("/home/me/music/d/two.wav", "listed_elsewhere"),
        ("three.wav", "listed_but_absent"),
    ],
)
def test_a_name_in_a_table_is_one_songs_or_nobodys(tmp_path, written, owner):
    rows = json.dumps([{"file": written, "lyrics": "la"}])
    words, report = taken(folder(tmp_path / "s", *ALBUMS, **{"list.json": rows}), tmp_path / "c")
    assert words == {name: "la" if name == owner else None for name in ALBUMS}
    assert reasons(report) == (set() if owner in ALBUMS else {(written, owner)})


def test_no_album_gets_the_words_of_another_wherever_the_table_was_written(tmp_path):
    """The folder d is not here: its words are nobody's, though a name ends like a song that is."""
    rows = "".join(f"/home/me/music/{name},words of {name}\n" for name in (*ALBUMS, "d/01.wav", "d/two.wav"))
    words, report = taken(folder(tmp_path / "s", *ALBUMS, **{"l.csv": f"file,lyrics\n{rows}"}), tmp_path / "c")
    assert words == {name: f"words of {name}" for name in ALBUMS}
    assert {Path(name).parent.name for name, _ in reasons(report)} == {"d"}


def test_of_two_names_that_end_like_one_song_the_better_has_it_and_equals_have_nothing(tmp_path):
    rows = "file,lyrics\n/x/a/1.wav,first\n/y/1.wav,second\n/x/b/2.wav,third\n/y/b/2.wav,fourth\n"
    words, report = taken(folder(tmp_path / "s", "a/1.wav", "b/2.wav", **{"l.csv": rows}), tmp_path / "c")
    assert words == {"a/1.wav": "first", "b/2.wav": None}
    assert {name for name, _ in reasons(report)} == {"/y/1.wav", "/x/b/2.wav", "/y/b/2.wav"}


def test_a_tables_own_folder_comes_before_the_root(tmp_path):
    rows = "file,lyrics\n01.wav,own\n"
    source = folder(tmp_path / "s", "01.wav", "a/01.wav", **{"a/l.csv": rows})
    assert taken(source, tmp_path / "c")[0] == {"01.wav": None, "a/01.wav": "own"}


def test_empty_rows_are_no_rows_and_rows_without_a_name_are_told(tmp_path):
    rows = "file,lyrics\r\na.wav,la la\r\n,\r\n,nobody's\r\n,\r\n"
    words, report = taken(folder(tmp_path / "s", "a.wav", **{"l.csv": rows}), tmp_path / "c")
    assert words == {"a.wav": "la la"} and reasons(report) == {("l.csv", "row_without_file")}


@pytest.mark.parametrize(
    ("name", "text"),
    [("rip log.csv", "track,peak\n1,98.1\n"), ("x.jsonl", "{"), ("x.csv", b"\0\1\2"), ("empty.csv", "")],
)
def test_a_table_of_other_things_among_the_songs_is_told_and_one_that_was_given_is_refused(tmp_path, name, text):
    source = folder(tmp_path / "s", "a.wav", **{name: text})
    words, report = taken(source, tmp_path / "c")
    assert words == {"a.wav": None} and reasons(report) == {(name, "table_not_used")}
    with pytest.raises(InputError, match=f"--table .*{name}"):
        import_corpus(source, tmp_path / "d", source / name)
    assert not (tmp_path / "d").exists()


def test_files_that_cannot_be_read_cost_only_what_they_hold(tmp_path):
    source = folder(tmp_path / "s", "a.wav", "b.wav", "c.wav", **{"a.lrc": "[00:01.00]la"})
    (source / "a.txt").symlink_to("nowhere.txt")
    (source / "b.txt").mkdir()
    (source / "gone.wav").symlink_to("nowhere.wav")
    (source / "list.csv").symlink_to("nowhere.csv")
    words, report = taken(source, tmp_path / "c")
    assert words == {"a.wav": "[00:01.00]la", "b.wav": None, "c.wav": None}
    told = {("a.wav", "lyrics_not_readable"), ("b.txt", "not_a_file"), ("list.csv", "table_not_used")}
    assert reasons(report) == told
    assert [(item["file"], item["reason"]) for item in report.left_out] == [("gone.wav", "not_readable")]
    with pytest.raises(InputError, match=r"--table .*is a directory"):
        import_corpus(source, tmp_path / "d", source / "b.txt")


def test_folders_are_taken_in_once_whether_linked_or_named_like_a_hidden_one(tmp_path):
    folder(tmp_path / "other", "album/01.wav")
    source = folder(tmp_path / "s", "...And Then/1.wav", "...dots.wav", ".trash/x.wav", ".trash/y.wav", "._1.wav")
    for name, target in (("album", "../other/album"), ("again", "../other/album"), ("loop", "."), ("up", "..")):
        (source / name).symlink_to(target)
    report = import_corpus(source, tmp_path / "c")
    assert len(report.new) == 3 and not report.left_out
    assert reasons(report) == {(".trash", "hidden"), ("up", "link_upwards")}


def test_one_song_is_taken_with_what_lies_beside_it(tmp_path):
    rows = "file,artist\na.wav,Ann\nb.wav,Bo\n"
    source = folder(tmp_path / "s", "a.wav", "b.wav", **{"a.txt": "la", "b.txt": "lu", "l.csv": rows, "x": b"no"})
    report = import_corpus(source / "a.wav", tmp_path / "c", source / "l.csv")
    (row,) = (r for k in partitions(tmp_path / "c") for r in read_rows(table_path(tmp_path / "c", k, "index"), Song))
    assert (row.id, row.raw_lyrics, row.artist) == ("a", "la", "Ann") and not report.remarks
    whole = import_corpus(source, tmp_path / "c", source / "l.csv")
    assert (whole.kept, whole.new) == (["a"], ["b"])
    with pytest.raises(InputError, match="none of its 1 songs can be used"):
        import_corpus(source / "x", tmp_path / "d")


def test_the_summary_counts_what_is_known_of_the_songs(tmp_path):
    rows = "file,language,artist\na.wav,en,Ann\nb.wav,,Bo\n"
    texts = {"a.lrc": "[00:01.00]la", "b.txt": "la", "l.csv": rows, "twin.wav": song("c.wav", samples=200)}
    source = folder(tmp_path / "s", "a.wav", "b.wav", "c.wav", "d.wav", **texts)
    counts = {"LRC": 1, "plain lyrics": 1, "no lyrics": 2, "language": 1, "artist": 2}
    for report in (import_corpus(source, tmp_path / "c"), import_corpus(source, tmp_path / "c")):
        assert report.known == counts
        shown = {row["outcome"]: row["songs"] for row in report.rows()}
        assert {f"known: {name}": count for name, count in counts.items()}.items() <= shown.items()
    assert json.loads((tmp_path / "c" / "_import.json").read_text())["known"] == counts


def test_an_ultrastar_file_gives_words_and_facts_and_no_notes(tmp_path):
    notes = "#TITLE:A\n#ARTIST:B\n#BPM:300\n#GAP:0\n: 0 4 60 gol\n* 4 4 60 den\n: 8 8 62  ri\n: 16 8 60 ver\n- 26 28\n"
    texts = {"a.txt": f"{notes}: 30 8 60 moon\nE\n", "b.txt": "#1 of the charts\nla\n"}
    source = folder(tmp_path / "s", "a.wav", "b.wav", **texts)
    assert taken(source, tmp_path / "c")[0] == {"a.wav": "golden river\nmoon", "b.wav": texts["b.txt"].strip()}
