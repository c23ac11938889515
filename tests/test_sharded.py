"""fully_shard trains what DDP trains: two ranks as one, resumed as if uninterrupted, by any ranks, sharded or not."""

import os
import shutil
import time
from pathlib import Path

import pytest
import torch

from autosing.checkpoint import load_model
from autosing.errors import InputError
from support.datasets import make_dataset
from support.ranks import free_port, run_ranks
from tests.test_loop import Pair
from train import launch
from train.launch import train

WORDS = [
    "device=cpu", "log_every=1", "save_every=3", "keep_checkpoints=9", "listen_every=6", "valid_every=6", "lr=0.01",
    "schedule=const", "ema_decay=0.9", "task.dropout=0.0", "task.nan_at=[2]",
]  # fmt: skip
RUNS = (("whole", "fsdp", 6, False), ("cut", "fsdp", 3, False), ("cut", "fsdp", 6, True), ("ddp", "ddp", 3, False))


def one_rank(data: Path, out: Path, ports: list[str]) -> None:
    """Several runs, one after another."""
    launch.task_class = lambda name: Pair
    for port, (name, parallel, steps, resume) in zip(ports, RUNS, strict=True):
        while resume and not (out / name / "checkpoints/step-000000003.pt").is_file():
            time.sleep(0.05)  # rank 0 may still be writing when the others are done
        os.environ["MASTER_PORT"] = port
        words = [*WORDS, "batch_size=1", "accumulate=2", f"parallel={parallel}", f"steps={steps}"]
        train("pair", data, out / name, overrides=words, resume=resume)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with what two ranks made, and what one made with twice the batch: `one`."""
    out = tmp_path_factory.mktemp("runs")
    make_dataset(out / "data", groups=("meta", "semantic"))
    ports = [str(free_port()) for _ in RUNS]
    run_ranks(lambda: one_rank(out / "data", out, ports))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "task_class", lambda name: Pair)
        train("pair", out / "data", out / "one", overrides=[*WORDS, "batch_size=2", "accumulate=2", "steps=6"])
    return out


def held_by(run, step):
    return torch.load(run / f"checkpoints/step-{step:09d}.pt", weights_only=True)


def test_two_sharded_ranks_train_as_one_with_twice_the_batch(runs):
    one, two = (held_by(runs / name, 6) for name in ("one", "whole"))
    for part in ("position", "step", "refused", "modules", "ema", "optimisers"):
        torch.testing.assert_close(two[part], one[part], msg=lambda said, part=part: f"{part}: {said}")
    torch.testing.assert_close(*(load_model(runs / name, "pair").state for name in ("whole", "one")))
    assert (runs / "whole/samples/noise-000000006.wav").is_file()


def test_a_sharded_run_resumed_equals_the_uninterrupted_one_bit_for_bit(runs):
    assert str(held_by(runs / "whole", 6)) == str(held_by(runs / "cut", 6))
    assert (runs / "whole/model.safetensors").read_bytes() == (runs / "cut/model.safetensors").read_bytes()


def test_what_was_saved_sharded_is_gone_on_with_by_one_rank_alone(runs, monkeypatch):
    monkeypatch.setattr(launch, "task_class", lambda name: Pair)
    shutil.copytree(runs / "cut", runs / "alone", ignore=shutil.ignore_patterns("step-000000006.pt"))
    for name in ("alone", "ddp"):
        row = train("pair", runs / "data", runs / name, overrides=["steps=6", "parallel=ddp"], resume=True)
        assert row["status"] == "resumed"
    alone, ddp = (held_by(runs / name, 6) for name in ("alone", "ddp"))
    for part in ("position", "modules", "ema", "optimisers"):
        torch.testing.assert_close(alone[part], ddp[part])


def test_a_task_that_writes_its_own_weights_is_not_sharded(tmp_path):
    make_dataset(tmp_path / "data", groups=("meta", "audio"))
    with pytest.raises(InputError, match="task semantic writes its weights itself"):
        train("semantic", tmp_path / "data", tmp_path / "run", overrides=["parallel=fsdp"])
