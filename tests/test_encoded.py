"""Audio that is left where it lies: bytes of a file are bytes, values are found in Parquet, parts are one audio."""

import io
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.audio import parts
from autosing.audio.encoded import Descriptor, EncodedFile, FileBytes, Scratch, Stem
from autosing.audio.guard import inspect_apart
from autosing.audio.io import Audio, AudioReader, Writer, decode, decode_mono, encode, inspect
from autosing.audio.parts import PART_S, PartsWriter
from autosing.errors import InputError
from autosing.schemas.tables import Lyrics, Separated, Song
from autosing.stage import Rejected
from autosing.storage.cells import as_table, layout
from autosing.storage.tables import TableWriter, open_cells, open_table, table_path
from processing.engine.rows import joined
from processing.engine.worker import process_partition
from processing.stages.segment import Aligned, Segment, SegmentConfig
from processing.stages.separate import Separate, SeparateConfig, SongAudio

BYTES = st.one_of(st.binary(max_size=40), st.integers(1, 200_000).map(lambda n: bytes(range(256)) * (n // 256 + 1)))


def lying(data: bytes, before: bytes = b"before") -> FileBytes:
    scratch = Scratch()
    scratch.put([before])
    found = scratch.put([data[:7], data[7:]])
    scratch.put([b"behind"])
    return found


def noise(seconds: float, rate: int = 8000, channels: int = 1, seed: int = 0) -> Audio:
    samples_CS = np.random.default_rng(seed).normal(scale=0.1, size=(channels, round(seconds * rate)))
    return decode(encode(Audio(samples_CS.astype(np.float32), rate)))


@given(data=BYTES, start=st.integers(-300_000, 300_000), stop=st.integers(-300_000, 300_000), size=st.integers(1, 4))
def test_bytes_of_a_file_are_bytes(data, start, stop, size):
    found = lying(data)
    assert (len(found), bytes(found), found[start:stop], found[:size]) == (
        len(data), data, data[start:stop], data[:size],
    )  # fmt: skip
    assert [found[i] for i in {0, len(data) // 2, len(data) - 1, -1} if data] == [
        data[i] for i in {0, len(data) // 2, len(data) - 1, -1} if data
    ]
    assert found == data and found == lying(data, b"")
    assert found != data + b"x" and (not data or found != lying(data[:-1] + bytes([data[-1] ^ 1])))
    for wanted in (data[len(data) // 2 :][:size] or b"x", b"\xff\xff", b"\xff\x00"):
        assert found.find(wanted) == data.find(wanted)
        assert found.find(wanted, max(start, 0)) == data.find(wanted, max(start, 0))
        assert found.find(wanted, 1, max(stop, 0)) == data.find(wanted, 1, max(stop, 0))
    for outside in (len(data), -len(data) - 1):
        with pytest.raises(IndexError):
            found[outside]


@given(
    data=BYTES, put_in=st.binary(max_size=10), at=st.integers(0, 50), skip=st.integers(0, 50),
    seeks=st.lists(st.integers(0, 200_000)), behind=st.binary(max_size=200),
)  # fmt: skip
def test_bytes_put_into_a_file_are_read_as_if_they_stood_there(data, put_in, at, skip, seeks, behind):
    at = min(at, len(data))
    skip = min(skip, len(data) - at)
    whole = io.BytesIO(data[:at] + put_in + data[at + skip :])
    file = io.BufferedReader(EncodedFile(lying(data + behind), put_in, at, skip, len(data)), 65_536)
    assert file.seek(0, io.SEEK_END) == whole.seek(0, io.SEEK_END)
    for place in [0, *seeks]:
        assert file.seek(place) == whole.seek(place)
        assert file.read(1000) == whole.read(1000)
        assert file.seek(-3, io.SEEK_CUR) == whole.seek(-3, io.SEEK_CUR) if whole.tell() > 3 else True
        assert file.read() == whole.read()


def test_a_full_disk_says_which(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scratch = Scratch()
    monkeypatch.setattr(os, "pwrite", lambda *_: os.write(full.fileno(), b"x"))
    full = Descriptor(os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(OSError, match=f"No space left.*{tmp_path.name}"):
        scratch.put([b"abc"])


def test_a_file_that_cannot_be_read_is_no_damaged_audio():
    """Audio that cannot be decoded is a reject, a disk that fails is not."""
    data = encode(noise(30))
    cut = Scratch().put([data[:-5000]])
    for damaged in (FileBytes(cut.file, 0, len(data)), FileBytes(Descriptor(os.open("/dev/null", os.O_RDONLY)), 0, 9)):
        for read in (decode, inspect, inspect_apart):
            with pytest.raises(OSError, match=r"the file ends \d+ bytes before the audio in it does"):
                read(damaged)
    assert inspect_apart(lying(data)) == inspect(data)


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "opus", "mp3"])
def test_audio_is_the_same_in_memory_and_where_it_lies(format):
    data = encode(noise(2.0, 48_000, 2), format)
    np.testing.assert_array_equal(decode(lying(data)).samples_CS, decode(data).samples_CS)


def values(path: Path, name: str = "audio") -> list[bytes | None] | None:
    with open_table(path) as file:
        found = open_cells(path, file, name)
        return None if found is None else [value if value is None else bytes(value) for value in found]


@given(
    groups=st.lists(st.lists(st.one_of(st.none(), st.binary(max_size=300)), max_size=40), min_size=1, max_size=4),
    nullable=st.booleans(),
    page_bytes=st.sampled_from([1, 100, 1 << 20]),
    at_once=st.sampled_from([1, 3, 1024]),
    statistics=st.booleans(),
)
@settings(deadline=None)
def test_values_are_found_where_pyarrow_wrote_them(groups, nullable, page_bytes, at_once, statistics):
    if not nullable:
        groups = [[cell or b"" for cell in group] for group in groups]
    schema = pa.schema([pa.field("id", pa.int64()), pa.field("audio", pa.large_binary(), nullable=nullable)])
    options = {**layout(schema), "write_statistics": statistics}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        with pq.ParquetWriter(
            path, schema, data_page_size=page_bytes, write_batch_size=at_once, **options
        ) as writer:  # fmt: skip
            for group in groups:
                writer.write_table(pa.table({"id": range(len(group)), "audio": group}, schema=schema))
        assert values(path) == [cell for group in groups for cell in group]


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "snappy", "use_dictionary": False},
        {"compression": "none", "use_dictionary": True},
        {"compression": "none", "use_dictionary": False, "data_page_version": "2.0"},
        {"compression": "none", "use_dictionary": False, "column_encoding": {"audio": "DELTA_LENGTH_BYTE_ARRAY"}},
    ],
)
def test_a_table_laid_out_in_another_way_is_read_as_ever(tmp_path, options):
    path = table_path(tmp_path, 0, "index")
    path.parent.mkdir()
    cells = [b"a" * 100, None, b"", b"a" * 100]
    table = pa.table({"id": ["a", "b", "c", "d"], "audio": pa.array(cells, pa.binary())})
    pq.write_table(table, path, **options)
    assert values(path) is None
    found = [row for _, row in joined([path], SongAudio)]
    assert [row.reason if isinstance(row, Rejected) else row.audio for row in found] == [
        b"a" * 100, "no_audio", b"", b"a" * 100,
    ]  # fmt: skip


def test_nested_columns_are_not_looked_into(tmp_path):
    pq.write_table(pa.table({"audio": [[b"a"], [b"b", b"c"]]}), tmp_path / "t.parquet")
    assert values(tmp_path / "t.parquet") is None


def test_a_page_that_is_not_as_the_footer_says_names_the_table(tmp_path):
    path = tmp_path / "t.parquet"
    schema = pa.schema([pa.field("audio", pa.large_binary())])
    pq.write_table(as_table([{"audio": b"x" * 1000}], schema), path, **layout(schema))
    whole = path.read_bytes()
    at = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    wrong = 0
    for place in range(at, whole.index(b"xxx")):
        for byte in (0x00, 0x0C, 0x7F, 0xFF):
            path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            try:
                assert values(path) in (None, [b"x" * 1000], [None])
            except InputError as error:
                assert "t.parquet: not a whole Parquet table" in str(error)
                wrong += 1
    path.write_bytes(whole[:at] + b"\x1c" * 1000 + whole[at + 1000 :])
    with pytest.raises(InputError, match="has no end"):
        values(path)
    assert wrong > 50


@dataclass(frozen=True)
class Sung:
    id: str
    vocals: Stem
    instrumental: Stem | None
    title: str | None


@dataclass(frozen=True)
class Noted:
    id: str
    title: str | None


def write(path: Path, record: type, rows: list) -> Path:
    with TableWriter(path, record) as writer:
        for row in rows:
            writer.add(row)
        writer.commit(path.stem, 1, len(rows), {})
    return path


def test_the_parts_of_a_song_are_one_row_wherever_its_table_stands(tmp_path):
    stored = {"a": [b"0", b"1", b"2"], "b": [b"3"], "c": [b"4", b"5"]}
    rows = [
        [Separated(song, n, 60.0 * n, 60.0, lying(part), None if song == "b" else part) for n, part in enumerate(own)]
        for song, own in stored.items()
    ]
    stems = write(tmp_path / "separate.parquet", Separated, rows)
    notes = write(tmp_path / "index.parquet", Noted, [Noted(song, song.upper()) for song in stored])
    for paths in ([stems, notes], [notes, stems]):
        found = [row for _, row in joined(paths, Sung)]
        assert [(row.id, row.title) for row in found] == [("a", "A"), ("b", "B"), ("c", "C")]
        assert [[bytes(part) for part in row.vocals] for row in found] == list(stored.values())
        assert [row.instrumental is None for row in found] == [False, True, False]
    with pytest.raises(InputError, match="part 2 of a where part 1 should be"):
        list(joined([write(tmp_path / "gap.parquet", Separated, [[rows[0][0], rows[0][2]]]), notes], Sung))


def parted(audio: Audio, format: str, block: int = 65_536) -> list[FileBytes]:
    writer = PartsWriter(audio.sample_rate_hz, len(audio.samples_CS), format, audio.duration_s)
    for start in range(0, audio.samples_CS.shape[1], block):
        writer.write(audio.samples_CS[:, start : start + block])
    return writer.finish()


@pytest.mark.parametrize("duration_s", [0.5, PART_S, 2 * PART_S - 0.001, 2 * PART_S, 3.7 * PART_S])
@pytest.mark.parametrize("block", [1000, 65_536, 10**7])
def test_parts_joined_are_the_whole_sample_for_sample(duration_s, block):
    audio = noise(duration_s, channels=2)
    for format in ("flac", "wav"):
        found = parted(audio, format, block)
        assert len(found) == max(1, int(duration_s // PART_S))
        np.testing.assert_array_equal(decode(tuple(found)).samples_CS, audio.samples_CS)
        mono, found_s = decode_mono(tuple(found), "a", 16_000)
        whole, _ = decode_mono(encode(audio), "a", 16_000)
        np.testing.assert_array_equal(mono.samples_CS, whole.samples_CS)
        assert found_s == audio.duration_s


@pytest.mark.parametrize("format", ["ogg", "opus", "mp3"])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_parts_of_lossy_audio_are_as_long_as_the_whole(format, rate, monkeypatch):
    monkeypatch.setattr(parts, "PART_S", 4)
    audio = noise(9.7, rate)
    found = decode(tuple(parted(audio, format)))
    whole = decode(encode(audio, format))
    assert found.samples_CS.shape == whole.samples_CS.shape and found.sample_rate_hz == whole.sample_rate_hz
    assert found.duration_s == pytest.approx(audio.duration_s, abs=1e-4)


def test_parts_of_other_rates_or_channels_are_no_audio():
    for other in (noise(1, 16_000), noise(1, channels=2)):
        with pytest.raises(InputError, match="a part of"), AudioReader((encode(noise(1)), encode(other))) as reader:
            list(reader.blocks())


def test_clips_of_a_stem_in_parts_are_those_of_the_stem():
    seconds_S = np.arange(150 * 8000) / 8000
    tone_S = 0.5 * np.sign(np.sin(2 * np.pi * 220 * seconds_S)) * (seconds_S % 20 < 15)
    voice, rest = Audio(tone_S[None].astype(np.float32), 8000), noise(150)
    rows = [
        Aligned("a", "en", [], [], *stems, None, None)
        for stems in (
            (encode(voice), encode(rest)),
            (tuple(parted(voice, "flac")), tuple(parted(rest, "flac"))),
        )
    ]
    one, many = (Segment(SegmentConfig()).apply(row) for row in rows)
    assert one == many and len(one) > 3


def test_the_parts_of_the_stems_add_up_to_the_song(tmp_path, monkeypatch):
    def halves(mix, known):
        return (0.5 * block_CS for block_CS in mix)

    song = noise(3.3 * PART_S, channels=2)
    write(table_path(tmp_path, 0, "index"), Song, [Song("a", encode(song)), Song("b", encode(noise(2)))])
    stage = Separate(SeparateConfig())
    monkeypatch.setattr(stage, "setup", lambda: None)
    stage.vocals_of = halves
    done = process_partition(stage, tmp_path, 0)
    assert (done.meta.rows_in, done.meta.sources, done.meta.rows) == (2, 2, 4)
    stems = [row for _, row in joined([table_path(tmp_path, 0, "separate")], Sung)]
    voice_CS, rest_CS = (decode(stem).samples_CS for stem in (stems[0].vocals, stems[0].instrumental))
    np.testing.assert_allclose(voice_CS + rest_CS, song.samples_CS, atol=0.51 / 32768)
    table = pq.read_table(table_path(tmp_path, 0, "separate"), columns=["id", "part", "start_s", "duration_s"])
    assert table.to_pylist()[:3] == [
        {"id": "a", "part": 0, "start_s": 0.0, "duration_s": 60.0},
        {"id": "a", "part": 1, "start_s": 60.0, "duration_s": 60.0},
        {"id": "a", "part": 2, "start_s": 120.0, "duration_s": pytest.approx(78.0)},
    ]


_PEAKS = """
import json, sys
from pathlib import Path
from processing.pipeline import PipelineConfig, build_stages
from processing.engine.worker import process_partition
found = {}
for stage in build_stages(PipelineConfig(rows_in_hand=1, separate={"separator": "none"}), ["separate", "segment"]):
    stage.setup()
    rows = process_partition(stage, Path(sys.argv[1]), 0).meta.rows
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    found[stage.name] = [rows, int(peak.split()[1]) / 1024]
print(json.dumps(found))
"""


def test_the_memory_of_a_stage_does_not_grow_with_the_song(tmp_path):
    """The song of 40 minutes weighs 20 times the song of 2; what it weighs was held several times over."""
    seconds_S, hum = np.arange(60 * 8000) / 8000, noise(60)
    hum.samples_CS[0] += 0.4 * np.sign(np.sin(2 * np.pi * 220 * seconds_S)) * (seconds_S % 20 < 15)
    found = {}
    for minutes in (2, 40):
        corpus = tmp_path / str(minutes)
        song = Writer(8000, 1)
        for _ in range(minutes):
            song.write(hum.samples_CS)
        write(table_path(corpus, 0, "index"), Song, [Song("a", song.finish())])
        write(table_path(corpus, 0, "align"), Lyrics, [Lyrics("a", "plain", "en", [], [], None, None)])
        child = subprocess.run(
            [sys.executable, "-c", _PEAKS, str(corpus)], check=True, capture_output=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
        found[minutes] = json.loads(child.stdout)
        assert found[minutes]["separate"][0] == minutes and found[minutes]["segment"][0] >= 2 * minutes
        for stage in ("separate", "segment"):
            assert table_path(corpus, 0, stage).stat().st_size > 600_000 * minutes
    for stage in ("separate", "segment"):
        assert found[40][stage][1] < 1.3 * found[2][stage][1]
