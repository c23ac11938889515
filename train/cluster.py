"""A planned run and a Ray cluster -> the same run, one rank in each worker that Ray Train places. The file of `train`
that knows Ray.

Ray Train starts the processes, joins them (nccl with GPUs, else gloo) and starts them anew after a loss; each then is
a rank like any other (train.launch.carry_out) and goes on from the run's last checkpoint. So the run folder and the
dataset must lie where every node sees them.
"""

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autosing.cluster import ray_at
from autosing.console import note
from autosing.errors import InputError
from autosing.storage.store import place
from train.config import TrainConfig
from train.launch import Carry, Plan, carry_out

_RESTARTS = 2
"""After so many failures of a worker the run ends. Machines taken back by their owner are not counted."""


def carry_to(address: str = "auto", ranks: int | None = None) -> Carry:
    """For train.launch.train: on `ranks` processes of a cluster, by default one for each of its GPUs, or one.

    A rank takes `batch_size` samples for a backward pass: more ranks make a larger batch. Raises InputError also where
    no Ray answers, where the cluster has no room for so many, and where a node does not see the dataset.
    """
    return lambda plan, say: _carry(plan, address, ranks)


def _carry(plan: Plan, address: str, ranks: int | None) -> dict[str, Any]:
    # Ray Train keeps notes of its own, for this one start; checkpoints go into the run as ever.
    with ray_at(address, log_to_driver=True) as ray, tempfile.TemporaryDirectory() as notes:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
        from ray.train.v2.api.exceptions import TrainingFailedError

        settled, held = TrainConfig.build(plan.config), ray.cluster_resources()
        on_gpu = settled.device == "cuda" or (settled.device == "auto" and held.get("GPU", 0) >= 1)
        ranks = ranks or (max(1, int(held.get("GPU", 0))) if on_gpu else 1)
        wanted = {"CPU": 1.0 + settled.workers} | ({"GPU": 1.0} if on_gpu else {})
        _check_room(held, wanted, ranks)
        trainer = TorchTrainer(
            _be_a_rank,
            train_loop_config=_as_words(plan) | {"folder": str(Path.cwd())},
            scaling_config=ScalingConfig(num_workers=ranks, use_gpu=on_gpu, resources_per_worker=wanted),
            run_config=RunConfig(name="ray", storage_path=notes, failure_config=FailureConfig(max_failures=_RESTARTS)),
        )
        try:
            row: dict[str, Any] = trainer.fit().return_value
        except TrainingFailedError as error:
            for failure in getattr(error, "worker_failures", {}).values():
                if isinstance(failure, InputError):
                    raise failure from None
            raise
    return row


def _as_words(plan: Plan) -> dict[str, Any]:
    return asdict(plan) | {"data": str(plan.data.absolute()), "run": str(plan.run.absolute())}


def _be_a_rank(words: dict[str, Any]) -> dict[str, Any]:
    if Path(words["folder"]).is_dir():
        os.chdir(words["folder"])  # a config may name files by where the command was given
    return carry_out(Plan(words["task"], place(words["data"]), Path(words["run"]), words["config"]), note)


def _check_room(held: dict[str, float], wanted: dict[str, float], ranks: int) -> None:
    """Ray Train would wait for ever where nothing more comes."""
    for name, share in wanted.items():
        if held.get(name, 0) < share * ranks:
            raise InputError(
                f"{ranks} ranks need {share * ranks:g} {name}, the cluster holds {held.get(name, 0):g}; "
                "give a smaller --ranks, or add nodes first"
            )
