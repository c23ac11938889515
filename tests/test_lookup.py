"""One row of a corpus, on a disk and in a store, is had without reading the audio of the others."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from autosing.audio.io import Audio, encode
from autosing.errors import InputError
from autosing.lookup import find_row, first_id
from autosing.schemas.base import arrow_schema
from autosing.schemas.tables import Clip, Line, Pitch, Song, Word
from autosing.storage import remote
from autosing.storage.store import Place, place
from autosing.storage.tables import TableWriter, rejects_path, table_path
from inference import cli
from inference.sources import open_source
from support.s3 import address, s3_server

RATE, SONG_S = 24_000, 30.0


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture(scope="module", params=["disk", "store"])
def corpus(request: pytest.FixtureRequest, port: int, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two partitions of three songs of 1.4 MB, a row group each, and a clip of each."""
    home = tmp_path_factory.mktemp("c") if request.param == "disk" else place(address(port, "lookup"))
    for partition in range(2):
        songs = [Song(f"song{partition}{k}", sound(k, SONG_S), raw_lyrics=f"la {k}") for k in range(3)]
        put(home, partition, "index", Song, songs)
        put(home, partition, "segment", Clip, [clip_of(song, k) for k, song in enumerate(songs)])
        put(home, partition, "pitch", Pitch, [Pitch(f"{song.id}-0", np.zeros(200, np.float32), 1.0) for song in songs])
    return home


def sound(seed: int, duration_s: float) -> bytes:
    noise_CS = np.random.default_rng(seed).normal(0, 0.1, (1, round(duration_s * RATE))).astype(np.float32)
    return encode(Audio(noise_CS, RATE), "wav")


def clip_of(song: Song, number: int) -> Clip:
    voice = sound(10 + number, 2.0)
    words, lines = [Word("la", 0.2, 0.9, 0.9, 0)], [Line("la", 0.2, 0.9, 0.9, True)]
    language = ("en", "ko", "zh")[number]
    return Clip(f"{song.id}-0", song.id, None, language, None, 0.0, 2.0, 0.9, voice, voice, lines, words)


def put(home: Place, partition: int, stage: str, record: type, rows: list) -> None:
    """As TableWriter does it, with a row group a row where there is room for no more (16 MB)."""
    with TableWriter(table_path(home, partition, stage), record, rejects_path(home, partition, stage)) as writer:
        for row in rows:
            writer.add(row)
            writer._flush()
        writer.commit(stage, 1, len(rows), {})


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Of a table's name: the bytes of it that were asked of the store since the test began."""
    counts: Counter[str] = Counter()
    true_piece = remote._Reader.piece

    def piece(self: remote._Reader, at: int, count: int) -> bytes:
        counts[self._place.stem] += count
        return true_piece(self, at, count)

    monkeypatch.setattr(remote._Reader, "piece", piece)
    return lambda table: counts[table]


def test_a_row_is_found_by_its_id_and_only_its_row_group_is_read(
    corpus: Place, bytes_read: Callable[[str], int]
) -> None:
    song = find_row(table_path(corpus, 1, "index"), Song, "song12")
    assert song is not None and song == Song("song12", sound(2, SONG_S), raw_lyrics="la 2")
    size = table_path(corpus, 1, "index").stat().st_size
    assert size > 4e6
    if not isinstance(corpus, Path):
        assert len(song.audio) < bytes_read("index") < len(song.audio) + 500_000
    assert find_row(table_path(corpus, 0, "index"), Song, "song12") is None
    assert find_row(table_path(corpus, 0, "nothing"), Song, "song12") is None
    assert first_id(table_path(corpus, 1, "index")) == "song10" and first_id(table_path(corpus, 1, "no")) is None


def test_of_a_disk_too_only_one_row_group_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Song(f"s{k}", bytes([k]) * 1000) for k in range(40)]
    table = pa.Table.from_pylist([vars(row) for row in rows], schema=arrow_schema(Song))
    pq.write_table(table, tmp_path / "index.parquet", row_group_size=10)
    groups: list[list[int]] = []
    true_batches = pq.ParquetFile.iter_batches

    def batches(self: pq.ParquetFile, *args: object, **options: object) -> object:
        groups.append(list(options["row_groups"]))  # type: ignore[call-overload]
        return true_batches(self, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", batches)
    for k in (0, 9, 10, 25, 39):
        assert find_row(tmp_path / "index.parquet", Song, f"s{k}") == rows[k]
    assert groups == [[0], [0], [1], [2], [3]]


def test_a_reference_is_a_song_or_a_clip_of_a_corpus_anywhere(corpus: Place, bytes_read: Callable[[str], int]) -> None:
    song = open_source(f"{corpus}#song11")
    assert song.mix.duration_s == SONG_S and song.lyrics == "la 1" and song.stems is None
    if not isinstance(corpus, Path):
        assert bytes_read("index") < len(sound(1, SONG_S)) + 1_000_000, "not the audio of the other five songs"
    clip = open_source(f"{corpus}#song02-0")
    assert clip.stems is not None and clip.lines[0].text == "la" and clip.mix.duration_s == 2.0


def test_what_is_no_reference_is_told_with_an_example_that_is_one(corpus: Place, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no song and no clip 'song99'; give for example") as error:
        open_source(f"{corpus}#song99")
    with pytest.raises(InputError, match=r"is a corpus; need one song or clip of it") as other:
        open_source(str(corpus))
    for message in (str(error.value), str(other.value)):
        assert open_source(message.split("--reference '")[1].rstrip("'")).mix.duration_s == 2.0
    with pytest.raises(InputError, match=r"is a folder; give one audio file, or a corpus and an id as CORPUS#ID"):
        open_source(str(tmp_path))
    with pytest.raises(InputError, match="no such file"):
        open_source(str(corpus / "none.wav"))


def test_a_file_whose_name_holds_a_number_sign_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "take #2.wav").write_bytes(sound(0, 0.5))
    assert open_source(str(tmp_path / "take #2.wav")).mix.duration_s == 0.5


def test_an_object_of_a_store_is_a_reference(port: int, tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(sound(0, 0.5))
    far = place(address(port, "songs")) / "song.wav"
    far.upload(tmp_path / "song.wav")  # type: ignore[union-attr]
    assert open_source(str(far)).mix.duration_s == 0.5


def test_a_page_is_written_of_a_corpus_anywhere(
    corpus: Place, tmp_path: Path, bytes_read: Callable[[str], int]
) -> None:
    app = typer.Typer()
    app.command()(cli.report)
    shown = CliRunner().invoke(app, [str(tmp_path / "page.html"), "--corpus", str(corpus), "--json"])
    assert shown.exit_code == 0, shown.output
    page = (tmp_path / "page.html").read_text()
    assert "song00-0: mix in" in page and page.count("<audio ") == 6
    if not isinstance(corpus, Path):
        assert bytes_read("index") < 3 * len(sound(0, SONG_S)) + 1_000_000, "the songs that are shown, not all six"
