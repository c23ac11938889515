"""Hostile tables and lyrics: each is a named reject or a clear error, and the good rows beside it are unharmed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.config import Config
from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.stage import Rejected, Stage
from autosing.storage.tables import partitions, read_rows, rejects_path, table_path
from autosing.text.lrc import parse_lrc
from processing.engine.runner import run
from processing.importer.importer import import_corpus
from processing.pipeline import PipelineConfig
from processing.report import status
from support.hostile import song


@dataclass(frozen=True)
class Heard:
    id: str
    audio: bytes
    raw_lyrics: str | None = None


@dataclass(frozen=True)
class Sized:
    id: str
    size: int


class Measure(Stage[Heard, Sized]):
    name, version, reads, takes, gives = "separate", 1, ("index",), Heard, Sized

    def apply(self, row: Heard) -> Sized:
        return Sized(row.id, len(row.audio))


def columns(**changed: Any) -> dict[str, Any]:
    return {"id": ["a", "b"], "audio": [song("a"), song("b")], "raw_lyrics": ["la", None], **changed}


def held(**changed: Any) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table(columns(**changed)), path)


def without(name: str) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table(columns()).drop_columns([name]), path)


def spoiled(spoil: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        held()(path)
        path.write_bytes(spoil(path.read_bytes()))

    return write


def called_twice(path: Path) -> None:
    table = pa.table(columns())
    pq.write_table(table.append_column("audio", table["audio"]), path)


def not_utf8(path: Path) -> None:
    texts = pa.array([b"\xff\xfe", b"la"]).cast(pa.binary()).view(pa.string())
    pq.write_table(pa.table(columns(raw_lyrics=texts)), path)


def foreign_words(path: Path) -> None:
    pq.write_table(pa.table(columns()).replace_schema_metadata({"autosing": "[1, 2]"}), path)


WRONG = pa.array([{"bytes": b"x", "path": "x.wav"}] * 2)
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "id twice": (held(id=["a", "a"]), "id a is twice in it"),
    "id of the other partition": (held(id=["a", "good-0"]), "id good-0 is in partitions 0 and 1"),
    "dot in an id": (held(id=["a.b", "b"]), r"id 'a\.b': only letters"),
    "slash in an id": (held(id=["a/b", "b"]), "id 'a/b': only letters"),
    "way out in an id": (held(id=["../../etc", "b"]), "only letters"),
    "space in an id": (held(id=["a b", "b"]), "id 'a b': only letters"),
    "empty id": (held(id=["", "b"]), "id '': only letters"),
    "ids are numbers": (held(id=[1, 2]), "column id holds int64, need text"),
    "audio is text": (held(audio=["/etc/passwd", "b.wav"]), "column audio holds string, need bytes"),
    "audio is numbers": (held(audio=[[0.1], [0.2]]), "column audio holds list<.*>, need bytes"),
    "audio is a struct": (held(audio=WRONG), "column audio holds struct<.*>, need bytes"),
    "lyrics are lists": (held(raw_lyrics=[["la"], None]), "column raw_lyrics holds list<.*>, need text"),
    "no audio column": (without("audio"), "no column audio"),
    "no id column": (without("id"), "no column id"),
    "audio twice": (called_twice, "2 columns are called audio"),
    "no footer": (spoiled(lambda data: data[:-200]), r"0/index\.parquet: not a whole Parquet table"),
    "half of it": (spoiled(lambda data: data[: len(data) // 2]), "not a whole Parquet table"),
    "footer says too much": (spoiled(lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1"), "not a whole Parquet table"),
    "no bytes": (lambda path: path.write_bytes(b""), "not a whole Parquet table"),
    "words": (lambda path: path.write_text("id,audio\n"), "not a whole Parquet table"),
    "lost pages": (spoiled(lambda data: data[:4] + bytes(400) + data[404:]), "not a whole Parquet table"),
    "text that is no UTF-8": (not_utf8, "not a whole Parquet table"),
    "our metadata by another": (foreign_words, "not a whole Parquet table"),
}  # fmt: skip


def corpus_of(root: Path, write: Callable[[Path], None]) -> Path:
    """Partition 0 is hostile, partition 1 is good."""
    for k in "01":
        (root / k).mkdir(parents=True)
    write(table_path(root, 0, "index"))
    held(id=["good-0", "good-1"], audio=[song("good 0"), song("good 1")])(table_path(root, 1, "index"))
    return root


def made(corpus: Path, partition: int) -> tuple[list[str], dict[str, str]]:
    rows = [row.id for row in read_rows(table_path(corpus, partition, "separate"), Sized)]
    return rows, {row.id: row.reason for row in read_rows(rejects_path(corpus, partition, "separate"), Rejected)}


@pytest.mark.parametrize(("write", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_table_that_cannot_be_used_is_refused_by_name_and_the_good_ones_stay(tmp_path, write, words):
    corpus = corpus_of(tmp_path / "c", write)
    with pytest.raises(InputError, match=words):
        run(corpus, [Measure(Config())], PipelineConfig(), "inline")
    assert not list(corpus.glob("*/.*part")) and not table_path(corpus, 0, "separate").exists()
    try:
        assert status(corpus)[0]["stage"] == "index"
    except InputError as error:
        assert "index.parquet" in str(error)
    (corpus / "0").rename(tmp_path / "aside")
    assert not run(corpus, [Measure(Config())], PipelineConfig(), "inline").failures
    assert made(corpus, 1) == (["good-0", "good-1"], {})


USED: dict[str, tuple[Callable[[Path], None], list[str], dict[str, str]]] = {
    "null id": (held(id=[None, "b"]), ["b"], {"row-0": "no_id"}),
    "null audio": (held(audio=[None, b"b"]), ["b"], {"a": "no_audio"}),
    "a column of nothing": (held(audio=pa.nulls(2)), [], {"a": "no_audio", "b": "no_audio"}),
    "lyrics of nothing": (held(raw_lyrics=pa.nulls(2)), ["a", "b"], {}),
    "no rows": (held(id=pa.array([], pa.string()), audio=pa.array([], pa.binary()), raw_lyrics=pa.nulls(0)), [], {}),
    "ids in a dictionary": (held(id=pa.array(["a", "b"]).dictionary_encode()), ["a", "b"], {}),
    "large types": (held(id=pa.array(["a", "b"], pa.large_string())), ["a", "b"], {}),
    "columns unheard of": (held(mood=[{"x": [1]}, None]), ["a", "b"], {}),
    "a huge row group": (
        held(id=[f"r{k}" for k in range(5000)], audio=[b"x"] * 5000, raw_lyrics=["la" * 999] * 5000),
        [f"r{k}" for k in range(5000)], {},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("write", "rows", "rejects"), USED.values(), ids=USED.keys())
def test_an_odd_table_is_used_row_by_row(tmp_path, write, rows, rejects):
    corpus = corpus_of(tmp_path, write)
    assert not run(corpus, [Measure(Config())], PipelineConfig(), "inline").failures
    assert made(corpus, 0) == (rows, rejects) and made(corpus, 1) == (["good-0", "good-1"], {})
    assert status(corpus)[1]["rejected"] == len(rejects)


def test_a_table_of_ours_that_was_damaged_is_named_with_the_remedy(tmp_path):
    corpus = corpus_of(tmp_path, held())
    run(corpus, [Measure(Config())], PipelineConfig(), "inline")
    damaged = table_path(corpus, 0, "separate")
    damaged.write_bytes(damaged.read_bytes()[:-9])
    for use in (lambda: run(corpus, [Measure(Config())], PipelineConfig(), "inline"), lambda: status(corpus)):
        with pytest.raises(InputError, match=r"0/separate\.parquet: not a whole .*; remove it and run"):
            use()
    damaged.unlink()
    assert len(run(corpus, [Measure(Config())], PipelineConfig(), "inline").done) == 1


@pytest.mark.parametrize("name", ["1/data.parquet", "1/index.parquet/part-00000.parquet"])
def test_songs_in_files_of_other_names_are_not_passed_over_in_silence(tmp_path, name):
    for path in (tmp_path / "c" / "0" / "index.parquet", tmp_path / "c" / name):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"id": [path.stem], "audio": [b"x"]}), path)
    with pytest.raises(InputError, match=r"partition 1 has (no index.parquet, but data|a folder of part files).*join"):
        partitions(tmp_path / "c")
    with pytest.raises(InputError, match=r"need one file 1/index\.parquet"):
        import_corpus(tmp_path / "c", tmp_path / "copy")


@pytest.mark.parametrize("name", ["00", "٠", "²"])
def test_only_numbers_as_we_write_them_are_partitions(tmp_path, name):
    corpus = corpus_of(tmp_path, held())
    (corpus / "0").rename(corpus / name)
    if name == "²":
        assert partitions(corpus) == [1]
    else:
        with pytest.raises(InputError, match=f"partition {name} must be called 0"):
            partitions(corpus)


def test_hostile_ids_and_columns_are_mapped_by_import(tmp_path):
    source = corpus_of(tmp_path / "s", held(id=["a.b/c d", "a.b/c d"], raw_lyrics=[["la"], ["lu"]]))
    report = import_corpus(source, tmp_path / "c")
    kept = [row for k in partitions(tmp_path / "c") for row in read_rows(table_path(tmp_path / "c", k, "index"), Song)]
    assert len(kept) == len({row.id for row in kept}) == 4 and not report.left_out
    assert {"column_left_out", "renamed"} == {item["reason"] for item in report.remarks}
    with pytest.raises(InputError, match="column audio holds string"):
        import_corpus(corpus_of(tmp_path / "t", REFUSED["audio is text"][0]), tmp_path / "d")
    with pytest.raises(InputError, match="not a whole Parquet table"):
        import_corpus(corpus_of(tmp_path / "u", REFUSED["no footer"][0]), tmp_path / "d")


LYRICS: dict[str, tuple[str, bytes, str | None]] = {
    "mark": (".lrc", "\ufeff[00:01.00]a\r\n[00:02.00]b\r\n".encode(), "[00:01.00]a\r\n[00:02.00]b"),
    "utf16": (".txt", "밤에 🎤".encode("utf-16"), "밤에 🎤"),
    "emoji": (".txt", "👩‍🎤 sings\n🎵".encode(), "👩‍🎤 sings\n🎵"),
    "arabic": (".lrc", "\u202b[00:01.00]يا ليل".encode(), "\u202b[00:01.00]يا ليل"),
    "blank": (".lrc", b" \n\t\r\n", None),
    "utf16 without mark": (".txt", "la la".encode("utf-16-le"), "la la"),
    "nulls": (".lrc", b"[00:01.00]a\0b", "lyrics_not_readable"),
    "latin": (".txt", "un café".encode("latin-1"), "un café"),
    "half a character": (".json", b'{"lyrics": "\\ud83d"}', "lyrics_not_readable"),
    "depth": (".json", b"[" * 99_999, "lyrics_not_readable"),
    "cut json": (".json", b'{"lyrics": "la', "lyrics_not_readable"),
    "types": (".json", b'{"lyrics": 3, "artist": ["a"], "words": "la", "lines": [1]}', None),
}


def test_hostile_lyrics_are_taken_or_remarked_and_never_cost_the_song(tmp_path):
    for name, (suffix, content, _) in LYRICS.items():
        (tmp_path / f"{name}.wav").write_bytes(song(name, samples=200))
        (tmp_path / f"{name}{suffix}").write_bytes(content)
    report = import_corpus(tmp_path, tmp_path.with_name("corpus"))
    assert len(report.new) == len(LYRICS) and not report.left_out
    reasons = {item["file"].removesuffix(".wav"): item["reason"] for item in report.remarks}
    assert {name for name, reason in reasons.items() if reason == "encoding_guessed"} == {"utf16 without mark", "latin"}
    unread = {name for name, reason in reasons.items() if reason == "lyrics_not_readable"}
    assert unread == {name for name, (_, _, wanted) in LYRICS.items() if wanted == "lyrics_not_readable"}
    corpus = tmp_path.with_name("corpus")
    by_audio = {row.audio: row for k in partitions(corpus) for row in read_rows(table_path(corpus, k, "index"), Song)}
    for name, (_, _, wanted) in LYRICS.items():
        row = by_audio[song(name, samples=200)]
        assert (row.lrc_lyrics or row.raw_lyrics) == (None if name in unread else wanted), name


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("\u202b[00:01.00]يا ليل", [("يا ليل", 1.0)]),
        ("\u200f[ar:عمرو]\n\u200f[00:01.00]يا", [("يا", 1.0)]),
        ("[offset:nan]\n[00:01.00]a", [("a", 1.0)]),
        ("[offset:-inf]\n[00:01.00]a", [("a", 1.0)]),
        ("[offset:1e999]\n[00:01.00]a", [("a", 1.0)]),
        ("[offset:1500.0]\n[00:02.00]a", [("a", 0.5)]),
        ("[00:01.00]<00:01.00>a  b", [("a b", 1.0)]),
        ("[00:01.00]<00:01.00>a \t b <00:02.00>c", [("a b c", 1.0)]),
        ("[1000:00.00]late", [("late", 60_000.0)]),
        ("[00:01.00]👩‍🎤\r\n[00:02.00]🎵\r\n", [("👩‍🎤", 1.0), ("🎵", 2.0)]),
        ("[-1:00.00]a", [("a", -60.0)]),
        ("[00:01.00", [("[00:01.00", None)]),
        ("[" + "9" * 5000 + ":00.00]a", [("[" + "9" * 5000 + ":00.00]a", None)]),
    ],
)  # fmt: skip
def test_hostile_lrc_is_read_as_a_person_would(text, lines):
    assert [(line.text, line.start_s) for line in parse_lrc(text).lines] == lines


def test_the_word_before_the_first_word_stamp_is_kept():
    """It was lost where it was the same as the first stamped one."""
    (line,) = parse_lrc("[00:01.00]la <00:02.00>la").lines
    assert [(word.text, word.start_s) for word in line.words] == [("la", 1.0), ("la", 2.0)]


_PIECES = st.sampled_from(
    [*"[]<>:.", "0", "59", "99", " ", "\n", "a", "é", "\u202b", "offset", "[00:01.00]", "<00:02.00>", "inf", "-", "٣"]
)


@given(st.lists(_PIECES, max_size=30).map("".join))
@settings(max_examples=300, deadline=None)
def test_any_text_is_lyrics(text):
    lines = parse_lrc(text).lines
    starts = [line.start_s for line in lines if line.start_s is not None]
    assert all(start < 1e10 for start in starts) and starts == sorted(starts)
