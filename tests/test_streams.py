"""Audio in blocks, rows in hand, seconds by what they went to: the same results, held and counted in pieces."""

import threading
import time
import tracemalloc
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from autosing import clock
from autosing.audio.blocks import Tape, overlap_add, resampled
from autosing.audio.guard import idle_guard
from autosing.audio.io import Audio, Resampler, Writer, decode, decode_mono, encode, inspect, resample
from autosing.clock import MODEL, in_model, spent, timed
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.separation import Known, split_blocks
from autosing.schemas.base import arrow_schema
from autosing.schemas.tables import Clip, Song
from autosing.stage import Rejected, Stage
from autosing.storage.cells import as_table, layout
from autosing.storage.tables import TableWriter, read_rows, rejects_path, table_path
from processing.engine.worker import process_partition
from processing.stages.segment import _Cutter


def noise(seconds: float, rate: int = 44_100, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(scale=0.1, size=(channels, round(seconds * rate))).astype(np.float32)


def in_blocks(samples_CS: np.ndarray, size: int):
    return (samples_CS[:, i : i + size] for i in range(0, samples_CS.shape[1], size))


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44_100, 48_000), (3, 2), (2, 3), (44_100, 16_000)])
@pytest.mark.parametrize("samples", [1, 5, 1000, 100_001])
def test_a_resampler_makes_of_blocks_what_resample_makes_of_the_whole(from_hz, to_hz, samples):
    whole_CS = noise(3)[:, :samples]
    resampler = Resampler(from_hz, to_hz, 2)
    parts = [resampler.push(block_CS) for block_CS in in_blocks(whole_CS, 7_001)] + [resampler.finish()]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), resample(whole_CS, from_hz, to_hz))


@pytest.mark.parametrize("format", ["flac", "wav", "ogg", "opus"])
def test_a_writer_makes_of_blocks_what_encode_makes_of_the_whole(format):
    whole_CS = noise(3)
    writer = Writer(44_100, 2, format)
    for block_CS in in_blocks(whole_CS, 65_536):
        writer.write(block_CS)
    found, wanted = decode(writer.finish()), decode(encode(Audio(whole_CS, 44_100), format))
    np.testing.assert_array_equal(found.samples_CS, wanted.samples_CS)


def test_inspection_knows_the_levels_of_all_samples():
    audio = decode(encode(Audio(noise(2.3) + np.float32(0.05), 44_100)))
    found = inspect(encode(audio))
    mono_S = audio.samples_CS.mean(axis=0)
    assert found.peak == np.abs(audio.samples_CS).max()
    assert found.rms == pytest.approx(np.sqrt(np.square(audio.samples_CS, dtype=np.float64).mean()), rel=1e-5)
    assert (found.mono_mean, found.mono_std) == pytest.approx((mono_S.mean(), mono_S.std()), rel=1e-4)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("samples", [900, 20_000, 45_678])
def test_overlap_add_in_batches_is_what_demucs_does_window_by_window(samples, at_once):
    from demucs.apply import apply_model
    from demucs.htdemucs import HTDemucs

    torch.manual_seed(0)
    small = {"channels": 8, "dconv_comp": 4, "depth": 4, "t_layers": 1, "t_heads": 2, "bottom_channels": 0}
    model = HTDemucs(["other", "vocals"], **small, nfft=1024, segment=1, samplerate=8000).eval()
    mix_CS = noise(3 * 44_100, rate=1)[:, :samples]
    with torch.inference_mode():
        wanted_CS = apply_model(model, torch.from_numpy(mix_CS)[None], shifts=0, overlap=0.25)[0, 1].numpy()

        def change(windows_BCS):
            return model(torch.from_numpy(windows_BCS))[:, 1].numpy()

        parts = list(overlap_add(in_blocks(mix_CS, 3000), samples, 8000, 6000, at_once, change))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), wanted_CS, atol=1e-5)


def test_what_separation_holds_does_not_grow_with_the_song():
    def halved(mix, at):
        half = resampled(mix, 44_100, 22_050, at.num_samples // 2)
        faded = overlap_add(half, at.num_samples // 2, 22_050, 16_000, 2, lambda windows_BCS: windows_BCS)
        return resampled(faded, 22_050, 44_100, at.num_samples)

    def peak_mb(seconds: int) -> float:
        one_s_CS = noise(1)
        heard = (one_s_CS for _ in range(seconds))
        known = Known(seconds * 44_100, 0.1, 0.0, 0.1)
        tracemalloc.start()
        stems = split_blocks(heard, 44_100, known, halved)
        for vocals_CS, rest_CS in stems:
            assert vocals_CS.shape == rest_CS.shape
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / 1e6

    peak_mb(1)
    assert peak_mb(40) < 1.1 * peak_mb(4)


def test_mono_in_blocks_is_mono_of_the_whole_at_another_rate():
    audio = decode(encode(Audio(noise(2.7), 44_100)))
    wanted_S = resample(audio.mono_S()[None], 44_100, 16_000)[0]
    found, duration_s = decode_mono(encode(audio), "a", 16_000)
    np.testing.assert_array_equal(found.samples_CS[0], wanted_S)
    assert duration_s == audio.duration_s
    same, _ = decode_mono(encode(audio), "a", 44_100)
    np.testing.assert_array_equal(same.samples_CS[0], audio.mono_S())


def test_a_cutter_cuts_what_cutting_the_whole_does():
    audio = decode(encode(Audio(noise(4), 44_100)))
    spans = [(0.0, 0.3), (0.3, 1.1117), (1.4117, 0.5), (3.2, 5.0)]
    with _Cutter(encode(audio)) as cutter, _Cutter(None) as none:
        for start_s, duration_s in spans:
            np.testing.assert_array_equal(
                cutter.cut(start_s, duration_s).samples_CS, audio.cut(start_s, duration_s).samples_CS
            )
            assert none.cut(start_s, duration_s) is None


def test_a_tape_gives_every_sample_once():
    whole_CS = noise(1)
    tape, parts = Tape(in_blocks(whole_CS, 777)), []
    while (part_CS := tape.take(5_000)).shape[1]:
        parts.append(part_CS)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole_CS)


def test_seconds_count_once_for_the_innermost_and_threads_take_turns_in_the_model(monkeypatch):
    class Clock:
        now_s = 0.0

        def perf_counter(self) -> float:
            return self.now_s

        thread_time = perf_counter

    made = Clock()
    monkeypatch.setattr(clock, "time", made)
    with timed() as ledger:
        with spent("decode"):
            made.now_s += 2
            with spent("resample"):
                made.now_s += 3
            made.now_s += 4
        with in_model():
            made.now_s += 1
    assert ledger.wall_s == ledger.cpu_s == {"decode": 6, "resample": 3, MODEL: 1, "wait": 0}
    with spent("nobody asks"):
        pass


@dataclass(frozen=True)
class Stems:
    id: str
    vocals: bytes
    instrumental: bytes | None
    duration_s: float


@dataclass(frozen=True)
class Heard:
    id: str
    audio: bytes


@dataclass(frozen=True)
class Threaded:
    id: str
    size: int


class InTurn(Stage[Heard, Threaded]):
    """Notes how many threads are in the model and in a row at once. `meet`: the first two rows wait for each other."""

    name, version, reads, takes, gives = "separate", 1, ("index",), Heard, Threaded

    def __init__(self, meet: bool = False) -> None:
        super().__init__(Config())
        self.meeting = threading.Barrier(2) if meet else None
        self.lock, self.rows, self.models, self.most_rows, self.most_models = threading.Lock(), 0, 0, 0, 0

    def apply(self, row: Heard) -> Threaded | Rejected:
        with self.lock:
            self.rows += 1
            self.most_rows = max(self.most_rows, self.rows)
        if self.meeting is not None and row.audio[0] < 2:
            self.meeting.wait(60)
        with in_model():
            self.models += 1
            self.most_models = max(self.most_models, self.models)
            time.sleep(0.001)
            self.models -= 1
        with self.lock:
            self.rows -= 1
        if row.audio == b"\x07":
            raise InputError("seven", "unlucky")
        if row.audio == b"\xff":
            raise ZeroDivisionError("the device is gone")
        return Threaded(row.id, row.audio[0])


def make_corpus(corpus, cells):
    with TableWriter(table_path(corpus, 0, "index"), Song) as writer:
        for i, cell in enumerate(cells):
            writer.add(Song(f"s{i}", cell))
        writer.commit("index", 1, len(cells), {})
    return corpus


def test_rows_in_hand_give_the_same_tables_and_one_is_in_the_model(tmp_path):
    corpus, made = make_corpus(tmp_path, [bytes([i]) for i in range(20)]), {}
    for count in (1, 3):
        stage = InTurn(meet=count > 1)
        stage.rows_in_hand = count
        done = process_partition(stage, corpus, 0)
        paths = (table_path(corpus, 0, "separate"), rejects_path(corpus, 0, "separate"))
        made[count] = [path.read_bytes() for path in paths]
        assert (stage.most_rows > 1) == (count > 1) and stage.most_models == 1
        assert done.spent[MODEL] >= 20 * 0.001 and done.began_at <= time.time()
    assert made[1] == made[3]
    assert [row.reason for row in read_rows(paths[1], Rejected)] == ["unlucky"]


def test_the_processes_that_decode_are_started_once_a_worker_not_once_a_partition(tmp_path):
    class Decoding(InTurn):
        pids: ClassVar[list[int]] = []

        def apply(self, row):
            with idle_guard() as guard:
                guard.inspect(encode(Audio(np.zeros((1, 100), np.float32), 16_000), "wav"))
                self.pids.append(guard._process.pid)
            return super().apply(row)

    stage = Decoding()
    stage.rows_in_hand = 2
    for name in "abc":
        process_partition(stage, make_corpus(tmp_path / name, [bytes([i]) for i in range(1, 9)]), 0)
    assert len(Decoding.pids) == 24 and len(set(Decoding.pids)) <= 2


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_no_data_names_its_row_however_many_are_in_hand(tmp_path, count):
    stage = InTurn()
    stage.rows_in_hand = count
    with pytest.raises(ZeroDivisionError) as caught:
        process_partition(stage, make_corpus(tmp_path, [b"\1", b"\xff", b"\2", b"\3"]), 0)
    assert "stage separate, partition 0, row s1" in caught.value.__notes__
    assert not table_path(tmp_path, 0, "separate").exists()


def test_audio_goes_into_tables_as_it_is(tmp_path):
    """Of 100 MB of stems zstd and a dictionary saved nothing and cost two more copies."""
    rows = [{"id": "a", "vocals": b"abc", "instrumental": None, "duration_s": 1.0}]
    rows.append({"id": "b", "vocals": b"", "instrumental": b"x" * 1000, "duration_s": 2.0})
    schema = arrow_schema(Stems)
    table = as_table(rows, schema)
    assert table.to_pylist() == rows and table.equals(pa.Table.from_pylist(rows, schema=schema))
    pq.write_table(table, tmp_path / "t.parquet", **layout(schema))
    held = pq.read_metadata(tmp_path / "t.parquet").row_group(0)
    found = {held.column(i).path_in_schema: held.column(i).compression for i in range(held.num_columns)}
    assert found == {"id": "ZSTD", "vocals": "UNCOMPRESSED", "instrumental": "UNCOMPRESSED", "duration_s": "ZSTD"}
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == rows
    nested = layout(arrow_schema(Clip))["compression"]
    assert nested["words.list.element.text"] == "zstd" and nested["vocals"] == "none"
