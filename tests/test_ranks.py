"""What a task gathers beside its gradients, two ranks gather as one with twice the batch."""

from pathlib import Path

import pytest
import torch

from support.datasets import make_dataset
from support.ranks import run_ranks
from train.launch import train
from train.tasks.semantic import TrainSemantic

# A rate that moves no weight: each rank draws noise of its own, so that weights would part.
STILL = ["lr=1e-12", "schedule=const", "device=cpu"]
WORDS = {
    "semantic": ["steps=2", "task.statistics_steps=3", "task.crop_codes=50", "task.model.codes=8", "task.reservoir=64"],
    "codec": [
        "steps=2", "task.crop_blocks=8", "task.unquantised_steps=3", "task.reservoir_clips=8", "task.model.latent=8",
        "task.instrumental_share=0", *(
            f"task.model.{part}_{size}={value}" for part in ("encoder", "decoder")
            for size, value in (("width", 16), ("hidden", 16), ("blocks", 1))
        ), "task.model.strides=[4, 2, 1]", "task.model.codebook_sizes=[8, 512, 8]",
    ],
}  # fmt: skip
GATHERED = {"semantic": "statistics.", "codec": "reservoir."}


def stand_in_for_the_encoder() -> None:
    weight_ES = torch.randn(512, 640, generator=torch.Generator().manual_seed(0))
    init = TrainSemantic.__init__

    def with_ears(self, config, index):
        init(self, config, index)
        self.encode = lambda audio_BS: audio_BS.unflatten(1, (-1, 640)) @ weight_ES.mT

    TrainSemantic.__init__ = with_ears


def one_rank(task: str, data: Path, run: Path, batch_size: int) -> None:
    stand_in_for_the_encoder()
    train(task, data, run, overrides=[*STILL, *WORDS[task], f"batch_size={batch_size}"])


@pytest.mark.parametrize("task", WORDS)
def test_two_ranks_gather_what_one_with_twice_the_batch_does(task, tmp_path):
    make_dataset(tmp_path / "data", {"train": 12, "valid": 0}, groups=("meta", "pitch", "audio"))
    for name, world, batch_size in (("two", 2, 2), ("one", 1, 4)):
        run_ranks(lambda name=name, size=batch_size: one_rank(task, tmp_path / "data", tmp_path / name, size), world)
    held = {}
    for name in ("one", "two"):
        (path,) = (tmp_path / name / "checkpoints").iterdir()
        modules = torch.load(path, weights_only=True)["modules"]
        held[name] = {key: value for key, value in modules.items() if key.startswith(GATHERED[task])}
    assert held["one"] and held["one"].keys() == held["two"].keys()
    torch.testing.assert_close(held["one"], held["two"])
