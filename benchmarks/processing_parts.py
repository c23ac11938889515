"""The parts of benchmarks/processing.py, each run in a process of its own."""

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from autosing.audio.encoded import Stem
from autosing.audio.io import Audio, Writer, decode, encode
from autosing.config import Config
from autosing.schemas.tables import Clip, Song
from autosing.stage import Stage
from autosing.storage.tables import TableWriter, table_path

CLIP_S = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["share", "plain", "empty", "long"])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--long-minutes", type=float, default=180)
    parser.add_argument("--long-separator", default="none")
    given = parser.parse_args()
    print(json.dumps({"share": share, "plain": plain, "empty": empty, "long": long}[given.part](given)))


@dataclass(frozen=True)
class Stems:
    id: str
    vocals: Stem


class CutEvery(Stage[Stems, Clip]):
    """Clips of 20 s, without words: the cheapest `segment`."""

    name, version, reads, takes, gives = "segment", 1, ("separate",), Stems, Clip

    def apply(self, row: Stems) -> list[Clip]:
        vocals = decode(row.vocals, row.id)
        return [_clip(row.id, start_s, encode(part)) for start_s, part in cut(vocals)]


def cut(vocals: Audio) -> Iterator[tuple[float, Audio]]:
    for start_s in np.arange(0, max(vocals.duration_s - 1, 0.1), CLIP_S):
        yield float(start_s), vocals.cut(float(start_s), CLIP_S)


def _clip(song: str, start_s: float, vocals: bytes) -> Clip:
    key = f"{song}-{round(start_s * 1000)}"
    return Clip(key, song, None, "en", None, start_s, CLIP_S, 1.0, vocals, None, [], [])


def share(given: argparse.Namespace) -> dict[str, Any]:
    """Ours: the real stages."""
    from processing.pipeline import PipelineConfig, build_stages

    config = PipelineConfig(workers=given.workers)
    separate, pitch, semantic = build_stages(config, ["separate", "pitch", "semantic"])
    found = _ours(given, config, [separate, CutEvery(Config()), pitch, semantic])
    real = {name: took for name, took in found["stages"].items() if name != "segment"}
    whole = sum(took["seconds"] for took in real.values())
    found["in_models"] = round(sum(took["spent"].get("model", 0.0) for took in real.values()) / whole, 3)
    return found


class Nothing(Stage[Any, Any]):
    """A stage that reads one small column and gives a row as small."""

    version, takes, gives = 1, None, None

    def __init__(self, name: str, reads: tuple[str, ...]) -> None:
        super().__init__(Config())
        self.name, self.reads = name, reads  # type: ignore[misc]

    def apply(self, row: Any) -> Any:
        return row


@dataclass(frozen=True)
class Key:
    id: str


def empty(given: argparse.Namespace) -> dict[str, Any]:
    """Ours: the same order of stages, which do nothing."""
    from processing.pipeline import PipelineConfig

    Nothing.takes = Nothing.gives = Key
    way = [("separate", "index"), ("segment", "separate"), ("pitch", "segment"), ("semantic", "segment")]
    return _ours(given, PipelineConfig(workers=given.workers), [Nothing(name, (reads,)) for name, reads in way])


def _ours(given: argparse.Namespace, config: Any, stages: list[Stage[Any, Any]]) -> dict[str, Any]:
    from processing.engine.runner import run

    with tempfile.TemporaryDirectory() as folder:
        corpus = _linked(given.corpus, Path(folder))
        started = time.time()
        result = run(corpus, stages, config)
        all_seconds = time.time() - started
        assert not result.failures, result.failures
    dones = [done for _, done in result.done]
    stages_took = {}
    for stage in stages:
        mine = [done for job, done in result.done if job.stage == stage.name]
        kinds = sorted({kind for done in mine for kind in done.spent})
        stages_took[stage.name] = {
            "seconds": round(sum(done.seconds for done in mine), 2),
            "cpu_seconds": round(sum(done.cpu_seconds for done in mine), 2),
            "setup_s": round(sum(done.setup_s for done in mine), 2),
            "spent": {kind: round(sum(done.spent.get(kind, 0.0) for done in mine), 3) for kind in kinds},
        }
    loading = sum(done.setup_s for done in dones) / result.workers
    span = max(done.began_at + done.seconds for done in dones) - min(done.began_at - done.setup_s for done in dones)
    return {
        "seconds": round(span - loading, 2), "all_seconds": round(all_seconds, 2),
        "loading_s_a_worker": round(loading, 2), "stages": stages_took,
    }  # fmt: skip


def plain(given: argparse.Namespace) -> dict[str, Any]:
    """Ray Data: parquet -> a class a model -> parquet, two actors each, decoded audio between them."""
    import ray

    class SeparateSongs:
        def __init__(self) -> None:
            from autosing.models.separation import SeparatorConfig, load_separator

            self.vocals_of = load_separator(SeparatorConfig())

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            from autosing.models.separation import split

            ids, vocals, began = [], [], time.time()
            for row_id, data in zip(batch["id"], batch["audio"], strict=True):
                voice, _ = split(decode(data), self.vocals_of)
                for start_s, part in cut(voice):
                    ids.append(f"{row_id}-{round(start_s * 1000)}")
                    vocals.append(part.samples_CS.T)
            return {"id": np.array(ids), "vocals": _objects(vocals), "began": np.full(len(ids), began)}

    class PitchOfClips:
        def __init__(self) -> None:
            from autosing.audio.pitch import load_tracker

            self.track = load_tracker()

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            f0 = [self.track(np.asarray(x).mean(axis=1, dtype=np.float32), 44_100) for x in batch["vocals"]]
            return {**batch, "f0_hz": _objects(f0)}

    class CodesOfClips:
        def __init__(self) -> None:
            from autosing.models.semantic import load_semantic

            self.tokenizer = load_semantic()
            self.tokenizer.load()

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            codes = [self.tokenizer.tokenize(Audio(np.asarray(x, np.float32).T, 44_100)) for x in batch["vocals"]]
            return {"id": batch["id"], "f0_hz": batch["f0_hz"], "codes": _objects(codes), "began": batch["began"]}

    started = time.time()
    ray.init(num_cpus=given.workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    with tempfile.TemporaryDirectory() as folder:
        files = [str(path) for path in sorted(given.corpus.glob("*/index.parquet"))]
        data = ray.data.read_parquet(files).select_columns(["id", "audio"])
        data = data.repartition(len(files))  # small files are read as one block, which one actor would have to take
        actors = {
            "compute": ray.data.ActorPoolStrategy(size=given.workers),
            "num_cpus": 0.15,
        }  # six actors leave a core for reading
        data = data.map_batches(SeparateSongs, batch_size=1, **actors)
        data = data.map_batches(PitchOfClips, batch_size=4, **actors)
        data = data.map_batches(CodesOfClips, batch_size=4, **actors)
        data.write_parquet(folder)
        ended = time.time()
        tables = [pq.read_table(path) for path in Path(folder).glob("*.parquet")]
        begun, clips = min(pc.min(t["began"]).as_py() for t in tables), sum(t.num_rows for t in tables)
    ray.shutdown()
    return {
        "seconds": round(ended - begun, 2), "all_seconds": round(time.time() - started, 2),
        "clips": clips,
    }  # fmt: skip


def _objects(arrays: list[np.ndarray]) -> np.ndarray:
    column = np.empty(len(arrays), object)
    column[:] = arrays
    return column


def long(given: argparse.Namespace) -> dict[str, Any]:
    """One song of so many minutes through `separate` alone, in this process: its peak, and what its cells weigh."""
    from processing.engine.worker import Worker
    from processing.pipeline import PipelineConfig, build_stages

    settings = {"separator": "none"} if given.long_separator == "none" else {}
    (stage,) = build_stages(PipelineConfig(separate=settings), ["separate"])
    if given.long_separator == "stub":
        import torch

        from autosing.models import spleeter

        stub = spleeter.Spleeter()
        stub.vocals, stub.accompaniment = torch.nn.AvgPool2d(3, 1, 1), torch.nn.AvgPool2d(5, 1, 2)
        spleeter.load_spleeter = lambda device="cpu": stub.eval()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder)
        child = os.fork()  # so that making the song does not count
        if child == 0:
            with TableWriter(table_path(corpus, 0, "index"), Song) as writer:
                writer.add(Song("song", _tones(given.long_minutes)))
                writer.commit("index", 1, 1, {})
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        index = table_path(corpus, 0, "index").stat().st_size
        (done,) = Worker([stage], 1).process(["separate"], str(corpus), 0)
        assert done.meta.sources == 1, done
        out = table_path(corpus, 0, "separate").stat().st_size
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "minutes": given.long_minutes, "separator": given.long_separator, "peak_mb": round(peak_mb),
        "song_cell_mb": round(index / 1e6, 1), "stem_cells_mb": round(out / 1e6, 1), **done.took(),
    }  # fmt: skip


def _tones(minutes: float, rate: int = 44_100) -> bytes:
    """A stereo song of quiet tones and faint noise, made minute by minute."""
    writer, rng, left = Writer(rate, 2, "flac"), np.random.default_rng(0), round(minutes * 60 * rate)
    phase_S = np.arange(60 * rate) / rate
    minute_CS = np.stack([0.3 * np.sin(2 * np.pi * hz * phase_S) for hz in (220, 331)]).astype(np.float32)
    while left > 0:
        noise_CS = rng.normal(scale=2e-5, size=minute_CS.shape).astype(np.float32)
        writer.write((minute_CS + noise_CS)[:, :left])
        left -= minute_CS.shape[1]
    return writer.finish()


def _linked(source: Path, folder: Path) -> Path:
    """A corpus of the same songs, without tables."""
    for path in source.glob("*/index.parquet"):
        (folder / path.parent.name).mkdir()
        (folder / path.parent.name / path.name).symlink_to(path.absolute())
    return folder


if __name__ == "__main__":
    main()
