"""One stage and one partition -> its committed table: read, apply, count, commit. Knows nothing of Ray."""

import errno
import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from autosing.clock import spent, timed
from autosing.errors import InputError
from autosing.stage import Stage
from autosing.storage.store import Place, place
from autosing.storage.tables import TableMeta, TableWriter, read_meta, rejects_path, table_path
from processing.engine.concurrency import apply_all
from processing.engine.rows import joined
from processing.pipeline import details_of, missing_input


@dataclass(frozen=True)
class Done:
    """A worker's report on a partition: the committed table's metadata and the time it took."""

    meta: TableMeta
    seconds: float
    cpu_seconds: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    """The part of `seconds` in decode, resample, model, encode, tables; the rest is the stage's own arithmetic. With
    concurrent rows these are sums over threads, and `wait` is the time that they waited for the model."""
    setup_s: float = 0.0
    """Loading the stage's models; not part of `seconds`."""
    began_at: float = 0.0
    """When `seconds` began: seconds since 1970."""

    def took(self) -> dict[str, Any]:
        """The times, for a run's record."""
        held = {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds, "setup_s": self.setup_s}
        return {**{key: round(value, 3) for key, value in held.items()}, "spent": self.spent}


def limit_threads(threads: int) -> None:
    """Compute with so many threads. Libraries that read the variables only once need it before they are imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


_OF_A_DEVICE = ("CUDA", "cuDNN", "CUBLAS", "CUFFT", "HIP error")
_OF_A_DISK = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, errno.EROFS, errno.ESTALE, errno.EMFILE, errno.ENFILE})


def is_of_machine(error: BaseException | None) -> bool:
    """Whether the process or machine (GPU, memory, disk) probably caused an error: another worker may then succeed."""
    if isinstance(error, OSError):
        return error.errno in _OF_A_DISK
    is_of_device = isinstance(error, RuntimeError) and any(word in str(error) for word in _OF_A_DEVICE)
    return isinstance(error, MemoryError) or is_of_device


class Worker:
    """Holds the stages, and loads the models of each once, with its first partition."""

    def __init__(self, stages: Sequence[Stage[Any, Any]], threads: int, gpu: bool = True) -> None:
        """`gpu` False: the worker has no share of a GPU, so GPUs are hidden from its stages."""
        limit_threads(threads)
        if not gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        pa.array([0])  # the first call imports pandas, if installed: 1.5 s that must not count for a partition
        self._stages = {stage.name: stage for stage in stages}
        self._loaded: set[str] = set()

    def name(self) -> str:
        """HOST-PID."""
        return f"{socket.gethostname()}-{os.getpid()}"

    def process(self, name: str, corpus: str, partition: int) -> Done:
        stage = self._stages[name]
        setup_s = 0.0
        if name not in self._loaded:
            started = time.monotonic()
            stage.setup()
            self._loaded.add(name)
            setup_s = time.monotonic() - started
        return replace(process_partition(stage, place(corpus), partition), setup_s=setup_s)


def process_partition(stage: Stage[Any, Any], corpus: Place, partition: int) -> Done:
    """`make_table`, with the time it took."""
    began_at, started, cpu = time.time(), time.monotonic(), time.process_time()
    with timed() as ledger:
        meta = make_table(stage, corpus, partition)
    rounded = {kind: round(seconds, 4) for kind, seconds in sorted(ledger.wall_s.items())}
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    return Done(meta, seconds, cpu_seconds, rounded, began_at=began_at)


def make_table(stage: Stage[Any, Any], corpus: Place, partition: int) -> TableMeta:
    """Run a stage, already set up, over one partition and commit its table and rejects.

    Every row of the first input table ends as rows or as a Rejected. An InputError out of `apply` rejects its row by
    the error's `reason`; any other exception leaves no table behind and carries a note that names partition and row.
    """
    held = _inputs(stage, corpus, partition)
    paths = [table_path(corpus, partition, table) for table in held]
    target = table_path(corpus, partition, stage.name)
    rows_in = 0
    with TableWriter(target, stage.gives, rejects_path(corpus, partition, stage.name)) as writer:
        for result in apply_all(stage, joined(paths, stage.takes, stage.sparse), partition):
            rows_in += 1
            with spent("tables"):
                writer.add(result)
        if _inputs(stage, corpus, partition) != held:
            raise InputError(
                f"{target}: another run replaced {', '.join(stage.reads)} while they were read; run one at a time"
            )
        inputs = {table: meta.fingerprint for table, meta in held.items()}
        with spent("tables"):
            return writer.commit(stage.name, stage.version, rows_in, details_of(stage, inputs))


def _inputs(stage: Stage[Any, Any], corpus: Place, partition: int) -> dict[str, TableMeta]:
    """Metadata of the committed tables that a stage reads, in its order. Raises InputError: one is missing."""
    inputs = {}
    for table in stage.reads:
        held = read_meta(table_path(corpus, partition, table))
        if held is not None:
            inputs[table] = held
        elif table not in stage.optional:
            raise missing_input(corpus, partition, stage, table)
    return inputs
