"""Hostile input: each bad song, text and table is a named reject or a clear error; what lies beside it is unharmed."""

import json
import tracemalloc
from pathlib import Path

import pytest

from autosing.audio import guard, io
from autosing.audio.io import Audio, decode, encode, inspect
from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.stage import Rejected
from autosing.storage.tables import TableWriter, partitions, read_rows, rejects_path, table_path
from processing.engine.runner import run
from processing.importer.importer import import_corpus
from processing.pipeline import PipelineConfig
from processing.stages.separate import Separate, SeparateConfig
from support import hostile
from support.hostile import MEDIA, noise, silence, song, varying_mp3

GOOD = {f"good {k}.wav": song(f"good {k}") for k in range(3)}


@pytest.fixture
def treacherous(monkeypatch):
    """Decoding processes do what hostile files tell them, and have 1 s."""
    monkeypatch.setattr(guard, "_PROGRAM", hostile.TREACHEROUS)
    monkeypatch.setattr(guard, "LIMITS", guard.Limits(seconds=0))
    monkeypatch.setattr(guard, "_idle", [])


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def songs(corpus: Path) -> list[Song]:
    return [row for k in partitions(corpus) for row in read_rows(table_path(corpus, k, "index"), Song)]


def tables(corpus: Path) -> dict[str, bytes]:
    return {str(p.relative_to(corpus)): p.read_bytes() for p in corpus.glob("*/*.parquet")}


def test_hostile_songs_are_left_out_by_reason_and_change_nothing_for_the_others(treacherous, tmp_path):
    made = {case.file: case.make() for case in MEDIA}
    assert len(made) >= 40
    source = write(tmp_path / "source", {**made, **GOOD})
    report = import_corpus(source, tmp_path / "corpus")
    wanted = {case.file: case.reason for case in MEDIA if case.reason is not None}
    assert {item["file"]: item["reason"] for item in report.left_out} == wanted
    assert all(item["measurement"] for item in report.left_out)
    taken = [data for name, data in {**made, **GOOD}.items() if name not in wanted]
    assert sorted(row.audio for row in songs(tmp_path / "corpus")) == sorted(taken)
    for name in wanted:
        (source / name).unlink()
    import_corpus(source, tmp_path / "clean")
    assert tables(tmp_path / "clean") == tables(tmp_path / "corpus")


def test_a_song_that_crashes_or_hangs_the_decoder_is_a_reject_row_of_separate(treacherous, tmp_path):
    """Of a corpus that was taken as it is: nobody has opened its songs yet."""
    rows = {"a": GOOD["good 0.wav"], "b": hostile.CRASHES, "c": hostile.HANGS, "d": hostile.TAKES_ALL, "e": b"words",
            "f": GOOD["good 1.wav"]}  # fmt: skip
    with TableWriter(table_path(tmp_path, 0, "index"), Song) as writer:
        for row_id, audio in rows.items():
            writer.add(Song(row_id, audio))
        writer.commit("index", 1, len(rows), {})
    stage = Separate(SeparateConfig(separator="none", min_duration_s=0.1))
    assert not run(tmp_path, [stage], PipelineConfig(), "inline").failures
    rejected = {row.id: row.reason for row in read_rows(rejects_path(tmp_path, 0, "separate"), Rejected)}
    assert rejected == {"b": "decoder_crash", "c": "decoder_hang", "d": "decoder_memory", "e": "not_audio"}
    assert [row.id for row in read_rows(table_path(tmp_path, 0, "separate"), stage.gives)] == ["a", "f"]


def test_what_is_heard_apart_is_what_is_heard_here():
    apart = guard.Guard()
    for format, channels in (("wav", 6), ("flac", 2), ("ogg", 1), ("opus", 2), ("mp3", 2)):
        data = song(format, format, 150_000, channels)
        found = apart.inspect(data)
        assert found == inspect(data)
        assert (found.channels, found.num_samples) == decode(data).samples_CS.shape
    uncounted = next(case for case in MEDIA if case.file == "to a pipe.flac").make()
    assert apart.inspect(uncounted).num_samples == decode(uncounted).samples_CS.shape[1]
    with pytest.raises(InputError, match="song 7: not readable as audio") as caught:
        apart.inspect(b"words", "song 7")
    assert caught.value.reason == "not_audio"
    apart.close()


def test_the_length_of_audio_is_not_its_memory():
    data = silence(3 * 3600)
    tracemalloc.start()
    found = inspect(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.num_samples == 3 * 3600 * 8000
    assert peak < 8 << 20, "346 MB of samples"


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (22_050, 1)])
def test_an_mp3_whose_encoder_did_not_count_its_frames_is_read_to_its_end(rate, channels):
    """libsndfile guessed the length from the first frame's bitrate: 4 of 20 s were read, and nobody was told."""
    counted, not_counted = (varying_mp3("a", c, 12, rate, channels) for c in (True, False))
    assert decode(counted).duration_s == pytest.approx(12, abs=0.1)
    assert decode(not_counted).duration_s == pytest.approx(12, abs=0.1)


def test_a_file_in_the_working_folder_does_not_change_what_is_heard(tmp_path, monkeypatch):
    """libsndfile takes a file `._` there for the other half of any MP3 in memory, and reads neither."""
    (tmp_path / "._").touch()
    monkeypatch.chdir(tmp_path)
    data = encode(Audio(noise("there", 44_100), 44_100), "mp3")
    assert decode(data).duration_s == pytest.approx(1, abs=0.1)


def test_formats_that_cannot_be_wound_back_are_read(tmp_path):
    """GSM in WAV raised ValueError, which ended the whole import."""
    data = hostile.written(noise("gsm", 8000), "WAV", "GSM610", 8000)
    assert decode(data).samples_CS.shape[1] == pytest.approx(8000, abs=400)


def test_more_than_the_caps_is_not_decoded(monkeypatch):
    monkeypatch.setattr(io, "MAX_SAMPLES", 10_000)
    with pytest.raises(InputError, match="cut the file") as caught:
        decode(song("long", "flac", 6000, 2))
    assert caught.value.reason == "too_long"


def test_files_that_vanish_or_whose_names_are_no_text_stop_nobody(tmp_path, monkeypatch):
    source = write(tmp_path / "source", GOOD)
    (source / "gone.wav").write_bytes(song("gone"))
    latin = bytes(source) + b"/caf\xe9.wav"
    Path(latin.decode("utf-8", "surrogateescape")).write_bytes(song("latin"))
    read = Path.read_bytes

    def vanish(path: Path) -> bytes:
        if path.name == "gone.wav":
            raise FileNotFoundError(2, "No such file or directory")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", vanish)
    report = import_corpus(source, tmp_path / "corpus")
    assert len(report.new) == 4 and any(name.startswith("caf") for name in report.new)
    assert [(item["file"], item["reason"]) for item in report.left_out] == [("gone.wav", "not_readable")]
    assert json.loads((tmp_path / "corpus" / "_import.json").read_text())["new"] == report.new
