"""What differs between machines does not change what autosing does: cores, temporary folders, full disks."""

import errno
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf

from autosing import cluster
from autosing.audio.guard import Guard, idle_guard
from autosing.cluster import ray_at
from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.storage.store import attempt, is_full, replacing, write_whole
from autosing.storage.tables import TableWriter, table_path

RATE = 16_000


def wav(seconds: float = 1.0) -> bytes:
    sink = io.BytesIO()
    sf.write(sink, 0.1 * np.sin(np.arange(round(RATE * seconds)) / 9), RATE, format="WAV")
    return sink.getvalue()


def test_the_decoder_keeps_no_threads_so_its_memory_does_not_grow_with_the_cores(monkeypatch):
    # BLAS starts as many threads as there are cores, and reserves about 41 MB of address space for each.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "64")
    guard = Guard()
    try:
        assert guard.inspect(wav()).num_samples == RATE
        assert guard._process is not None
        assert len(list(Path(f"/proc/{guard._process.pid}/task").iterdir())) == 1
    finally:
        guard.close()


@pytest.mark.parametrize("name", ["scratch_of_a_job_" * 5, "höme"])
def test_ray_gets_a_short_private_folder_where_tmpdir_is_of_no_use_to_sockets(tmp_path, monkeypatch, name):
    calls = []
    fake = SimpleNamespace(init=lambda *_, **given: calls.append(given["_temp_dir"]), shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", fake)
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
    with ray_at("local"):
        folder = Path(calls[0])
        assert calls[0].isascii() and len(calls[0]) <= 40 and folder.stat().st_mode & 0o77 == 0
    assert not folder.exists()
    monkeypatch.setattr(cluster, "_SHORT", (tmp_path / "none",))
    with pytest.raises(InputError, match="set TMPDIR to another, or use --address inline"), ray_at("local"):
        pass


def test_a_full_disk_is_named_and_nothing_is_left_behind(tmp_path):
    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for writing in (attempt, replacing):
        said = pytest.raises(InputError, match=r"model: not written, the disk is full.*MB free.*Make room")
        with said as caught, writing(tmp_path / "model") as place:
            (place / "part" if place.is_dir() else place).write_bytes(b"half")
            fill()
        assert caught.value.reason == "disk_full" and not list(tmp_path.iterdir())


def test_what_torch_makes_of_a_full_disk_is_known_as_one():
    try:
        try:
            raise OSError(errno.EFBIG, "File too large")
        except OSError:
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")  # noqa: B904
    except RuntimeError as error:
        assert is_full(error) and not is_full(RuntimeError("another")) and not is_full(OSError(errno.EIO, "bad disk"))


def test_a_file_of_a_killed_writer_goes_with_the_next_write(tmp_path):
    left = tmp_path / ".model.abcdefgh.part"
    left.mkdir()
    (left / "model").write_bytes(b"half")
    write_whole(tmp_path / "model", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["model"] and (tmp_path / "model").read_bytes() == b"whole"


def test_a_table_on_a_full_disk_is_named_and_nothing_of_it_is_left(tmp_path):
    path = table_path(tmp_path, 0, "index")
    with pytest.raises(InputError, match=r"index\.parquet: not written, the disk is full"), TableWriter(path, Song):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(path.parent.iterdir())


def test_a_fork_leaves_the_decoding_process_to_its_parent():
    """The child killed it when it dropped its copy of the guard."""

    def decoding_process() -> subprocess.Popen:
        with idle_guard() as guard:
            assert guard.inspect(wav()).num_samples == RATE
            return guard._process

    process = decoding_process()
    child = os.fork()
    if not child:
        code = 1
        try:
            code = int(decoding_process().pid == process.pid)
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert process.poll() is None and decoding_process() is process
