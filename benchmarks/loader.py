"""The loader against a raw read, bare decoding and plain webdataset, in turn, on the same tars.

    python benchmarks/loader.py [--rounds 5] [--token-mb 192] [--audio DATASET] [--out FILE]

tokens  Shards of 30 s clips as t2s and sm2a read them (semantic, both codecs' codes, words), shuffled, every array
        handed on, one process; bytes of the tars a second, against reading the same files from end to end in blocks of
        1 MiB. `copied`: the arrays, which lie in the mapped file, are also copied, as into a batch.
        `warm`: the files lie in the page cache. `cold`: they are put out of it before each pass.
audio   Two worker processes. Clips a second: the loader (shuffled; each clip decoded whole, 1.2 s of it handed on, as
        the codec's task does), soundfile alone on the same members, already in memory, in two processes that hand on as
        much, and webdataset with the same decoding. --audio: a dataset with audio; else noise is made.

webdataset reads in order, unshuffled: what it does most quickly. `first`: the pass that also reads where the samples
lie, as each process does once, from what lies beside the tars; `headers`: the same pass where nothing lies there;
`later`: every other pass. Ratios are medians of rounds, in each of which all are measured one after
another; CPU ratios (the workers' too) leave out what other programs took of the machine meanwhile. Prints JSON.
"""

import argparse
import io
import itertools
import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import webdataset as wds
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from autosing.codecs.spec import CodecSpec
from autosing.schemas.sample import DatasetIndex, Sample, SampleMeta, SplitRecord, write_array
from autosing.schemas.tables import Line, Word
from autosing.storage.offsets import offsets_path
from autosing.storage.shards import ShardFile, read_shard
from train.data import SampleStream
from train.order import Lane

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # `support` is not installed
from support.datasets import make_dataset

SPEC = CodecSpec(
    name="snac-32khz", sample_rate_hz=32000, hop_samples=384, strides=(8, 4, 2, 1), codebook_sizes=(4096,) * 4
)
CROP_S = 1.2
WORKERS, CHUNK, FLAC = 2, 8, "vocals.flac"
Measured = tuple[float, float, float]
"""(bytes or clips, wall seconds, CPU seconds of this process and its workers)."""


class Tokens:
    """Every array of a clip."""

    name, members, length_file, collate = "tokens", ("semantic", "acoustic", "singer"), "", staticmethod(list)

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any]:
        return {name: sample.array(name) for name in ("semantic", "vocals_codes", "instrumental_codes", "singer")}


class Copies(Tokens):
    """Every array of a clip, copied."""

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any]:
        return {name: array.copy() for name, array in super().prepare(sample, rng).items()}


class Voices:
    """A clip's audio decoded whole, and a crop of it."""

    name, members, length_file, collate = "voices", ("audio",), "", staticmethod(list)

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any]:
        audio = sample.audio("vocals")
        return {"audio": crop(audio.samples_CS[0], audio.sample_rate_hz)}


def crop(samples_S: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    return samples_S[: round(CROP_S * sample_rate_hz)].copy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--token-mb", type=int, default=192)
    parser.add_argument("--audio", type=Path, help="a dataset with vocals.flac")
    parser.add_argument("--out", type=Path, help="write the JSON here as well")
    asked = parser.parse_args()
    report: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "rounds": asked.rounds,
        "load_before": os.getloadavg(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        tokens = make_tokens(Path(folder) / "tokens", asked.token_mb << 20)
        report["tokens"] = token_report(Path(folder) / "tokens", tokens, asked.rounds)
        audio = asked.audio or Path(folder) / "audio"
        if asked.audio is None:
            make_dataset(audio, {"train": 256}, 5.0, 64, ("meta", "audio"))
        report["audio"] = audio_report(audio, DatasetIndex.load(audio).splits["train"], asked.rounds)
    report["load_after"] = os.getloadavg()
    text = json.dumps(report, indent=1)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")
    print(text)


def make_tokens(folder: Path, size: int) -> SplitRecord:
    """Shards of 64 MiB of 30 s clips: 60 words, 750 semantic codes, 312 blocks of codes twice, a voice."""
    rng = np.random.default_rng(0)
    words = [Word(f"word{k}", k / 2, k / 2 + 0.4, 0.9, k // 6) for k in range(60)]
    lines = [Line(" ".join(w.text for w in words[k : k + 6]), k / 2, k / 2 + 2.9, 0.9, True) for k in range(0, 60, 6)]
    meta = SampleMeta("song", None, "en", None, 30.0, lines, words).to_json()
    shards, made, clip = [], 0, 0
    while made < size:
        name = f"train/{len(shards):06d}.tar"
        shard = ShardFile(folder / name)
        while shard.bytes < 64 << 20 and made + shard.bytes < size:
            codes = [write_array(rng.integers(4096, size=312 * 15).astype(np.int32)) for _ in range(2)]
            files = {"vocals_codes.npy": codes[0], "instrumental_codes.npy": codes[1], "meta.json": meta,
                     "semantic.npy": write_array(rng.integers(2048, size=750).astype(np.int16)),
                     "singer.npy": write_array(np.zeros(256, np.float32))}  # fmt: skip
            shard.add(f"song{clip}-0", files)
            clip += 1
        made += shard.bytes
        shards.append(shard.close(name))
    return SplitRecord(shards=tuple(shards), rows=clip, seconds=30.0 * clip, songs=clip, singers=0)


def token_report(folder: Path, split: SplitRecord, rounds: int) -> dict[str, Any]:
    paths = [folder / shard.path for shard in split.shards]
    size = sum(path.stat().st_size for path in paths)

    def epochs(task: Any, split: SplitRecord = split) -> Iterator[Iterator[Any]]:
        return epochs_of(SampleStream(folder, split, task, Lane(chunk=64), 0), split.rows)

    def plain() -> Iterator[Any]:
        return iter(wds.WebDataset([str(path) for path in paths], shardshuffle=False).decode())

    def one(items: Iterator[Any]) -> Measured:
        return timed(size, lambda: deque(items, maxlen=0))

    shards = tuple(shard.model_copy(update={"offsets": None}) for shard in split.shards)
    bare = split.model_copy(update={"shards": shards})
    os.sync()  # what is not on the disk cannot be put out of the page cache
    found: dict[str, Any] = {"bytes": size, "clips": split.rows, "bytes_per_clip": size // split.rows}
    for state, names in (
        ("warm", ("raw", "headers", "first", "later", "copied", "webdataset")),
        ("cold", ("raw", "headers", "first")),
    ):
        costs: dict[str, list[Measured]] = {name: [] for name in names}
        for _ in range(rounds):
            views, copies = epochs(Tokens()), epochs(Copies())
            ways: dict[str, Callable[[], Measured]] = {
                "raw": lambda: timed(size, lambda: read_all(paths)),
                "headers": lambda: one(next(epochs(Tokens(), bare))),
                "first": lambda views=views: one(next(views)),  # type: ignore[misc]
                "later": lambda views=views: one(next(views)),  # type: ignore[misc]
                "copied": lambda copies=copies: one(next(copies)),  # type: ignore[misc]
                "webdataset": lambda: one(plain()),
            }
            if "copied" in names:
                one(next(copies))
            for name in names:
                settle(paths, state)
                costs[name].append(ways[name]())
        found[state] = {"MB_per_s": {name: round(rate(all_) / 1e6, 1) for name, all_ in costs.items()}} | {
            f"{name}_to_{other}": ratio(costs, name, other)
            for name in ("headers", "first", "later", "copied")
            for other in ("raw", "webdataset")
            if name in costs and other in costs
        }
    return found


def audio_report(folder: Path, split: SplitRecord, rounds: int) -> dict[str, Any]:
    paths = [folder / shard.path for shard in split.shards]
    members = [bytes(s._files[FLAC]) for path in paths for _, s in read_shard(path, ("meta.json", FLAC))]
    voices = SampleStream(folder, split, Voices(), Lane(chunk=CHUNK), 0)
    plain = wds.WebDataset(
        [str(path) for path in paths], shardshuffle=False, empty_check=False, workersplitter=wds.split_by_worker
    )
    plain = plain.repeat().map(lambda sample: bare(sample[FLAC])).batched(CHUNK, collation_fn=list)
    ways = {"bare": Endless(Members(members)), "loader": Endless(voices), "webdataset": Endless(plain)}
    costs: dict[str, list[Measured]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            settle(paths, "warm")
            cost = way.take(split.rows // CHUNK)
            if number:  # the first pass also starts processes
                costs[name].append(cost)
    return {
        "dataset": folder.name, "clips": split.rows, "bytes": sum(map(len, members)), "workers": WORKERS,
        "clips_per_s": {name: round(rate(all_), 1) for name, all_ in costs.items()},
        "loader_to_bare": ratio(costs, "loader", "bare"),
        "loader_to_webdataset": ratio(costs, "loader", "webdataset"),
    }  # fmt: skip


def epochs_of(stream: SampleStream, rows: int) -> Iterator[Iterator[Any]]:
    """One iterator of an epoch's items after another, of one stream that goes on."""
    items = itertools.chain.from_iterable(chunk.batch for chunk in stream)
    while True:
        yield itertools.islice(items, rows)


def bare(data: bytes) -> np.ndarray:
    """soundfile alone."""
    return crop(*sf.read(io.BytesIO(data), dtype="float32"))


class Members(IterableDataset[list[np.ndarray]]):
    """Chunks of decoded members for ever; workers share them out."""

    def __init__(self, members: list[bytes]) -> None:
        super().__init__()
        self._members = members

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        info = get_worker_info()
        for first in itertools.count(info.id * CHUNK, info.num_workers * CHUNK):
            yield [bare(self._members[k % len(self._members)]) for k in range(first, first + CHUNK)]


class Endless:
    """Two worker processes that decode, and go on where they were. They run ahead by a few chunks, whichever way."""

    def __init__(self, dataset: Any) -> None:
        before = set(multiprocessing.active_children())
        self._chunks = iter(DataLoader(dataset, batch_size=None, num_workers=WORKERS, prefetch_factor=4))
        self._pids = [process.pid for process in set(multiprocessing.active_children()) - before]

    def take(self, chunks: int) -> Measured:
        before_s = self._cpu_s()
        amount, wall_s, own_s = timed(chunks * CHUNK, lambda: [len(next(self._chunks)) for _ in range(chunks)])
        return amount, wall_s, own_s + self._cpu_s() - before_s

    def _cpu_s(self) -> float:
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self._pids]
        return sum(int(f[11]) + int(f[12]) for f in fields) / os.sysconf("SC_CLK_TCK")


def settle(paths: list[Path], state: str) -> None:
    """Into the page cache, or out of it, with what lies beside them."""
    for path in [*paths, *(beside for path in paths if (beside := offsets_path(path)).is_file())]:
        with path.open("rb") as file:
            if state == "cold":
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            else:
                while file.read(1 << 20):
                    pass


def read_all(paths: list[Path]) -> int:
    """From end to end, in blocks of 1 MiB, into one piece of memory."""
    block, count = bytearray(1 << 20), 0
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while held := file.readinto(block):
                count += held
    return count


def timed(amount: float, run: Callable[[], Any]) -> Measured:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    run()
    return amount, time.perf_counter() - wall_s, time.process_time() - cpu_s


def rate(costs: list[Measured]) -> float:
    return statistics.median(amount / wall_s for amount, wall_s, _ in costs)


def ratio(costs: dict[str, list[Measured]], ours: str, theirs: str) -> dict[str, float]:
    """How many times as fast ours is, round by round: by the clock, and by CPU seconds."""
    pairs = list(zip(costs[ours], costs[theirs], strict=True))
    found = {"wall": round(statistics.median(b[1] / a[1] for a, b in pairs), 3)}
    return found | {"cpu": round(statistics.median(b[2] / a[2] for a, b in pairs), 3)}


if __name__ == "__main__":
    main()
