"""Tags and lyrics in audio files, written by mutagen: each container's own names mean the same."""

import io

import pytest

from autosing.audio import guard
from autosing.audio.guard import tags_apart
from autosing.audio.tags import read_tags
from processing.importer.importer import import_corpus
from support.hostile import song
from support.media import media, tone
from tests.test_import_guards import rows

LRC = "[00:01.00]golden river\n[00:03.00]moon"
WANTED = {"artist": "Ann", "title": "Tïtle", "language": "eng", "licence": "CC0"}


def tagged_mp3(*frames, data: bytes | None = None) -> bytes:
    from mutagen.id3 import ID3

    held = ID3()
    for frame in frames:
        held.add(frame)
    sink = io.BytesIO()
    held.save(sink)
    return sink.getvalue() + (song("mp3", "mp3") if data is None else data)


def id3_frames():
    from mutagen.id3 import TCOP, TIT2, TLAN, TPE1

    return TPE1(3, ["Ann"]), TIT2(3, ["Tïtle"]), TLAN(3, ["eng"]), TCOP(3, ["CC0"])


def saved(kind, data: bytes, **tags) -> bytes:
    sink = io.BytesIO(data)
    opened = kind(sink)
    if opened.tags is None:
        opened.add_tags()
    for key, value in tags.items():
        opened[key] = value
    sink.seek(0)
    opened.save(sink)
    return sink.getvalue()


def flac(**tags) -> bytes:
    from mutagen.flac import FLAC

    return saved(FLAC, song("tags", "flac"), **tags)


def m4a(**tags) -> bytes:
    from mutagen.mp4 import MP4

    return saved(MP4, media(tone(), "m4a"), **tags)


def test_id3_gives_facts_and_lyrics():
    from mutagen.id3 import USLT

    assert read_tags(tagged_mp3(*id3_frames(), USLT(3, "eng", "", "la\nlu"))).texts == WANTED | {"lyrics": "la\nlu"}


@pytest.mark.parametrize("entries", [
    [("golden river", 1000), ("moon", 3000)],
    [("gol", 1000), ("den ", 1500), ("river", 2000), ("\nmoon", 3000)],
    [("gol", 1000), ("den ", 1500), ("river\n", 2000), ("moon", 3000)],
])  # fmt: skip
def test_sylt_gives_lines_with_their_times(entries):
    from mutagen.id3 import SYLT

    tags = read_tags(tagged_mp3(SYLT(3, "eng", 2, 1, "", entries))).texts
    from autosing.text.lrc import parse_lrc

    assert [(x.text, x.start_s) for x in parse_lrc(tags["synced_lyrics"]).lines] == [
        ("golden river", 1.0),
        ("moon", 3.0),
    ]


def test_sylt_that_counts_frames_is_not_taken_for_milliseconds():
    from mutagen.id3 import SYLT

    found = read_tags(tagged_mp3(SYLT(3, "eng", 1, 1, "", [("la", 40)]), SYLT(3, "fra", 1, 1, "", [("lu", 40)])))
    assert not found.texts and [reason for reason, _ in found.remarks] == ["lyrics_not_used"]
    assert "MPEG frames" in found.remarks[0][1]


def test_comments_of_flac_and_ogg_give_facts_and_lyrics():
    from mutagen.oggopus import OggOpus
    from mutagen.oggvorbis import OggVorbis

    tags = {"artist": "Ann", "title": "Tïtle", "language": "eng", "license": "CC0", "SYNCEDLYRICS": LRC, "LYRICS": "la"}
    for data in (flac(**tags), saved(OggVorbis, song("x", "ogg"), **tags), saved(OggOpus, song("x", "opus"), **tags)):
        assert read_tags(data).texts == WANTED | {"synced_lyrics": LRC, "lyrics": "la"}


def test_mp4_gives_facts_and_lyrics():
    tags = {"\xa9ART": "Ann", "\xa9nam": "Tïtle", "cprt": "CC0", "\xa9lyr": "la\nlu"}
    data = m4a(**tags, **{"----:com.apple.iTunes:LANGUAGE": b"eng"})
    assert read_tags(data).texts == WANTED | {"lyrics": "la\nlu"}


def test_other_containers_give_facts():
    assert read_tags(media(tone(), "mka", {"title": "T", "artist": "A", "lyrics": "la"})).texts == {
        "title": "T", "artist": "A", "lyrics": "la",
    }  # fmt: skip
    assert read_tags(media(tone(), "wv")).texts == {} and read_tags(song("wav")).texts == {}


def test_the_album_artist_stands_in_and_nobody_is_no_artist():
    assert read_tags(flac(albumartist="Bo")).texts["artist"] == "Bo"
    assert read_tags(flac(artist="Ann", albumartist="Bo")).texts["artist"] == "Ann"
    assert "artist" not in read_tags(flac(artist="Unknown Artist", albumartist="Various Artists")).texts


BROKEN = (
    b"", b"ID3\x04\0\0\0\0\x7f\x7f" + bytes(9), b"fLaC" + bytes(40), b"\0\0\0 ftypM4A " + bytes(40),
    b"RIFF" + bytes(40), b"\x1a\x45\xdf\xa3" + bytes(40), b"OggS" + bytes(60), b"la la la",
)  # fmt: skip


@pytest.mark.parametrize("data", BROKEN)
def test_what_is_broken_has_no_tags(data):
    assert read_tags(data).texts == {} and tags_apart(data).texts == {}


def test_lyrics_in_tags_count_where_no_file_has_any(tmp_path):
    from mutagen.id3 import SYLT, USLT

    root = tmp_path / "s"
    root.mkdir()
    (root / "stamped.mp3").write_bytes(tagged_mp3(SYLT(3, "eng", 2, 1, "", [("la", 1000)]), *id3_frames()))
    (root / "plain.mp3").write_bytes(tagged_mp3(USLT(3, "eng", "", "la &amp; lu"), data=song("other", "mp3")))
    (root / "lrc.flac").write_bytes(flac(LYRICS=LRC))
    (root / "beside.m4a").write_bytes(m4a(**{"\xa9lyr": LRC}))
    (root / "beside.txt").write_text("la")
    report = import_corpus(root, tmp_path / "c")
    held = {row.id: (row.lrc_lyrics, row.raw_lyrics) for row in rows(tmp_path / "c").values()}
    assert held == {
        "stamped": ("[00:01.00]la", None),
        "plain": (None, "la & lu"),
        "lrc": (LRC, None),
        "beside": (None, "la"),
    }
    assert rows(tmp_path / "c")["stamped"].licence == "CC0" and report.known["LRC"] == 2


@pytest.mark.parametrize("words", ["строка номер\n" * 400, "月亮在河上慢慢升起来了，" * 1200])
def test_long_lyrics_come_through_the_decoding_process(words):
    """Chinese was measured by twice its bytes, and dropped."""
    assert tags_apart(tagged_mp3(*uslt(words))) == ({"lyrics": words.strip()}, [])


def uslt(*words: str):
    from mutagen.id3 import USLT

    return [USLT(3, f"x{k:02}", "", text) for k, text in enumerate(words)]


@pytest.mark.parametrize("make", [
    lambda: flac(LYRICS="la\n" * 40_000), lambda: flac(SYNCEDLYRICS=LRC * 2000),
    lambda: m4a(**{"\xa9lyr": "la\n" * 40_000}),
])  # fmt: skip
def test_lyrics_that_are_too_long_are_told_of(tmp_path, make):
    (tmp_path / "s").mkdir()
    data = make()
    (tmp_path / "s" / ("a.m4a" if data[4:8] == b"ftyp" else "a.flac")).write_bytes(data)
    report = import_corpus(tmp_path / "s", tmp_path / "c")
    ((row, said),) = zip(rows(tmp_path / "c").values(), report.remarks, strict=True)
    assert row.lrc_lyrics is None and row.raw_lyrics is None and said["reason"] == "lyrics_not_used"
    assert "at most 48,000 are read; put them into a file beside the song" in said["measurement"]


def test_other_lyrics_than_the_first_and_what_is_cut_are_told_of():
    found = tags_apart(tagged_mp3(*uslt("la", "lu", "li", "la")))
    assert found.texts == {"lyrics": "la"}
    assert found.remarks == [("lyrics_not_used", "uslt in its tags: several, of which the first is read")]
    found = tags_apart(flac(title="T" * 5000))
    assert found.texts == {"title": "T" * 1024}
    assert found.remarks == [("tag_cut", "title of 5,000 characters, of which 1,024 are kept")]


def test_tags_that_take_too_much_are_told_of(monkeypatch):
    """The song itself may be whole: it was taken without its lyrics."""
    told = "import autosing.audio.guard as g\ndef read(data): raise MemoryError\ng.read_tags = read\ng.serve()"
    monkeypatch.setattr(guard, "_PROGRAM", told)
    monkeypatch.setattr(guard, "_idle", [])
    ((reason, found),) = tags_apart(flac(title="T")).remarks
    assert reason == "tags_not_readable" and "takes more memory" in found
