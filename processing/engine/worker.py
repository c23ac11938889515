"""Stages and one partition -> their committed tables: read, apply, count, commit. Knows nothing of Ray.

Stages that read the same columns can share one reading of a partition: each row is read and decoded once for all.
"""

import errno
import os
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from autosing.clock import Ledger, spent, timed
from autosing.errors import InputError
from autosing.stage import Stage
from autosing.storage.store import Place, place
from autosing.storage.tables import TableMeta, TableWriter, read_meta, rejects_path, table_path
from processing.engine.concurrency import OWN, apply_all
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
    concurrent rows these are sums over threads, and `wait` is the time that they waited for the model. Stages that
    shared a reading share its seconds in proportion to what each took for the rows."""
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

    def process(self, names: Sequence[str], corpus: str, partition: int) -> list[Done]:
        """One stage, or several that share a reading of the partition; a report for each."""
        setup_s = [self._set_up(name) for name in names]
        dones = process_together([self._stages[name] for name in names], place(corpus), partition)
        return [replace(done, setup_s=seconds) for done, seconds in zip(dones, setup_s, strict=True)]

    def _set_up(self, name: str) -> float:
        """Load a stage's models, if that is not done; -> the seconds it took."""
        if name in self._loaded:
            return 0.0
        started = time.monotonic()
        self._stages[name].setup()
        self._loaded.add(name)
        return time.monotonic() - started


def process_partition(stage: Stage[Any, Any], corpus: Place, partition: int) -> Done:
    """`process_together` for one stage."""
    return process_together([stage], corpus, partition)[0]


def process_together(stages: Sequence[Stage[Any, Any]], corpus: Place, partition: int) -> list[Done]:
    """Run stages, already set up, over one reading of a partition, and commit their tables and rejects; -> what each
    made and took. They must read the same columns (`shares_reading`).

    Every row of the first input table ends as rows or as a Rejected, in each table. An InputError out of `apply`
    rejects its row by the error's `reason`; any other exception leaves no table behind and carries a note that names
    partition and row.
    """
    assert all(shares_reading(stages[0], stage) for stage in stages), [stage.name for stage in stages]
    began_at, started, cpu = time.time(), time.monotonic(), time.process_time()
    with timed() as common:
        own = [Ledger(model_lock=common.model_lock) for _ in stages]
        metas = _make_tables(list(zip(stages, own, strict=True)), corpus, partition)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    took_s = [sum(ledger.wall_s.values()) for ledger in own]
    shares = [one_s / sum(took_s) if any(took_s) else 1 / len(took_s) for one_s in took_s]
    return [
        Done(meta, seconds * share, cpu_seconds * share, _spent(ledger, common, share), began_at=began_at)
        for meta, ledger, share in zip(metas, own, shares, strict=True)
    ]


def shares_reading(one: Stage[Any, Any], other: Stage[Any, Any]) -> bool:
    """Whether both stages take the same columns of the same tables."""
    return (one.reads, one.optional, one.sparse, one.takes) == (other.reads, other.optional, other.sparse, other.takes)


def _spent(own: Ledger, common: Ledger, share: float) -> dict[str, float]:
    kinds = sorted((own.wall_s.keys() | common.wall_s.keys()) - {OWN})
    return {kind: round(own.wall_s.get(kind, 0.0) + share * common.wall_s.get(kind, 0.0), 4) for kind in kinds}


def _make_tables(stages: Sequence[tuple[Stage[Any, Any], Ledger]], corpus: Place, partition: int) -> list[TableMeta]:
    first = stages[0][0]
    held = _inputs(first, corpus, partition)
    paths = [table_path(corpus, partition, table) for table in held]
    rows_in = 0
    with ExitStack() as open_tables:
        writers = [
            open_tables.enter_context(
                TableWriter(
                    table_path(corpus, partition, stage.name), stage.gives, rejects_path(corpus, partition, stage.name)
                )
            )
            for stage, _ in stages
        ]
        for results in apply_all(stages, joined(paths, first.takes, first.sparse), partition):
            rows_in += 1
            with spent("tables"):
                for writer, result in zip(writers, results, strict=True):
                    writer.add(result)
        if _inputs(first, corpus, partition) != held:
            raise InputError(
                f"{table_path(corpus, partition, first.name)}: another run replaced {', '.join(first.reads)} while "
                "they were read; run one at a time"
            )
        inputs = {table: meta.fingerprint for table, meta in held.items()}
        with spent("tables"):
            return [
                writer.commit(stage.name, stage.version, rows_in, details_of(stage, inputs))
                for writer, (stage, _) in zip(writers, stages, strict=True)
            ]


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
