"""Ray for real: nodes that are lost, workers that are killed, a job that is submitted, a person who presses Ctrl-C.

Each law is of what lies on disk: the same bytes as one undisturbed worker made. One Ray at a time.
"""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from autosing.audio.io import Audio, encode
from autosing.errors import InputError
from processing.engine import runner
from processing.engine.schedule import Schedule
from processing.pipeline import PipelineConfig
from processing.report import status
from support.cluster_stages import make_corpus, stages, tables
from support.datasets import make_dataset
from support.ranks import free_port
from train.cluster import _check_room
from train.record import read_metrics

HERE = Path(__file__).parent
ENV = {
    **os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}", "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
}  # fmt: skip
pytestmark = pytest.mark.ray
_TRIES = 5


def started(*words: object, **options: Any) -> subprocess.Popen:
    """A process of its own group, so that no signal meant for it meets us."""
    return subprocess.Popen(list(map(str, words)), env=ENV, start_new_session=True, **options)


def family(pid: int) -> set[int]:
    """A process and all that it started, and they."""
    found = {pid}
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found |= family(int(child))
    return found


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(what: Callable[[], Any], seconds: float = 900.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s: {what.__name__}")


def cut_off(pids: set[int]) -> None:
    """As if the power went: all stand still before the first one ends, so none tells of another's death."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)


def answers(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Cluster:
    """`ray start` as on a real one: a head of four cores with its dashboard; nodes of two.

    On a busy machine a part of Ray may need longer than the 30 s that Ray gives it; then all of it ends, and is started
    again.
    """

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="ray")
        for _ in range(_TRIES):
            self.port, self.dashboard, client = free_port(), free_port(), free_port()
            self.address = f"127.0.0.1:{self.port}"
            self.head = self._ray(
                "--head", f"--port={self.port}", "--num-cpus=4", "--dashboard-host=127.0.0.1",
                f"--dashboard-port={self.dashboard}", f"--temp-dir={self.folder}",
                f"--ray-client-server-port={client}",
            )  # fmt: skip
            until(lambda port=client: self.head.poll() is not None or answers(port))  # the client's server comes last
            if self.head.poll() is None:
                return
        pytest.fail(f"Ray has not started in {_TRIES} tries")

    def _ray(self, *words: str) -> subprocess.Popen:
        common = ("--block", "--node-ip-address=127.0.0.1", "--object-store-memory=100000000")
        agent = ("--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0")
        ray = shutil.which("ray", path=str(Path(sys.executable).parent))
        return started(ray, "start", *common, *agent, *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def node(self) -> subprocess.Popen:
        """One more node, which has joined the head: six cores together."""
        for _ in range(_TRIES):
            node = self._ray(f"--address={self.address}", "--num-cpus=2", "--num-gpus=1")
            joined = started(
                sys.executable, "-c",
                f"import ray, time; ray.init('{self.address}', logging_level=40, log_to_driver=False)\n"
                "while ray.cluster_resources().get('CPU', 0) < 6: time.sleep(0.2)\n",
            )  # fmt: skip
            until(lambda joined=joined, node=node: joined.poll() is not None or node.poll() is not None)
            if node.poll() is None:
                assert joined.returncode == 0
                return node
            joined.kill()
            joined.wait()
        pytest.fail(f"no node has joined in {_TRIES} tries")

    def end(self) -> None:
        pids = family(self.head.pid)
        cut_off(pids)
        self.head.wait(60)
        until(lambda: not any(map(alive, pids)))
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.end()


def process(corpus: Path, *words: object) -> subprocess.Popen:
    return started(
        sys.executable, "-m", "support.cluster_stages", "process", corpus, *words, stderr=subprocess.PIPE, text=True
    )


def record(corpus: Path) -> dict[str, Any]:
    paths = sorted((corpus / "_runs").glob("[!.]*.json"))
    return json.loads(paths[-1].read_text()) if paths else {"made": [], "at_work": []}


def undisturbed(folder: Path, partitions: list[list[bytes]]) -> dict[str, bytes]:
    corpus = make_corpus(folder, partitions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLOW_S", "0")  # what takes long elsewhere makes the same bytes here at once
        assert not runner.run(corpus, stages(), PipelineConfig(), "inline").failures
    return tables(corpus)


@pytest.mark.slow
def test_a_node_that_is_lost_at_work_costs_time_and_nothing_else(cluster, tmp_path):
    rows = [[b"slow" + bytes([k, i]) * (40 - k) for i in range(20)] for k in range(14)]
    rows = [[f"meet {tmp_path}".encode(), *some] for some in rows]  # so all six are at work, on both nodes
    (tmp_path / "wanted").write_text("1")
    wanted = undisturbed(tmp_path / "calm", rows)
    corpus = make_corpus(tmp_path / "wild", rows)
    node = cluster.node()
    try:
        (tmp_path / "wanted").write_text("6")
        run = process(corpus, "--address", cluster.address)
        held: dict[str, Any] = {}

        def committed_there_and_at_work() -> bool:
            pids = {str(pid) for pid in family(node.pid)}
            told = record(corpus)
            made = [m for m in told["made"] if m["worker"].split("-")[-1] in pids]
            busy = [a for a in told.get("at_work", []) if a["worker"].split("-")[-1] in pids]
            begun = [a for a in busy if list((corpus / str(a["partition"])).glob(f".{a['stage']}.*part"))]
            held.update(made=made, begun=begun)
            return bool(made and begun)

        until(lambda: run.poll() is not None or committed_there_and_at_work())
        assert held["made"] and held["begun"], "the run ended before the node was at work a second time"
        victims = family(node.pid)
        cut_off(victims)
        said = run.communicate(timeout=1200)[1]
    finally:
        if node.poll() is None:
            node.kill()
    what = f"{len(victims)} processes of a node that had committed {held['made']} and begun {held['begun']}"
    print(f"\nkilled {what}")  # noqa: T201
    assert run.returncode == 0, said
    assert re.search(r"(its node was lost|its worker died .*); another worker will retry it", said), said
    told = record(corpus)
    assert told["state"] == "done" and len(told["made"]) == 28
    assert {m["worker"] for m in held["made"]} <= {m["worker"] for m in told["made"]}
    assert tables(corpus) == wanted and not list(corpus.rglob(".*part"))


@pytest.mark.slow
def test_one_two_and_four_workers_and_any_order_make_the_same_bytes(cluster, tmp_path, monkeypatch):
    rng = random.Random(1)
    rows = [[rng.randbytes(rng.randrange(1, 3000)) for _ in range(rng.randrange(1, 7))] for _ in range(9)]
    rows = [[f"meet {tmp_path}".encode(), *some] for some in rows]
    (tmp_path / "wanted").write_text("1")
    wanted = undisturbed(tmp_path / "inline", rows)
    monkeypatch.setenv("PYTHONPATH", ENV["PYTHONPATH"])
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    orders = []
    monkeypatch.setattr(Schedule, "size_of", lambda *_: rng.randrange(1, 1000))
    for workers in (1, 2, 4):
        for left in tmp_path.glob("*.here"):
            left.unlink()
        (tmp_path / "wanted").write_text(str(workers))
        corpus = make_corpus(tmp_path / str(workers), rows)
        result = runner.run(corpus, stages(), PipelineConfig(workers=workers), cluster.address)
        orders.append([(job.stage, job.partition) for job, _ in result.done])
        assert len(set(result.makers)) == workers, "each worker made something"
        assert tables(corpus) == wanted
    assert len({tuple(order) for order in orders}) == 3


@pytest.mark.slow
def test_a_worker_that_dies_once_is_followed_by_another_and_the_bytes_are_the_same(tmp_path, monkeypatch):
    sign = tmp_path / "died"
    rows = [[f"once {sign}".encode(), b"a"], [b"b", b"c"], [b"d"]]
    sign.touch()
    wanted = undisturbed(tmp_path / "calm", rows)
    sign.unlink()
    corpus = make_corpus(tmp_path / "corpus", rows)
    monkeypatch.setenv("PYTHONPATH", ENV["PYTHONPATH"])
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    result = runner.run(corpus, stages(), PipelineConfig(workers=2), "local")
    assert sign.exists() and result.workers == 2 and len(result.done) == 6 and not result.failures
    assert tables(corpus) == wanted and status(corpus) == status(tmp_path / "calm")


@pytest.mark.slow
def test_a_partition_that_kills_three_workers_is_set_aside_and_the_rest_is_done(cluster, tmp_path):
    corpus = make_corpus(tmp_path, [[b"a", b"b"], [b"c", b"deadly"], [b"d"]])
    run = process(corpus, "--address", cluster.address, "--workers", 2)
    said = run.communicate(timeout=1200)[1]
    assert run.returncode == 1, said
    assert said.count("another worker will retry it") == 2
    assert "listen, partition 1: set aside after 3 workers died on it" in said and "because of it: write" in said
    told = record(corpus)
    assert told["state"] == "incomplete" and len(told["made"]) == 4
    (given_up,) = told["set_aside"]
    assert (given_up["stage"], given_up["partition"], given_up["deaths"]) == ("listen", 1, 3)
    print(f"\n{given_up['reason']}")  # noqa: T201
    status = subprocess.run(
        [sys.executable, "-m", "autosing", "status", str(corpus)], env=ENV, capture_output=True, text=True, check=True
    )
    assert "listen partition 1: set aside after 3 workers died" in " ".join(status.stdout.split())


@pytest.mark.slow
def test_a_submitted_job_processes_a_corpus_to_the_end(cluster, tmp_path):
    sounds = [Audio(0.1 * np.random.default_rng(k).standard_normal((1, 16_000)), 8000) for k in range(3)]
    corpus = make_corpus(tmp_path / "corpus", [[encode(sound)] for sound in sounds])
    job = subprocess.run(
        [
            str(Path(sys.executable).parent / "ray"), "job", "submit", "--address",
            f"http://127.0.0.1:{cluster.dashboard}", "--", sys.executable, "-m", "autosing", "process", str(corpus),
            "--address", "auto", "--stages", "separate", "--set", "separate.separator=none",
        ],
        env=ENV, capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    assert job.returncode == 0 and "succeeded" in job.stdout, job.stdout + job.stderr
    assert len(list(corpus.glob("*/separate.parquet"))) == len(list(corpus.glob("*/index.parquet"))) > 0
    assert record(corpus)["state"] == "done"


@pytest.mark.slow
def test_two_ranks_of_ray_train_learn_as_one_with_twice_the_batch(cluster, tmp_path):
    make_dataset(tmp_path / "data")
    # No text is dropped: a rank's loss is a mean over its own clips, so those must have text on both or on neither.
    words = [
        *("--set", "steps=4"),
        *("--set", "task.drop_text=0.0"),
        *("--set", "task.size=debug"),
        *("--set", "task.semantic=null"),
        *("--set", "log_every=1"),
        *("--set", "device=cpu"),
    ]

    def train(run: str, *more: str) -> list[dict[str, float]]:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "autosing", "train", "t2s", "--data", str(tmp_path / "data")),
                *("--run", str(tmp_path / run), *words, *more),
            ],
            env=ENV, capture_output=True, text=True, timeout=1200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [{k: v for k, v in row.items() if k.endswith("loss")} for row in read_metrics(tmp_path / run)]

    two = train("two", "--set", "batch_size=2", "--address", cluster.address, "--ranks", "2")
    one = train("one", "--set", "batch_size=4")
    print(f"\none rank {one}\ntwo ranks {two}")  # noqa: T201
    assert len(one) == len(two) and any(one)
    for here, there in zip(one, two, strict=True):
        assert here == pytest.approx(there, rel=1e-4)
    assert yaml.safe_load((tmp_path / "two" / "config.yaml").read_text())["batch_size"] == 2
    assert not [p for p in (tmp_path / "two").iterdir() if p.name.startswith((".", "ray"))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_within_seconds_and_leaves_only_what_is_whole(tmp_path, number):
    rows = [
        [random.Random(0).randbytes(500_000)],  # the largest partition goes first
        *([b"slow" + bytes([k]) + i.to_bytes(2) for i in range(2000)] for k in range(2)),
    ]
    corpus = make_corpus(tmp_path / "corpus", rows)
    run = process(corpus, "--workers", 2)
    try:
        until(lambda: record(corpus)["made"] and len(list(corpus.glob("*/.*part"))) == 2)
        pids = family(run.pid)
        before = time.monotonic()
        os.kill(run.pid, number)
        said = run.communicate(timeout=900)[1]
        seconds = time.monotonic() - before
    finally:
        run.kill()
    left = [pid for pid in pids if alive(pid)]
    print(f"\nended {seconds:.1f} s after the signal; {len(pids)} processes before, {len(left)} after")  # noqa: T201
    assert run.returncode == 128 + number, said
    assert "in this run) are kept; run the same command to continue" in said
    assert seconds < 300, "it did not wait for the 1000 s that a partition takes; 3 s where nothing else runs"
    assert not left and not list(corpus.rglob(".*part"))
    assert record(corpus)["state"] == "stopped"


def test_more_ranks_than_the_cluster_has_room_for_are_refused():
    """Ray Train itself would wait for ever."""
    _check_room({"CPU": 8.0, "GPU": 2.0}, {"CPU": 2.0, "GPU": 1.0}, 2)
    with pytest.raises(InputError, match=r"3 ranks need 3 GPU, the cluster has 2; give a smaller --ranks"):
        _check_room({"CPU": 8.0, "GPU": 2.0}, {"CPU": 2.0, "GPU": 1.0}, 3)
